"""Findings: problems in a data set, by kind, with a count and an example."""

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
"""Largest accepted time difference, as a fraction of the video duration."""

PADDING = "this looks like padding; remove it with --trim-padding"
"""Advice on identical snippets at the end of a video."""

KINDS: Mapping[str, tuple[str, str]] = {
    "ids": ("video", "matched by another id"),
    "joined_streams": ("video", "with streams of different length, cut to the shortest"),
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
    "between_snippets": ("instance", "shorter than the snippet stride and without a snippet center"),
    "outside_clips": ("instance", "with less than half in any clip"),
    "unseen_class": ("instance", "of a class never seen in training"),
}
"""Kinds of findings: the noun that is counted, and the problem."""


@dataclass(frozen=True)
class Finding:
    """A problem in the data."""

    kind: str
    """A key of `KINDS`."""
    count: int
    """Number of videos, files or instances."""
    example: str
    """An example: a video id, or a phrase with a video id and the wrong values."""
    advice: str = ""
    """Likely cause or advice, or an empty string."""

    def __str__(self) -> str:
        noun, problem = KINDS[self.kind]
        subject = f"{self.count} {noun}{'s' if self.count != 1 else ''} {problem}".rstrip()
        return f"{subject}, such as {self.example}" + (f"; {self.advice}" if self.advice else "")

    def to_json(self) -> dict[str, Any]:
        """Return the kind, count, example and full message."""
        return {"kind": self.kind, "count": self.count, "example": self.example, "message": str(self)}


def instances_of(annotations: "Annotations", ids: Sequence[str]) -> SegmentTable:
    """Return the instances of these videos in one table; `video` is the position in `ids`."""
    return SegmentTable.joined([annotations.videos[id_].segments for id_ in ids])


def describe_times(instances: SegmentTable, index: int) -> str:
    """Return the times of an instance as text."""
    return f"{seconds(instances.start[index])} to {seconds(instances.end[index])} s"


def seconds(value: float) -> str:
    """Return seconds as text, rounded to two decimals.

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
    """Return findings, a mask of usable instances, and a mask of instances outside the video or its features.

    Args:
        instances: annotated instances; `video` is a position in `ids`.
        ids: video ids.
        durations: duration of each video (seconds), or infinity if unknown.
        begins: start of the features of each video (seconds), or -infinity if unknown.
        ends: end of the features of each video (seconds), or infinity if unknown.
        slack: time by which an instance may extend beyond its video without a finding (seconds).
    """
    video_index = instances.video
    empty = instances.end <= instances.start
    outside_video = (
        (instances.end > (durations + slack)[video_index]) | (instances.start < -slack[video_index])
    ) & ~empty
    outside_features = ((instances.start >= ends[video_index]) | (instances.end <= begins[video_index])) & ~empty
    findings = []
    for kind, mask in (
        ("zero_length", empty),
        ("outside_video", outside_video),
        ("outside_features", outside_features & ~outside_video),
    ):
        if not mask.any():
            continue
        first = int(np.argmax(mask))
        video = int(video_index[first])
        where = f"in {ids[video]!r}"
        if kind == "outside_video":
            where += f", which lasts {seconds(durations[video])} s"
        elif kind == "outside_features":
            where += f", whose features cover {seconds(begins[video])} to {seconds(ends[video])} s"
        most = kind == "outside_video" and 2 * mask.sum() > len(mask)
        advice = "the durations may be those of trimmed clips, or the times are not in seconds" if most else ""
        findings.append(Finding(kind, int(mask.sum()), f"{describe_times(instances, first)} {where}", advice))
    return findings, ~(empty | outside_features), outside_video | outside_features


def feature_findings(features: "FeatureSet", padding: Mapping[str, int], bad: Mapping[str, str]) -> list[Finding]:
    """Return findings about features alone, given padding snippets and reasons for bad files by video id."""
    findings = []
    if bad:
        findings.append(Finding("unreadable", len(bad), bad[min(bad)]))
    if cut := features.shortened:
        video = min(cut)
        findings.append(Finding("joined_streams", len(cut), f"{video!r} ({' and '.join(map(str, cut[video]))})"))
    for kind, snippets, advice in (("trimmed", features.trimmed, ""), ("padding", padding, PADDING)):
        affected = [video for video in features.videos if video in snippets]
        if affected:
            video, count = affected[0], f"{snippets[affected[0]]}"
            length = features.length(video) + features.trimmed.get(video, 0)
            findings.append(Finding(kind, len(affected), f"{video!r} (the last {count} of {length})", advice))
    return findings


def annotation_findings(annotations: "Annotations") -> list[Finding]:
    """Return findings about instances that need only the annotations."""
    ids = list(annotations.videos)
    durations = np.array([np.inf if v.duration is None else v.duration for v in annotations.videos.values()])
    slack = np.where(np.isfinite(durations), TOLERANCE * durations, 0.0)
    infinity = np.full(len(ids), np.inf)
    return instance_findings(instances_of(annotations, ids), ids, durations, -infinity, infinity, slack)[0]


def unseen_classes(training: "Dataset", test: "Dataset") -> list[Finding]:
    """Return a finding for test instances of classes that no training video has."""
    return unknown_classes(test, [training.classes[label] for label in seen_labels(training)])


def seen_labels(data: "Dataset") -> set[int]:
    """Return the labels that occur among the instances."""
    return {int(label) for video in data.videos for label in np.unique(video.segments.label)}


def unknown_classes(data: "Dataset", known: Collection[str]) -> list[Finding]:
    """Return a finding for instances of classes not in `known`, or no finding if `known` is empty."""
    names = set(known)
    unknown = {label for label, name in enumerate(data.classes) if name not in names} if names else set()
    instances = [(video, label) for video in data.videos for label in video.segments.label.tolist() if label in unknown]
    if not instances:
        return []
    video, label = instances[0]
    return [Finding("unseen_class", len(instances), f"{data.classes[label]!r} in {video.id!r}")]
