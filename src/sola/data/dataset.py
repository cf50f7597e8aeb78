"""`Dataset`: features matched with annotations and placed in time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.features import FeatureSet, none_left
from sola.data.findings import Finding, feature_findings
from sola.data.ids import VideoMatch, match_videos
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.data.segments import Segments
from sola.data.summary import Summary, summarize
from sola.data.timing import SnippetGrid, resolve_grid

Sources = FeatureSet | str | Path | Sequence[str | Path]
"""Opened features, or folders or archives of features."""


@dataclass(frozen=True, eq=False)
class Video:
    """One video of a data set."""

    id: str
    """Id in the annotations; without annotations, the id in the features."""
    feature_id: str
    """Id in the features."""
    length: int
    """Snippets."""
    segments: Segments
    """Annotated segments; empty without annotations."""
    duration: float | None
    """Seconds; None if unknown."""
    subset: str | None
    """None without annotations."""
    timing: SnippetGrid | None
    """Position of the snippets in time; None if unknown."""

    @property
    def grid(self) -> SnippetGrid:
        """Position of the snippets in time. Raises SolaError if unknown."""
        if self.timing is None:
            raise SolaError(
                f"video {self.id!r}: the times of its snippets are unknown; expected fps in features.json or as --fps "
                "(and --stride, --window, --offset), or fps or duration in the annotations"
            )
        return self.timing


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and annotations of the same videos."""

    features: FeatureSet
    """All features; those of its videos in a part of the data set."""
    annotations: Annotations | None
    """Annotations, also of videos without features."""
    videos: tuple[Video, ...]
    """Videos that have features and, if there are annotations, an annotation; sorted by `feature_id`."""
    notes: tuple[Finding, ...] = ()
    """Findings about ids; a part of a data set has those of the whole."""
    matched: Mapping[str, str] = field(default_factory=dict)
    """Annotated id by the id in the features, of the whole data set, also of unreadable files."""

    @classmethod
    def open(
        cls,
        features: Sources,
        annotations: Annotations | str | Path | None = None,
        *,
        id_prefix: str | None = None,
        timing: Mapping[str, float] | None = None,
        skip_bad: bool = False,
        channels_first: bool = False,
        label_key: str = "label",
    ) -> "Dataset":
        """Match features with annotations by video id, and place the snippets of each video in time.

        Args:
            features: opened features, or folders or archives; several are joined on channels.
            annotations: annotations, or a file in ActivityNet's layout.
            id_prefix: prefix of the ids on one side only, such as `v_`; None detects it.
            timing: fps, stride, window and offset (frames), for what the features' manifest lacks.
            skip_bad: leave out unreadable files; ignored for opened features.
            channels_first: whether files hold [channels, time]; ignored for opened features.
            label_key: field of the class in a file of annotations.

        Raises SolaError for bad features or annotations, if no video has both, or if most videos contradict the timing
        in the same way.
        """
        if not isinstance(features, FeatureSet):
            features = FeatureSet.open(features, channels_first=channels_first, skip_bad=skip_bad)
        if not isinstance(annotations, Annotations | None):
            annotations = read_annotations(Path(annotations), label_key)
        features = features.with_timing(timing or {})
        records: dict[str, VideoAnnotation | None] = dict.fromkeys(features.videos)
        notes: list[Finding] = []
        matched: Mapping[str, str] = {}
        if annotations is not None:
            match = match_videos((*features.videos, *features.unreadable), annotations.videos, id_prefix)
            matched = match.videos
            records = {ours: annotations.videos[matched[ours]] for ours in features.videos if ours in matched}
            notes += _id_notes(match)
        bad: dict[str, str] = {}
        headers = features.only(records).headers(bad)
        if not headers:
            raise none_left({**features.unreadable, **bad}, len(matched) or len(records))
        features = features.without(bad)
        videos = tuple(_video(id_, header.shape[0], features.manifest, records[id_]) for id_, header in headers.items())
        data = cls(features, annotations, videos, tuple(notes), matched)
        _ = data.summary  # raises for timing that cannot be right
        return data

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What does not fit; see `sola.data.findings.KINDS`."""
        return self.summary.findings

    @cached_property
    def summary(self) -> Summary:
        """Videos and instances that are used, and what does not fit."""
        padding, bad, annotations = self.features.padding(), self.features.unreadable, self.annotations
        if annotations is None:
            notes = (*feature_findings(self.features, padding, bad), *self.notes)
            return Summary("", len(self), len(self), 0, 0, notes)
        ids = {self.matched[video]: video for video in bad if self.matched.get(video) in annotations.videos}
        own = {video: bad[video] for video in ids.values()}
        notes = (*feature_findings(self.features, padding, own), *self.notes)
        origin = _timing_origin(self.features)
        return summarize(self.videos, annotations, notes, unreadable=ids, padding=padding, origin=origin)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names that the labels of segments index; none without annotations."""
        return () if self.annotations is None else self.annotations.classes

    @property
    def snippet_period(self) -> float | None:
        """Seconds from one snippet to the next, median; None if unknown, or if videos differ by more than 10 %."""
        periods = [video.timing.stride / video.timing.fps for video in self.videos if video.timing is not None]
        return None if not periods or max(periods) > 1.1 * min(periods) else median(periods)

    def subset(self, name: str) -> "Dataset":
        """Return the videos of one subset. Raises SolaError if it is unknown or none of its videos has features."""
        if self.annotations is None:
            raise SolaError(f"subset {name!r}: unknown without annotations; expected annotations with the features")
        annotations = self.annotations.subset(name)
        videos = tuple(video for video in self.videos if video.id in annotations.videos)
        if not videos:
            raise SolaError(
                f"subset {name!r}: none of its {len(annotations.videos)} videos has features; check subset and folder"
            )
        return self._part(videos, annotations)

    def only(self, ids: Iterable[str]) -> "Dataset":
        """Return the videos with these ids. Raises SolaError for an unknown id."""
        chosen = set(ids)
        videos = tuple(video for video in self.videos if video.id in chosen)
        if len(videos) < len(chosen):
            unknown = min(chosen - {video.id for video in videos})
            raise SolaError(f"no video {unknown!r} in the data set; expected one that has features")
        annotations = self.annotations
        if annotations is not None:
            annotations = replace(annotations, videos={video.id: annotations.videos[video.id] for video in videos})
        return self._part(videos, annotations)

    def readable(self, skipped: dict[str, str] | None = None) -> "Dataset":
        """With `skip_bad`, return the videos whose file is readable; `skipped` gets the reasons for the others.

        Raises SolaError if none is.
        """
        if not self.features.skip_bad:
            return self
        bad: dict[str, str] = {}
        good = [video for video, _ in self.items(bad)]
        if self.videos and not good:
            raise none_left(bad, len(bad))
        if skipped is not None:
            skipped |= bad
        return self.without(bad)

    def without(self, bad: Mapping[str, str]) -> "Dataset":
        """Return the data set without videos whose files are bad, a finding; `bad` has the reasons by `feature_id`."""
        own = {video.feature_id: bad[video.feature_id] for video in self.videos if video.feature_id in bad}
        videos = tuple(video for video in self.videos if video.feature_id not in own)
        return replace(self, features=self.features.without(own), videos=videos)

    def with_features(self, features: Sources, *, name: str | None = None) -> "Dataset":
        """Return the same videos with other features, such as transformed ones, which messages call `name`.

        Raises SolaError if the features lack a video, or have another number of snippets for it.
        """
        if not isinstance(features, FeatureSet):
            features = FeatureSet.open(features, skip_bad=self.features.skip_bad)
        name = name or str(features.streams[0].source)
        features = features.with_timing(self.features.manifest.timing())
        ids = _their_ids(self.videos, features.videos, name)
        videos = []
        for video in self.videos:
            if video.id not in ids:
                raise SolaError(
                    f"{name}: has no features of video {video.id!r}, which the raw ones have; transform all videos"
                )
            length = features.length(ids[video.id])
            if length != video.length:
                raise SolaError(
                    f"{name}: video {video.id!r}: {length} snippets, where the raw features have {video.length}; "
                    "expected features that were computed from these"
                )
            record = None if self.annotations is None else self.annotations.videos[video.id]
            videos.append(replace(_video(ids[video.id], length, features.manifest, record), id=video.id))
        videos.sort(key=lambda video: video.feature_id)
        return replace(self, features=features.only(ids.values()), videos=tuple(videos))

    def read(self, video: Video) -> Float[np.ndarray, "time channels"]:
        """Return a video's features in their stored dtype. Raises SolaError naming a bad file."""
        return self.features.read(video.feature_id)

    def items(
        self, skipped: dict[str, str] | None = None
    ) -> Iterator[tuple[Video, Float[np.ndarray, "time channels"]]]:
        """Yield every video with its features; for bad files and `skipped` see `FeatureSet`."""
        videos = {video.feature_id: video for video in self.videos}
        for id_, array in self.features.read_good(videos, skipped):
            yield videos[id_], array
            del array  # or two files would be in memory while the next is read

    def __len__(self) -> int:
        return len(self.videos)

    def __str__(self) -> str:
        return "\n".join(self.summary.lines)

    def _part(self, videos: tuple[Video, ...], annotations: Annotations | None) -> "Dataset":
        features = self.features.only(video.feature_id for video in videos)
        return replace(self, features=features, annotations=annotations, videos=videos)


def _video(feature_id: str, length: int, manifest: Manifest, record: VideoAnnotation | None) -> Video:
    """Return a video; timing comes from the manifest or else from the annotation."""
    timing = resolve_grid(
        length,
        **manifest.timing(),
        annotation_fps=None if record is None else record.fps,
        duration=None if record is None else record.features_duration,
    )
    if record is None:
        return Video(feature_id, feature_id, length, Segments.empty(), None, None, timing)
    return Video(record.video, feature_id, length, record.segments, record.duration, record.subset, timing)


def _their_ids(videos: Sequence[Video], others: Collection[str], name: str) -> dict[str, str]:
    """Return the ids in other features by the ids in the data set."""
    theirs = set(others)
    if all(video.feature_id in theirs for video in videos):
        return {video.id: video.feature_id for video in videos}
    match = match_videos(others, {video.id for video in videos}, what=f"features of {name}")
    return {id_: theirs for theirs, id_ in match.videos.items()}


def _id_notes(match: VideoMatch) -> list[Finding]:
    """Return the findings about ids: matched by another id, and without a match."""
    changed = [(ours, theirs) for ours, theirs in match.videos.items() if ours != theirs]
    notes = []
    if changed:
        ours, theirs = changed[0]
        notes.append(Finding("ids", len(changed), f"{ours!r} for {theirs!r}", match.difference))
    if match.unmatched:
        notes.append(Finding("no_annotation", len(match.unmatched), repr(match.unmatched[0])))
    return notes


def _timing_origin(features: FeatureSet) -> str:
    """Say where to correct fps and stride: in the manifest that states them, or on the command line."""
    for stream in features.streams:
        if stream.manifest.timing():
            folder = stream.source.parent if stream.source.is_file() else stream.source
            return f"correct {folder / MANIFEST_NAME}"
    return "correct --fps and --stride"
