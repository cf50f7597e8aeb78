"""The summary that every command prints and records: what is used of a data set, and what does not fit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from sola.data.annotations import Annotations
from sola.data.findings import TOLERANCE, Finding, instance_findings, instances_of, shown, unseen_classes
from sola.data.instance_checks import check_instances, check_last_instances
from sola.data.segments import SegmentTable
from sola.data.time_checks import Ends, check_durations, check_rate

if TYPE_CHECKING:
    from sola.data.dataset import Dataset, Video


@dataclass(frozen=True)
class Summary:
    """Videos and instances of a data set that are used, out of those annotated, and what does not fit."""

    name: str
    """Subsets of the videos; empty without annotations."""
    videos: int
    """Videos with features and, if there are annotations, an annotation."""
    annotated_videos: int
    instances: int
    """Instances of some length that lie, at least in part, where the features are."""
    annotated_instances: int
    findings: tuple[Finding, ...]

    @property
    def lines(self) -> list[str]:
        """The summary as lines of text: the counts, then a line for each finding."""
        return [self.counts, *map(str, self.findings)]

    @property
    def counts(self) -> str:
        """The counts as one line of text."""
        if not self.name:
            return f"{_counted(self.videos, 'video')} with features"
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
    """Return the summaries of two subsets; that of the test subset also counts classes never seen in training."""
    parts = data.subset(training), data.subset(test)
    return parts[0].summary, parts[1].summary.plus(*unseen_classes(*parts))


def summaries_json(*summaries: Summary) -> dict[str, Any]:
    """Return summaries by the names of their subsets, as plain values; "features" is the name without annotations."""
    return {summary.name or "features": summary.to_json() for summary in summaries}


def lines_of(*summaries: Summary) -> list[str]:
    """Return the lines of several summaries; a finding that they share comes once."""
    return list(dict.fromkeys(line for summary in summaries for line in summary.lines))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _of(used: int, annotated: int, noun: str) -> str:
    return _counted(annotated, noun) if used == annotated else f"{used:,} of {_counted(annotated, noun)}"


def summarize(
    videos: Sequence["Video"],
    annotations: Annotations,
    notes: Sequence[Finding],
    *,
    unreadable: Collection[str],
    padding: Mapping[str, int],
    origin: str,
) -> Summary:
    """Return what is used of annotated videos, and what does not fit.

    Args:
        videos: videos with features.
        annotations: the annotations of these and of videos without features.
        notes: findings about files and ids.
        unreadable: ids of annotated videos whose features cannot be read.
        padding: snippets of padding at the end of videos, by id in the features.
        origin: where fps and stride are corrected.

    Raises SolaError if most videos contradict the timing in the same way.
    """
    ids = [video.id for video in videos]
    records = [annotations.videos[id_] for id_ in ids]
    found = list(notes)
    missing = sorted(annotations.videos.keys() - set(ids) - set(unreadable))
    if missing:
        found.append(Finding("no_features", len(missing), repr(missing[0])))
    without = [record.video for record in records if not len(record.segments)]
    if without:
        found.append(Finding("no_instance", len(without), repr(without[0])))

    durations, fps = [record.duration for record in records], [record.fps for record in records]
    ends = Ends.of(videos, padding, durations, [record.features_duration for record in records], fps)
    instances = instances_of(annotations, ids)
    duration = np.where(np.isfinite(ends.duration), ends.duration, np.inf)
    begin, end = _extents(videos)
    slack = np.where(np.isfinite(duration), np.fmax(TOLERANCE * duration, ends.slack), 0.0)
    odd, usable, outside = instance_findings(instances, ids, duration, begin, end, slack)
    check_instances(ends, instances, outside)
    found += check_durations(ends, origin)
    found += check_rate(ends)
    found += check_last_instances(ends, instances)
    found += odd
    found += _between_snippets(videos, instances, usable)

    subsets = " and ".join(sorted({record.subset for record in annotations.videos.values()}))
    total = sum(len(record.segments) for record in annotations.videos.values())
    return Summary(subsets, len(videos), len(annotations.videos), int(usable.sum()), total, tuple(found))


def _between_snippets(
    videos: Sequence["Video"], instances: SegmentTable, usable: Bool[np.ndarray, " n"]
) -> list[Finding]:
    """Return the finding that instances hold the center of no snippet, so that no snippet is labeled with them."""
    empty = [np.empty(0, bool)]
    for video in videos:
        if video.timing is None:
            empty.append(np.zeros(len(video.segments), bool))
        else:
            first, stop = video.timing.inside(video.segments, video.length)
            empty.append(stop <= first)
    lost = np.concatenate(empty) & usable
    if not lost.any():
        return []
    index = int(np.argmax(lost))
    where = f"{shown(instances, index)} in {videos[int(instances.video[index])].id!r}"
    return [Finding("between_snippets", int(lost.sum()), where)]


def _extents(videos: Sequence["Video"]) -> tuple[Float[np.ndarray, " videos"], Float[np.ndarray, " videos"]]:
    """Return where the snippets of each video begin and end, in seconds: infinite where nothing tells.

    A snippet reaches halfway to the next, or to the end of its window where that is further.
    """
    begins, ends = np.full(len(videos), -np.inf), np.full(len(videos), np.inf)
    for index, video in enumerate(videos):
        if video.timing is not None:
            half = video.timing.window / 2 / video.timing.fps
            first, last = video.timing.seconds(0.0), video.timing.seconds(video.length - 1.0)
            begins[index] = min(video.timing.edge(0), first - half)
            ends[index] = max(video.timing.edge(video.length), last + half)
    return begins, ends
