"""Videos with a label for every snippet, for linear evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.segments import BACKGROUND

Read = Callable[[str], Float[np.ndarray, "time channels"]]
"""Features of a video by its id, float32."""

DRAWS = 1000
"""Attempts to draw videos with both action and background."""


@dataclass(frozen=True)
class LabeledVideos:
    """Ids of videos, and the class index or `BACKGROUND` of every snippet."""

    videos: tuple[str, ...]
    labels: tuple[Int[np.ndarray, " _"], ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Snippets of each video."""
        return tuple(map(len, self.labels))

    @property
    def flat_labels(self) -> Int[np.ndarray, " snippets"]:
        """Labels of all snippets, video after video."""
        return np.concatenate(self.labels)

    @property
    def flat_video(self) -> Int[np.ndarray, " snippets"]:
        """Position of the video of every snippet."""
        return np.repeat(np.arange(len(self.videos)), self.lengths)

    def take(self, positions: Sequence[int]) -> "LabeledVideos":
        """Return the videos at these positions."""
        return LabeledVideos(tuple(self.videos[i] for i in positions), tuple(self.labels[i] for i in positions))

    def draw(self, count: int, seed: int) -> tuple[int, ...]:
        """Draw the positions of `count` videos with both action and background. Raises SolaError if that fails."""
        if count > len(self.videos):
            raise SolaError(
                f"labels of {count} videos asked for, but only {len(self.videos)} have labels; ask for fewer"
            )
        generator = np.random.default_rng(seed)
        for _ in range(DRAWS):
            chosen = np.sort(generator.choice(len(self.videos), size=count, replace=False)).tolist()
            if self.take(chosen).has_both_kinds():
                return tuple(chosen)
        raise SolaError(f"no {count} videos with both action and background in {DRAWS} draws; ask for labels of more")

    def has_both_kinds(self) -> bool:
        """Whether there are action and background snippets."""
        action = self.flat_labels != BACKGROUND
        return bool(action.any() and not action.all())

    def stack(self, read: Read) -> Float[np.ndarray, "snippets channels"]:
        """Return the unit vectors of all snippets, video after video."""
        stacked: Float[np.ndarray, "snippets channels"] | None = None
        start = 0
        for video, length in zip(self.videos, self.lengths, strict=True):
            values = read(video)
            if stacked is None:
                stacked = np.empty((sum(self.lengths), values.shape[1]), np.float32)
            stacked[start : start + length] = unit_vectors(values)
            start += length
        assert stacked is not None, "no video"
        return stacked


def label_videos(data: Dataset) -> LabeledVideos:
    """Label every snippet of the videos, in order of id. Raises SolaError unless there is action and background."""
    videos = sorted(data.videos, key=lambda video: video.id)
    labels = tuple(video.grid.covered(video.segments, video.length) for video in videos)
    labeled = LabeledVideos(tuple(video.id for video in videos), labels)
    if not labeled.has_both_kinds():
        found = "action" if (labeled.flat_labels != BACKGROUND).all() else "background"
        subsets = " and ".join(sorted({str(video.subset) for video in videos}))
        raise SolaError(
            f"subset {subsets!r}: all {sum(labeled.lengths)} snippets are {found}; "
            "linear evaluation needs both kinds: check the annotations, and fps and stride"
        )
    return labeled


def reader(data: Dataset) -> Read:
    """Return a function that reads the features of a video by its id, as float32."""
    videos = {video.id: video for video in data.videos}
    return lambda id_: data.read(videos[id_]).astype(np.float32)


def unit_vectors(features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time channels"]:
    """Return L2-normalized snippets, float32; a zero snippet stays zero."""
    values = features.astype(np.float32)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Float[np.ndarray, "time channels"] = values / np.where(norm > 0, norm, 1)
    return unit
