"""Findings: what does not fit in a data set, by kind, with a count and an example."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from sola.data.segments import SegmentTable

if TYPE_CHECKING:
    from sola.data.annotations import Annotations
    from sola.data.dataset import Dataset
    from sola.data.features import FeatureSet

TOLERANCE = 0.05
"""Share of a video's duration by which times may differ."""

PADDING = "this looks like padding, and --trim-padding removes it"
"""Advice about identical snippets at the end."""

KINDS: Mapping[str, tuple[str, str]] = {
    "ids": ("video", "matched by another id"),
    "joined_streams": ("video", "with streams of different length, joined over the snippets that all have"),
    "unreadable": ("unreadable feature file", ""),
    "no_features": ("annotated video", "without features"),
    "no_annotation": ("video", "with features but without annotation"),
    "no_instance": ("annotated video", "without an instance"),
    "timing": ("video", "whose features and annotations disagree in time"),
    "trimmed": ("video", "without the identical snippets at the end"),
    "padding": ("video", "whose features end in identical snippets"),
    "zero_length": ("instance", "of zero length"),
    "outside_video": ("instance", "outside the video"),
    "outside_features": ("instance", "outside the features"),
    "between_snippets": ("instance", "shorter than the distance of snippets, without the center of one"),
    "outside_clips": ("instance", "with less than half in any clip"),
    "unseen_class": ("instance", "of a class never seen in training"),
}
"""Descriptions of the kinds of findings: what is counted, and what is wrong with it."""


@dataclass(frozen=True)
class Finding:
    """Something in the data that does not fit."""

    kind: str
    """A key of `KINDS`."""
    count: int
    """Number of videos, files or instances."""
    example: str
    """One of them: an id, or a phrase with an id and the values that do not fit."""
    advice: str = ""
    """The likely cause, or what to do."""

    def __str__(self) -> str:
        noun, wrong = KINDS[self.kind]
        counted = f"{self.count} {noun}{'s' if self.count != 1 else ''} {wrong}".rstrip()
        return f"{counted}, such as {self.example}" + (f"; {self.advice}" if self.advice else "")

    def to_json(self) -> dict[str, Any]:
        """Return kind, count, example and the whole message."""
        return {"kind": self.kind, "count": self.count, "example": self.example, "message": str(self)}


def instances_of(annotations: "Annotations", ids: Sequence[str]) -> SegmentTable:
    """Return the instances of the videos with these ids; `video` is the position of the id."""
    return SegmentTable.joined([annotations.videos[id_].segments for id_ in ids])


def shown(instances: SegmentTable, index: int) -> str:
    """Return the times of an instance as text."""
    return f"{seconds(instances.start[index])} to {seconds(instances.end[index])} s"


def seconds(value: float) -> str:
    """Return seconds as text, to the hundredth.

    >>> seconds(40000.0), seconds(62.934)
    ('40000', '62.93')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def instance_findings(
    instances: SegmentTable,
    ids: Sequence[str],
    durations: Float[np.ndarray, " videos"],
    begins: Float[np.ndarray, " videos"],
    ends: Float[np.ndarray, " videos"],
    slack: Float[np.ndarray, " videos"],
) -> tuple[list[Finding], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return what is wrong with instances, which can be used, and which leave the video or the features.

    Args:
        instances: the annotated instances; `video` is a position in `ids`.
        ids: ids of the videos.
        durations: duration of each video, in seconds; infinite if unknown.
        begins: where each video's features begin, in seconds; -infinite if unknown.
        ends: where they end.
        slack: seconds by which an instance may leave its video without a finding.
    """
    owner = instances.video
    empty = instances.end <= instances.start
    beyond = ((instances.end > (durations + slack)[owner]) | (instances.start < -slack[owner])) & ~empty
    apart = ((instances.start >= ends[owner]) | (instances.end <= begins[owner])) & ~empty
    found = []
    for kind, mask in (("zero_length", empty), ("outside_video", beyond), ("outside_features", apart & ~beyond)):
        if not mask.any():
            continue
        first = int(np.argmax(mask))
        video = int(owner[first])
        where = f"in {ids[video]!r}"
        if kind == "outside_video":
            where += f", which lasts {seconds(durations[video])} s"
        elif kind == "outside_features":
            where += f", whose features cover {seconds(begins[video])} to {seconds(ends[video])} s"
        most = kind == "outside_video" and 2 * mask.sum() > len(mask)
        advice = "the durations look like those of trimmed clips, or the times are not in seconds" if most else ""
        found.append(Finding(kind, int(mask.sum()), f"{shown(instances, first)} {where}", advice))
    return found, ~(empty | apart), beyond | apart


def feature_findings(features: "FeatureSet", padding: Mapping[str, int], bad: Mapping[str, str]) -> list[Finding]:
    """Return what is wrong with features, as far as they alone tell; with their padding, and reasons of bad files."""
    found = []
    if bad:
        found.append(Finding("unreadable", len(bad), bad[min(bad)]))
    if cut := features.shortened:
        video = min(cut)
        found.append(Finding("joined_streams", len(cut), f"{video!r} ({' and '.join(map(str, cut[video]))})"))
    for kind, snippets, advice in (("trimmed", features.trimmed, ""), ("padding", padding, PADDING)):
        own = [video for video in features.videos if video in snippets]
        if own:
            video, what = own[0], f"{snippets[own[0]]}"
            length = features.length(video) + features.trimmed.get(video, 0)
            found.append(Finding(kind, len(own), f"{video!r} (the last {what} of {length})", advice))
    return found


def annotation_findings(annotations: "Annotations") -> list[Finding]:
    """Return what is wrong with instances as far as annotations alone tell."""
    ids = list(annotations.videos)
    durations = np.array([np.inf if v.duration is None else v.duration for v in annotations.videos.values()])
    slack = np.where(np.isfinite(durations), TOLERANCE * durations, 0.0)
    nowhere = np.full(len(ids), np.inf)
    return instance_findings(instances_of(annotations, ids), ids, durations, -nowhere, nowhere, slack)[0]


def unseen_classes(training: "Dataset", test: "Dataset") -> list[Finding]:
    """Return the finding that instances of the test videos have classes that no training video has."""
    return unknown_classes(test, [training.classes[label] for label in seen_labels(training)])


def seen_labels(data: "Dataset") -> set[int]:
    """Return the labels that instances have."""
    return {int(label) for video in data.videos for label in np.unique(video.segments.label)}


def unknown_classes(data: "Dataset", known: Collection[str]) -> list[Finding]:
    """Return the finding that instances have other classes than those known from training; none if none is known."""
    strange = {label for label, name in enumerate(data.classes) if name not in set(known)} if known else set()
    lost = [(video, label) for video in data.videos for label in video.segments.label.tolist() if label in strange]
    if not lost:
        return []
    video, label = lost[0]
    return [Finding("unseen_class", len(lost), f"{data.classes[label]!r} in {video.id!r}")]
