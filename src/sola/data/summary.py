"""Data set summary that commands print and record: usable videos and instances, and problems."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from sola.core.log import counted
from sola.data.annotations import Annotations
from sola.data.findings import TOLERANCE, Finding, describe_times, instance_findings, instances_of, unseen_classes
from sola.data.instance_checks import check_instances, check_last_instances
from sola.data.segments import SegmentTable
from sola.data.time_checks import Ends, check_durations, check_rate

if TYPE_CHECKING:
    from sola.data.dataset import Dataset
    from sola.data.dataset_video import Video


@dataclass(frozen=True)
class Summary:
    """Usable and annotated videos and instances of a data set, and problems found in it."""

    name: str
    """Subsets of the videos, or an empty string without annotations."""
    videos: int
    """Number of videos with features and, if annotations are given, with annotations."""
    annotated_videos: int
    """Number of annotated videos."""
    instances: int
    """Number of instances of positive length that overlap the features."""
    annotated_instances: int
    """Number of annotated instances."""
    findings: tuple[Finding, ...]
    """Problems found in the data."""

    @property
    def lines(self) -> list[str]:
        """Lines of text: the counts, then one line per finding."""
        return [self.counts, *map(str, self.findings)]

    @property
    def counts(self) -> str:
        """The counts as a line of text."""
        if not self.name:
            return f"{counted(self.videos, 'video')} with features"
        videos = _of(self.videos, self.annotated_videos, "annotated video")
        instances = _of(self.instances, self.annotated_instances, "instance")
        return f"{self.name}: {videos} with {instances}"

    def plus(self, *findings: Finding) -> "Summary":
        """Return the summary with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the findings as plain values."""
        values = {name: value for name, value in vars(self).items() if name not in ("name", "findings")}
        return {**values, "findings": [finding.to_json() for finding in self.findings]}


def split_summaries(data: "Dataset", training: str, test: str) -> tuple[Summary, Summary]:
    """Return the summaries of two subsets. The test summary includes classes never seen in training."""
    parts = data.subset(training), data.subset(test)
    return parts[0].summary, parts[1].summary.plus(*unseen_classes(*parts))


def summaries_json(*summaries: Summary) -> dict[str, Any]:
    """Return summaries as plain values by subset name, or "features" without annotations."""
    return {summary.name or "features": summary.to_json() for summary in summaries}


def lines_of(*summaries: Summary) -> list[str]:
    """Return the lines of several summaries, without duplicate lines."""
    return list(dict.fromkeys(line for summary in summaries for line in summary.lines))


def _of(used: int, annotated: int, noun: str) -> str:
    return counted(annotated, noun) if used == annotated else f"{used:,} of {counted(annotated, noun)}"


def summarize(
    videos: Sequence["Video"],
    annotations: Annotations,
    notes: Sequence[Finding],
    *,
    unreadable: Collection[str],
    padding: Mapping[str, int],
    origin: str,
) -> Summary:
    """Return the summary of annotated videos.

    Args:
        videos: videos with features.
        annotations: annotations of these videos and of videos without features.
        notes: findings about files and ids.
        unreadable: ids of annotated videos with unreadable features.
        padding: number of trailing padding snippets, by feature id.
        origin: advice on where to correct fps and stride.

    Raises SolaError if most videos contradict the timing in the same way.
    """
    ids = [video.id for video in videos]
    records = [annotations.videos[id_] for id_ in ids]
    findings = list(notes)
    missing = sorted(annotations.videos.keys() - set(ids) - set(unreadable))
    if missing:
        findings.append(Finding("no_features", len(missing), repr(missing[0])))
    without = [record.video for record in records if not len(record.segments)]
    if without:
        findings.append(Finding("no_instance", len(without), repr(without[0])))

    durations, fps = [record.duration for record in records], [record.fps for record in records]
    ends = Ends.of(videos, padding, durations, [record.features_duration for record in records], fps)
    instances = instances_of(annotations, ids)
    duration = np.where(np.isfinite(ends.duration), ends.duration, np.inf)
    begin, end = _extents(videos)
    slack = np.where(np.isfinite(duration), np.fmax(TOLERANCE * duration, ends.slack), 0.0)
    instance_notes, usable, outside = instance_findings(instances, ids, duration, begin, end, slack)
    check_instances(ends, instances, outside)
    findings += check_durations(ends, origin)
    findings += check_rate(ends)
    findings += check_last_instances(ends, instances)
    findings += instance_notes
    findings += _between_snippets(videos, instances, usable)

    subsets = " and ".join(sorted({record.subset for record in annotations.videos.values()}))
    total = sum(len(record.segments) for record in annotations.videos.values())
    return Summary(subsets, len(videos), len(annotations.videos), int(usable.sum()), total, tuple(findings))


def _between_snippets(
    videos: Sequence["Video"], instances: SegmentTable, usable: Bool[np.ndarray, " n"]
) -> list[Finding]:
    """Return a finding for instances without a snippet center, which label no snippet."""
    empty = [np.empty(0, bool)]
    for video in videos:
        if video.timing is None:
            empty.append(np.zeros(len(video.segments), bool))
        else:
            first, stop = video.timing.inside(video.segments, video.length)
            empty.append(stop <= first)
    unlabeled = np.concatenate(empty) & usable
    if not unlabeled.any():
        return []
    index = int(np.argmax(unlabeled))
    where = f"{describe_times(instances, index)} in {videos[int(instances.video[index])].id!r}"
    return [Finding("between_snippets", int(unlabeled.sum()), where)]


def _extents(videos: Sequence["Video"]) -> tuple[Float[np.ndarray, " videos"], Float[np.ndarray, " videos"]]:
    """Return start and end of the features of each video (seconds), or ±infinity if unknown.

    A snippet extends halfway to the next one, or to the end of its window if that is further.
    """
    begins, ends = np.full(len(videos), -np.inf), np.full(len(videos), np.inf)
    for index, video in enumerate(videos):
        if video.timing is not None:
            half = video.timing.window / 2 / video.timing.fps
            first, last = video.timing.seconds(0.0), video.timing.seconds(video.length - 1.0)
            begins[index] = min(video.timing.edge(0), first - half)
            ends[index] = max(video.timing.edge(video.length), last + half)
    return begins, ends
