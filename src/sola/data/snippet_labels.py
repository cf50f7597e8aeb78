"""Class labels of every snippet, for linear classifiers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.segments import BACKGROUND

Read = Callable[[str], Float[np.ndarray, "time channels"]]
"""Function that returns the features of a video by id, as float32."""

DRAWS = 1000
"""Number of attempts to draw videos with both action and background."""

SHARED = 0.5
"""Minimum fraction of an instance that another class must cover to count as simultaneous."""


@dataclass(frozen=True, eq=False)
class SnippetLabels:
    """Classes of snippets: none for background, several where instances overlap."""

    index: Int[np.ndarray, " snippets"]
    """Row of `sets` of each snippet, or `BACKGROUND`."""
    sets: Bool[np.ndarray, "sets classes"]
    """The different sets of classes that snippets have."""

    @property
    def action(self) -> Bool[np.ndarray, " snippets"]:
        """Mask of snippets that have a class."""
        action: Bool[np.ndarray, " snippets"] = self.index != BACKGROUND
        return action


@dataclass(frozen=True, eq=False)
class LabeledVideos:
    """Videos with the classes of every snippet."""

    videos: tuple[str, ...]
    """Video ids."""
    labels: tuple[Int[np.ndarray, " _"], ...]
    """For each video, the row of `sets` of each snippet, or `BACKGROUND`."""
    sets: Bool[np.ndarray, "sets classes"]
    """The different sets of classes that snippets have."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of snippets of each video."""
        return tuple(map(len, self.labels))

    @property
    def flat_labels(self) -> SnippetLabels:
        """Labels of all snippets, video after video."""
        return SnippetLabels(np.concatenate(self.labels), self.sets)

    @property
    def flat_video(self) -> Int[np.ndarray, " snippets"]:
        """Video of each snippet, as a position in `videos`."""
        return np.repeat(np.arange(len(self.videos)), self.lengths)

    def take(self, positions: Sequence[int]) -> "LabeledVideos":
        """Return the videos at these positions."""
        videos, labels = tuple(self.videos[i] for i in positions), tuple(self.labels[i] for i in positions)
        return LabeledVideos(videos, labels, self.sets)

    def draw(self, count: int, seed: int) -> tuple[int, ...]:
        """Draw positions of `count` videos that include both action and background. Raises SolaError on failure."""
        if count > len(self.videos):
            raise SolaError(
                f"labels of {count} videos requested, but only {len(self.videos)} have labels; request fewer videos"
            )
        generator = np.random.default_rng(seed)
        for _ in range(DRAWS):
            chosen = np.sort(generator.choice(len(self.videos), size=count, replace=False)).tolist()
            if self.take(chosen).has_both_kinds():
                return tuple(chosen)
        raise SolaError(f"no {count} videos with both action and background in {DRAWS} draws; request more videos")

    def has_both_kinds(self) -> bool:
        """Return True if there are both action and background snippets."""
        action = self.flat_labels.action
        return bool(action.any() and not action.all())

    def stack(self, read: Read) -> Float[np.ndarray, "snippets channels"]:
        """Return the L2-normalized features of all snippets, video after video."""
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
    """Label every snippet of the videos, sorted by id. Raises SolaError unless there are action and background."""
    videos = sorted(data.videos, key=lambda video: video.id)
    classes = len(data.classes)
    sets = {bytes(classes): BACKGROUND}
    labels = []
    for video in videos:
        covered = video.grid.covered(video.segments, video.length, classes)
        changes = np.flatnonzero((covered[1:] != covered[:-1]).any(axis=1)) + 1
        starts = np.concatenate([[0], changes])
        rows = [sets.setdefault(covered[start].tobytes(), len(sets) - 1) for start in starts]
        labels.append(np.repeat(rows, np.diff(starts, append=video.length)))
    table = np.frombuffer(b"".join(sets), np.bool_).reshape(len(sets), classes)[1:]  # without the background
    labeled = LabeledVideos(tuple(video.id for video in videos), tuple(labels), table)
    if not labeled.has_both_kinds():
        only_kind = "action" if labeled.flat_labels.action.all() else "background"
        subsets = " and ".join(sorted({str(video.subset) for video in videos}))
        raise SolaError(
            f"subset {subsets!r}: all {sum(labeled.lengths)} snippets are {only_kind}; "
            "linear evaluation needs action and background: check annotations, fps and stride"
            + "".join(f"; {finding}" for finding in data.findings)
        )
    return labeled


def most_classes_together(data: Dataset) -> int:
    """Return the largest number of simultaneous classes in an annotated instance, 1 without overlap.

    A class counts if its instances cover at least `SHARED` of the snippets in the instance, so that a short overlap at
    the boundary of two actions does not count.
    """
    most = 1
    for video in data.videos:
        covered = video.grid.covered(video.segments, video.length, len(data.classes))
        for first, stop in zip(*video.grid.inside(video.segments, video.length), strict=True):
            if first < stop:
                most = max(most, int((covered[first:stop].mean(axis=0) >= SHARED).sum()))
    return most


def reader(data: Dataset) -> Read:
    """Return a function that reads the features of a video by id, as float32."""
    videos = {video.id: video for video in data.videos}
    return lambda id_: data.read(videos[id_]).astype(np.float32)


def unit_vectors(features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time channels"]:
    """Return L2-normalized snippets as float32. A zero snippet stays zero."""
    values = features.astype(np.float32)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Float[np.ndarray, "time channels"] = values / np.where(norm > 0, norm, 1)
    return unit
