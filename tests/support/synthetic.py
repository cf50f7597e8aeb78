"""A synthetic world: snippet features of untrimmed videos, drawn from the premise of the method, boundaries known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.core.checks import at_least, fraction, not_negative, positive
from sola.core.errors import SolaError
from sola.core.files import replacing, write_json
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.manifest import Manifest
from sola.data.segments import Segments

SCENE, STATE, NUISANCE, HIDDEN = 32, 8, 64, 256
"""Dimensions of what the encoder sees of scene, state and each nuisance, and of its hidden layer."""
REPEATED = 0.25
"""Length of actions and pauses in a repetitive video, as a share of what they are elsewhere."""


@dataclass(frozen=True)
class SyntheticWorld:
    """The knobs of the world. It is synthetic: no video, no encoder that was ever trained.

    A video has a *scene*, one vector for all of it; a *state*, which stays as it is between boundaries and takes
    another value at each; and *nuisance*, Gaussian processes that know nothing of the boundaries. A fixed random
    network (linear, ReLU, linear, ReLU) mixes them, as an encoder would, and noise is added before its last ReLU. So
    the scene dominates the features, and the boundaries lie in weak directions that bend with the scene.

    What it can show: whether a method, control or choice does what its reasoning says when the premise holds, and how
    that changes with a knob. What it cannot show: how often the premise holds, or what is gained on real video.

    Raises SolaError for a value out of range.
    """

    training_videos: int = 80
    """Videos of the subset `training`."""
    validation_videos: int = 40
    """Videos of the subset `validation`."""
    length: float = 200.0
    """Median length of a video, in snippets; never below 16."""
    length_spread: float = 0.2
    """Standard deviation of the logarithm of a video's length."""
    channels: int = 128
    """Width of the features."""
    classes: int = 5
    """Action classes; each instance draws its own."""
    action_length: float = 16.0
    """Mean length of an action, in snippets."""
    action_spread: float = 0.8
    """Standard deviation of the logarithm of the lengths of actions and of the background between them."""
    background: float = 0.5
    """Share of the time that is background."""
    repetition: float = 0.2
    """Share of videos that repeat one action in quick turn with one background, both a quarter as long as elsewhere."""
    scene: float = 2.0
    """Strength of the scene: root mean square of what it adds to a unit of the encoder's hidden layer."""
    state: float = 0.3
    """Strength of the state, likewise."""
    nuisance: tuple[tuple[float, float], ...] = ((0.35, 2.0), (0.35, 8.0), (0.35, 40.0))
    """(strength, time scale in snippets after which its correlation is 1/e) of each nuisance."""
    noise: float = 0.5
    """Strength of the white noise in each channel."""
    easy: bool = False
    """The nuisance becomes white noise of the same strength: then a moving average is a good answer."""
    features_per_second: float = 4.0
    """Snippets a second; only the annotations' seconds depend on it."""

    def __post_init__(self) -> None:
        at_least(1, training_videos=self.training_videos, validation_videos=self.validation_videos)
        at_least(1, channels=self.channels, classes=self.classes)
        positive(length=self.length, action_length=self.action_length, features_per_second=self.features_per_second)
        not_negative(length_spread=self.length_spread, action_spread=self.action_spread)
        not_negative(scene=self.scene, state=self.state, noise=self.noise)
        fraction("(0, 1)", background=self.background)
        fraction("[0, 1]", repetition=self.repetition)
        if any(strength < 0 or scale <= 0 for strength, scale in self.nuisance):
            raise SolaError(f"nuisance={self.nuisance}: expected pairs (strength of at least 0, time scale above 0)")


def generate(world: SyntheticWorld, seed: int = 0) -> tuple[dict[str, Float[np.ndarray, "_ channels"]], Annotations]:
    """Draw the features [time, channels] (float16, not negative) of every video by id, and their annotations.

    Everything follows from `seed`, each video from its own stream: more videos leave those before them as they are.
    """
    laws = _Laws(world, np.random.default_rng([seed, 0, 0]))
    features, videos = {}, {}
    for number, (subset, count) in enumerate(
        (("training", world.training_videos), ("validation", world.validation_videos)), start=1
    ):
        for index in range(count):
            video = f"{subset}_{index:04d}"
            generator = np.random.default_rng([seed, number, index])
            length = max(16, round(world.length * np.exp(world.length_spread * generator.normal())))
            timeline = _timeline(world, length, generator)
            features[video] = laws.encode(timeline, length, generator)
            duration = length / world.features_per_second
            videos[video] = VideoAnnotation(video, subset, duration, None, timeline.actions(world.features_per_second))
    return features, Annotations(videos, tuple(_class_names(world.classes)))


def write(world: SyntheticWorld, folder: Path, seed: int = 0) -> None:
    """Write `features/*.npy` with their manifest and `annotations.json` (ActivityNet's layout) to a new folder.

    Raises SolaError when `folder` cannot be written or holds something already.
    """
    features, annotations = generate(world, seed)
    database = {
        video.video: {
            "subset": video.subset,
            "duration": video.duration,
            "annotations": [
                {"segment": [start, end], "label": annotations.classes[label]}
                for start, end, label in zip(
                    video.segments.start.tolist(), video.segments.end.tolist(), video.segments.label, strict=True
                )
            ],
        }
        for video in annotations.videos.values()
    }
    manifest = Manifest(
        dim=world.channels, fps=world.features_per_second, stride=1, window=1, offset=0, encoder="synthetic world"
    )
    with replacing(folder) as aside:
        (aside / "features").mkdir(parents=True)
        for video, array in features.items():
            np.save(aside / "features" / f"{video}.npy", array)
        manifest.write(aside / "features")
        write_json(aside / "annotations.json", {"version": "synthetic", "database": database})


@dataclass(frozen=True)
class _Timeline:
    """Stretches of constant state that tile a video; times in snippets."""

    start: Float[np.ndarray, " n"]
    end: Float[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]
    """Class of an action, -1 for background."""
    repetitive: bool

    def actions(self, features_per_second: float) -> Segments:
        """Return the actions, in seconds."""
        action: Bool[np.ndarray, " n"] = self.label >= 0
        start, end = self.start[action] / features_per_second, self.end[action] / features_per_second
        return Segments(start, end, self.label[action], np.ones(len(start)))


def _timeline(world: SyntheticWorld, length: int, generator: np.random.Generator) -> _Timeline:
    """Draw actions and background in turn, log-normal in length, until the video is full; it begins within one."""
    repetitive = bool(generator.random() < world.repetition)
    favorite = int(generator.integers(world.classes))
    action = bool(generator.random() >= world.background)
    bounds: list[float] = [0.0]
    labels: list[int] = []
    while bounds[-1] < length:
        mean = world.action_length if action else world.action_length * world.background / (1 - world.background)
        mean *= REPEATED if repetitive else 1.0
        # the logarithm's mean that gives the lengths' mean; none is shorter than a snippet
        spread = world.action_spread * (REPEATED if repetitive else 1.0)
        stretch = max(1.0, float(generator.lognormal(np.log(mean) - spread**2 / 2, spread)))
        if not labels:
            stretch *= generator.random()
        bounds.append(min(bounds[-1] + stretch, float(length)))
        drawn = int(generator.integers(world.classes))
        labels.append((favorite if repetitive else drawn) if action else -1)
        action = not action
    return _Timeline(np.array(bounds[:-1]), np.array(bounds[1:]), np.array(labels, np.int64), repetitive)


class _Laws:
    """What is the same for all videos of a world: what actions look like, and the encoder."""

    def __init__(self, world: SyntheticWorld, generator: np.random.Generator) -> None:
        self._world = world
        # half of an action is what all actions share, half its class's own; background lies around zero
        shared, own = _unit(generator.normal(size=STATE)), _unit(generator.normal(size=(world.classes, STATE)))
        self._prototypes = np.sqrt(0.5) * (shared + own)
        self._scene = _mixing(SCENE, HIDDEN, generator)
        self._state = _mixing(STATE, HIDDEN, generator)
        self._nuisance = [_mixing(NUISANCE, HIDDEN, generator) for _ in world.nuisance]
        self._out = _mixing(HIDDEN, world.channels, generator)

    def encode(
        self, timeline: _Timeline, length: int, generator: np.random.Generator
    ) -> Float[np.ndarray, "time channels"]:
        """Draw a video's scene, states, nuisance and noise, and mix them."""
        world = self._world
        hidden = world.state * _covered(timeline, length) @ self._states(timeline, generator) @ self._state
        hidden += world.scene * generator.normal(size=SCENE) @ self._scene
        for (strength, scale), mixing in zip(world.nuisance, self._nuisance, strict=True):
            drift = _drift(length, 0.0 if world.easy else scale, generator)
            hidden += strength * drift @ mixing
        out = np.maximum(hidden, 0.0) @ self._out
        out += world.noise * generator.normal(size=out.shape)
        features: np.ndarray = np.maximum(out, 0.0).astype(np.float16)
        return features

    def _states(self, timeline: _Timeline, generator: np.random.Generator) -> Float[np.ndarray, "n state"]:
        """Draw the state of each stretch: its class's prototype and its own variation, little where it repeats."""
        action = timeline.label >= 0
        own = generator.normal(size=(len(action), STATE))
        if timeline.repetitive:
            looks = generator.normal(size=(2, STATE))  # of this video's one background and one action
            own = np.sqrt(0.75) * looks[action.astype(np.int64)] + np.sqrt(0.25) * own
        prototype = np.where(action[:, None], self._prototypes[timeline.label], 0.0)
        states: np.ndarray = prototype + np.where(action, 0.5, 0.7)[:, None] * own
        return states


def _unit(vectors: Float[np.ndarray, "*vectors state"]) -> Float[np.ndarray, "*vectors state"]:
    """Scale vectors to a root mean square of 1, so that worlds of different seeds are equally hard."""
    unit: np.ndarray = vectors / np.sqrt(np.mean(vectors**2, axis=-1, keepdims=True))
    return unit


def _mixing(rows: int, columns: int, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """Draw a matrix that maps independent unit variables to unit variables."""
    mixing: np.ndarray = generator.normal(size=(rows, columns)) / np.sqrt(rows)
    return mixing


def _covered(timeline: _Timeline, length: int) -> Float[np.ndarray, "time n"]:
    """Return the share of each snippet that lies in each stretch: a snippet across a boundary sees both sides."""
    first = np.arange(length, dtype=np.float64)[:, None]
    overlap: np.ndarray = np.minimum(timeline.end, first + 1) - np.maximum(timeline.start, first)
    return overlap.clip(0.0, 1.0)


def _drift(length: int, scale: float, generator: np.random.Generator) -> Float[np.ndarray, "time nuisance"]:
    """Draw stationary Gaussian processes of unit variance whose correlation falls as exp(-distance / scale)."""
    drift = generator.normal(size=(length, NUISANCE))
    if scale > 0:
        kept = np.exp(-1.0 / scale)
        for now, before in zip(drift[1:], drift[:-1], strict=True):
            now *= np.sqrt(1.0 - kept**2)
            now += kept * before
    return drift


def _class_names(classes: int) -> Iterator[str]:
    digits = len(str(classes - 1))
    return (f"action_{index:0{digits}d}" for index in range(classes))
