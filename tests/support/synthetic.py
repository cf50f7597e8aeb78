"""Synthetic snippet features of untrimmed videos with known boundaries, generated from the premise of the method."""

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
"""Dimensions of the scene, the state and each nuisance process, and width of the encoder's hidden layer."""
REPEATED = 0.25
"""Length of actions and pauses in a repetitive video, relative to other videos."""


@dataclass(frozen=True)
class SyntheticWorld:
    """Parameters of the synthetic data set. It uses no real video and no trained encoder.

    Each video has a *scene*, one vector for the whole video; a *state*, which is constant between boundaries and
    changes at each boundary; and *nuisance*, Gaussian processes independent of the boundaries. A fixed random network
    (linear, ReLU, linear, ReLU) mixes them like an encoder, with noise added before its last ReLU. The scene
    therefore dominates the features, and boundaries show only in weak directions that depend on the scene.

    The data can show whether a method, control or setting works as intended when the premise holds, and how that
    depends on a parameter. It cannot show how often the premise holds, or the gain on real video.

    Raises:
        SolaError: A value is out of range.
    """

    training_videos: int = 80
    """Number of videos in the subset `training`."""
    validation_videos: int = 40
    """Number of videos in the subset `validation`."""
    length: float = 200.0
    """Median video length (snippets). Videos have at least 16 snippets."""
    length_spread: float = 0.2
    """Standard deviation of the logarithm of the video length."""
    channels: int = 128
    """Number of feature channels."""
    classes: int = 5
    """Number of action classes. Each instance draws one at random."""
    action_length: float = 16.0
    """Mean action length (snippets)."""
    action_spread: float = 0.8
    """Standard deviation of the logarithm of action and background lengths."""
    background: float = 0.5
    """Fraction of time that is background."""
    repetition: float = 0.2
    """Fraction of videos that quickly alternate one action and one background, each a quarter of the usual length."""
    scene: float = 2.0
    """Strength of the scene: root mean square of its contribution to a hidden unit of the encoder."""
    state: float = 0.3
    """Strength of the state, defined like `scene`."""
    nuisance: tuple[tuple[float, float], ...] = ((0.35, 2.0), (0.35, 8.0), (0.35, 40.0))
    """Strength and time scale of each nuisance process; its correlation falls to 1/e after that many snippets."""
    noise: float = 0.5
    """Standard deviation of the white noise in each channel."""
    easy: bool = False
    """Replace the nuisance by white noise of the same strength, which a moving average removes well."""
    features_per_second: float = 4.0
    """Snippets per second. It only affects the times in the annotations."""

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
    """Generate the features [time, channels] (float16, non-negative) of every video by id, and the annotations.

    The result depends only on `seed`. Each video has its own random stream, so adding videos does not change others.
    """
    model = _Model(world, np.random.default_rng([seed, 0, 0]))
    features, videos = {}, {}
    for number, (subset, count) in enumerate(
        (("training", world.training_videos), ("validation", world.validation_videos)), start=1
    ):
        for index in range(count):
            video = f"{subset}_{index:04d}"
            generator = np.random.default_rng([seed, number, index])
            length = max(16, round(world.length * np.exp(world.length_spread * generator.normal())))
            timeline = _timeline(world, length, generator)
            features[video] = model.encode(timeline, length, generator)
            duration = length / world.features_per_second
            videos[video] = VideoAnnotation(video, subset, duration, None, timeline.actions(world.features_per_second))
    return features, Annotations(videos, tuple(_class_names(world.classes)))


def write(world: SyntheticWorld, folder: Path, seed: int = 0) -> Path:
    """Write `features/*.npy` with a manifest and `annotations.json` (ActivityNet format) to a new folder. Return it.

    Raises:
        SolaError: `folder` cannot be written or is not empty.
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
    return folder


SMALL = SyntheticWorld(training_videos=3, validation_videos=2, length=32, channels=8, action_length=8, classes=3)
"""A world on which a tiny detector is trained in a second."""


@dataclass(frozen=True)
class _Timeline:
    """Intervals of constant state that cover a video; times in snippets."""

    start: Float[np.ndarray, " n"]
    end: Float[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]
    """Class of each action, or -1 for background."""
    repetitive: bool

    def actions(self, features_per_second: float) -> Segments:
        """Return the action segments in seconds."""
        action: Bool[np.ndarray, " n"] = self.label >= 0
        start, end = self.start[action] / features_per_second, self.end[action] / features_per_second
        return Segments(start, end, self.label[action], np.ones(len(start)))


def _timeline(world: SyntheticWorld, length: int, generator: np.random.Generator) -> _Timeline:
    """Alternate actions and background of log-normal length until the video is full; the first interval is cut."""
    repetitive = bool(generator.random() < world.repetition)
    favorite = int(generator.integers(world.classes))
    action = bool(generator.random() >= world.background)
    bounds: list[float] = [0.0]
    labels: list[int] = []
    while bounds[-1] < length:
        mean = world.action_length if action else world.action_length * world.background / (1 - world.background)
        mean *= REPEATED if repetitive else 1.0
        # mean of the logarithm such that lengths have the wanted mean; at least one snippet
        spread = world.action_spread * (REPEATED if repetitive else 1.0)
        interval = max(1.0, float(generator.lognormal(np.log(mean) - spread**2 / 2, spread)))
        if not labels:
            interval *= generator.random()
        bounds.append(min(bounds[-1] + interval, float(length)))
        label = int(generator.integers(world.classes))
        labels.append((favorite if repetitive else label) if action else -1)
        action = not action
    return _Timeline(np.array(bounds[:-1]), np.array(bounds[1:]), np.array(labels, np.int64), repetitive)


class _Model:
    """Class prototypes and encoder shared by all videos of a data set."""

    def __init__(self, world: SyntheticWorld, generator: np.random.Generator) -> None:
        self._world = world
        # half of a prototype's variance is shared by all actions, half is class-specific; background is around zero
        shared = _unit(generator.normal(size=STATE))
        specific = _unit(generator.normal(size=(world.classes, STATE)))
        self._prototypes = np.sqrt(0.5) * (shared + specific)
        self._scene = _mixing(SCENE, HIDDEN, generator)
        self._state = _mixing(STATE, HIDDEN, generator)
        self._nuisance = [_mixing(NUISANCE, HIDDEN, generator) for _ in world.nuisance]
        self._out = _mixing(HIDDEN, world.channels, generator)

    def encode(
        self, timeline: _Timeline, length: int, generator: np.random.Generator
    ) -> Float[np.ndarray, "time channels"]:
        """Draw the scene, states, nuisance and noise of a video, and mix them."""
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
        """Draw the state of each interval: its class prototype plus variation, which is small in repetitive videos."""
        action = timeline.label >= 0
        variation = generator.normal(size=(len(action), STATE))
        if timeline.repetitive:
            common = generator.normal(size=(2, STATE))  # of the video's background and action
            variation = np.sqrt(0.75) * common[action.astype(np.int64)] + np.sqrt(0.25) * variation
        prototype = np.where(action[:, None], self._prototypes[timeline.label], 0.0)
        states: np.ndarray = prototype + np.where(action, 0.5, 0.7)[:, None] * variation
        return states


def _unit(vectors: Float[np.ndarray, "*vectors state"]) -> Float[np.ndarray, "*vectors state"]:
    """Scale vectors to a root mean square of 1 so that different seeds are equally hard."""
    unit: np.ndarray = vectors / np.sqrt(np.mean(vectors**2, axis=-1, keepdims=True))
    return unit


def _mixing(rows: int, columns: int, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """Draw a matrix that maps independent unit variables to unit variables."""
    mixing: np.ndarray = generator.normal(size=(rows, columns)) / np.sqrt(rows)
    return mixing


def _covered(timeline: _Timeline, length: int) -> Float[np.ndarray, "time n"]:
    """Return the fraction of each snippet covered by each interval. A snippet at a boundary overlaps both sides."""
    first = np.arange(length, dtype=np.float64)[:, None]
    overlap: np.ndarray = np.minimum(timeline.end, first + 1) - np.maximum(timeline.start, first)
    return overlap.clip(0.0, 1.0)


def _drift(length: int, scale: float, generator: np.random.Generator) -> Float[np.ndarray, "time nuisance"]:
    """Draw stationary Gaussian processes of unit variance whose correlation falls as exp(-distance / scale)."""
    drift = generator.normal(size=(length, NUISANCE))
    if scale > 0:
        correlation = np.exp(-1.0 / scale)
        for now, before in zip(drift[1:], drift[:-1], strict=True):
            now *= np.sqrt(1.0 - correlation**2)
            now += correlation * before
    return drift


def _class_names(classes: int) -> Iterator[str]:
    digits = len(str(classes - 1))
    return (f"action_{index:0{digits}d}" for index in range(classes))
