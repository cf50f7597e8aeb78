"""`Dataset`: features matched with annotations by video, with snippet times."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.dataset_video import Video, timed_video
from sola.data.features import FeatureSet, none_left
from sola.data.findings import Finding, feature_findings
from sola.data.ids import VideoMatch, match_videos
from sola.data.manifest import MANIFEST_NAME
from sola.data.summary import Summary, summarize

Sources = FeatureSet | str | Path | Sequence[str | Path]
"""An opened feature set, or paths of feature folders or archives."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features matched with annotations by video id. Create it with `Dataset.open`.

    Examples:
        >>> import sola
        >>> data = sola.Dataset.open("features", "annotations.json")
        >>> len(data), data.classes
        (9, ('action_0', 'action_1'))
        >>> validation = data.subset("validation")
        >>> for video, features in validation.items():
        ...     print(video.id, features.ndim, features.dtype)
        validation_0000 2 float16
        validation_0001 2 float16
        validation_0002 2 float16
    """

    features: FeatureSet
    """Features of all videos; a subset has only those of its videos."""
    annotations: Annotations | None
    """Annotations, including those of videos without features."""
    videos: tuple[Video, ...]
    """Videos with features and, if annotations are given, with annotations, sorted by `feature_id`."""
    id_findings: tuple[Finding, ...] = ()
    """Findings about video ids; a subset has those of the whole data set."""
    annotated_ids: Mapping[str, str] = field(default_factory=dict)
    """Annotated id by feature id for the whole data set, including unreadable files."""

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
        """Match features with annotations by video id, and compute the snippet times of each video.

        Args:
            features: a feature set, or paths of folders or archives; several are joined along channels.
            annotations: annotations, or the path of an annotation file or folder; None for features only.
            id_prefix: prefix of the ids on one side only, such as `v_`; None detects it.
            timing: values of "fps", "stride", "window" and "offset" (frames) that the feature manifest lacks.
            skip_bad: skip unreadable files. Ignored for an opened feature set.
            channels_first: read files as [channels, time]. Ignored for an opened feature set.
            label_key: class field in an annotation file.

        Raises:
            SolaError: for bad features or annotations, if no video has both, or if the durations of most videos
                contradict the timing in the same way.

        Examples:
            >>> import sola
            >>> data = sola.Dataset.open("features", "annotations.json", label_key="label")
            >>> data.videos[0].id, data.features.channels
            ('training_0000', 16)
        """
        if not isinstance(features, FeatureSet):
            features = FeatureSet.open(features, channels_first=channels_first, skip_bad=skip_bad)
        if not isinstance(annotations, Annotations | None):
            annotations = read_annotations(annotations, label_key)
        features = features.with_timing(timing or {})
        records: dict[str, VideoAnnotation | None] = dict.fromkeys(features.videos)
        notes: list[Finding] = []
        matched: Mapping[str, str] = {}
        if annotations is not None:
            match = match_videos((*features.videos, *features.unreadable), annotations.videos, id_prefix)
            matched = match.videos
            records = {
                feature_id: annotations.videos[matched[feature_id]]
                for feature_id in features.videos
                if feature_id in matched
            }
            notes += _id_notes(match)
        bad: dict[str, str] = {}
        headers = features.only(records).headers(bad)
        if not headers:
            raise none_left({**features.unreadable, **bad}, len(matched) or len(records))
        features = features.without(bad)
        videos = tuple(
            timed_video(id_, header.shape[0], features.manifest, records[id_]) for id_, header in headers.items()
        )
        data = cls(features, annotations, videos, tuple(notes), matched)
        _ = data.summary  # raises SolaError for wrong timing
        return data

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Problems found in the data; see `sola.data.findings.KINDS`."""
        return self.summary.findings

    @cached_property
    def summary(self) -> Summary:
        """Counts of usable videos and instances, and the problems found in the data."""
        padding, bad, annotations = self.features.padding(), self.features.unreadable, self.annotations
        if annotations is None:
            notes = (*feature_findings(self.features, padding, bad), *self.id_findings)
            return Summary("", len(self), len(self), 0, 0, notes)
        ids = {self.annotated_ids[video]: video for video in bad if self.annotated_ids.get(video) in annotations.videos}
        unreadable = {video: bad[video] for video in ids.values()}
        notes = (*feature_findings(self.features, padding, unreadable), *self.id_findings)
        origin = _timing_origin(self.features)
        return summarize(self.videos, annotations, notes, unreadable=ids, padding=padding, origin=origin)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names that segment labels index, empty without annotations."""
        return () if self.annotations is None else self.annotations.classes

    @property
    def snippet_period(self) -> float | None:
        """Median time between snippets (seconds), or None if unknown or if videos differ by more than 10 %."""
        periods = [video.timing.stride / video.timing.fps for video in self.videos if video.timing is not None]
        return None if not periods or max(periods) > 1.1 * min(periods) else median(periods)

    def subset(self, name: str) -> "Dataset":
        """Return the videos of one subset.

        Args:
            name: subset name, matched as in `Annotations.subset`.

        Raises:
            SolaError: if the subset is unknown, or if none of its videos has features.
        """
        if self.annotations is None:
            raise SolaError(f"subset {name!r}: unknown without annotations; pass annotations with the features")
        annotations = self.annotations.subset(name)
        videos = tuple(video for video in self.videos if video.id in annotations.videos)
        if not videos:
            raise SolaError(
                f"subset {name!r}: none of its {len(annotations.videos)} videos has features; check subset and folder"
            )
        return self._part(videos, annotations)

    def only(self, ids: Iterable[str]) -> "Dataset":
        """Return a data set with only the videos with these ids. Raises SolaError for an unknown id."""
        chosen = set(ids)
        videos = tuple(video for video in self.videos if video.id in chosen)
        if len(videos) < len(chosen):
            unknown = min(chosen - {video.id for video in videos})
            raise SolaError(f"no video {unknown!r} in the data set; expected the id of a video with features")
        annotations = self.annotations
        if annotations is not None:
            annotations = replace(annotations, videos={video.id: annotations.videos[video.id] for video in videos})
        return self._part(videos, annotations)

    def readable(self, skipped: dict[str, str] | None = None) -> "Dataset":
        """With `skip_bad`, read all files and return a data set with only the readable videos.

        Args:
            skipped: receives the reasons for the other videos, by `feature_id`.

        Raises:
            SolaError: if no video is readable.
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
        """Return the data set without bad videos, which become a finding; `bad` maps `feature_id` to the reason."""
        bad_here = {video.feature_id: bad[video.feature_id] for video in self.videos if video.feature_id in bad}
        videos = tuple(video for video in self.videos if video.feature_id not in bad_here)
        return replace(self, features=self.features.without(bad_here), videos=videos)

    def with_features(self, features: Sources, *, name: str | None = None) -> "Dataset":
        """Return the same videos with other features, such as transformed features.

        Args:
            features: a feature set, or paths of folders or archives.
            name: name of the features in error messages; by default their path.

        Raises:
            SolaError: if the features lack a video, or if the number of snippets of a video differs.
        """
        if not isinstance(features, FeatureSet):
            features = FeatureSet.open(features, skip_bad=self.features.skip_bad)
        name = name or str(features.streams[0].source)
        features = features.with_timing(self.features.manifest.timing())
        ids = _ids_in_features(self.videos, features.videos, name)
        videos = []
        for video in self.videos:
            if video.id not in ids:
                raise SolaError(
                    f"{name}: no features of video {video.id!r}, which the raw features have; transform all videos"
                )
            length = features.length(ids[video.id])
            if length != video.length:
                raise SolaError(
                    f"{name}: video {video.id!r}: {length} snippets, but the raw features have {video.length}; "
                    "expected features computed from the raw features"
                )
            record = None if self.annotations is None else self.annotations.videos[video.id]
            videos.append(replace(timed_video(ids[video.id], length, features.manifest, record), id=video.id))
        videos.sort(key=lambda video: video.feature_id)
        return replace(self, features=features.only(ids.values()), videos=tuple(videos))

    def read(self, video: Video) -> Float[np.ndarray, "time channels"]:
        """Return the features of a video [time, channels] in their stored dtype. Raises SolaError for a bad file."""
        return self.features.read(video.feature_id)

    def items(
        self, skipped: dict[str, str] | None = None
    ) -> Iterator[tuple[Video, Float[np.ndarray, "time channels"]]]:
        """Yield each video with its features [time, channels]; see `FeatureSet` for bad files and `skipped`."""
        videos = {video.feature_id: video for video in self.videos}
        for id_, array in self.features.read_good(videos, skipped):
            yield videos[id_], array
            del array  # free this array before the next file is read

    def __len__(self) -> int:
        return len(self.videos)

    def __str__(self) -> str:
        return "\n".join(self.summary.lines)

    def _part(self, videos: tuple[Video, ...], annotations: Annotations | None) -> "Dataset":
        features = self.features.only(video.feature_id for video in videos)
        return replace(self, features=features, annotations=annotations, videos=videos)


def _ids_in_features(videos: Sequence[Video], others: Collection[str], name: str) -> dict[str, str]:
    """Return the ids in other features by data set id."""
    feature_ids = set(others)
    if all(video.feature_id in feature_ids for video in videos):
        return {video.id: video.feature_id for video in videos}
    match = match_videos(others, {video.id for video in videos}, what=f"features of {name}")
    return {id_: feature_id for feature_id, id_ in match.videos.items()}


def _id_notes(match: VideoMatch) -> list[Finding]:
    """Return findings for ids that match under a different spelling or not at all."""
    changed = [
        (feature_id, annotated_id) for feature_id, annotated_id in match.videos.items() if feature_id != annotated_id
    ]
    notes = []
    if changed:
        feature_id, annotated_id = changed[0]
        notes.append(Finding("ids", len(changed), f"{feature_id!r} for {annotated_id!r}", match.difference))
    if match.unmatched:
        notes.append(Finding("no_annotation", len(match.unmatched), repr(match.unmatched[0])))
    return notes


def _timing_origin(features: FeatureSet) -> str:
    """Return advice on where to correct fps and stride: the manifest that sets them, or the command line."""
    for stream in features.streams:
        if stream.manifest.timing():
            folder = stream.source.parent if stream.source.is_file() else stream.source
            return f"correct {folder / MANIFEST_NAME}"
    return "correct --fps and --stride"
