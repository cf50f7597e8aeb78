"""Features in object stores, downloaded one video at a time."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile, is_remote, renaming_errors
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.formats import FORMATS
from sola.data.ids import match_videos
from sola.data.journal import check_finished
from sola.data.listing import split_streams
from sola.data.manifest import MANIFEST_NAME
from sola.data.names import IdFrom, file_of, id_of
from sola.data.streams import CURE, ONLY_CURE

ARCHIVE = ".h5"


@dataclass(frozen=True)
class StoredFeatures:
    """Folders of feature files, at least one in an object store; the channels of several folders are concatenated."""

    sources: tuple[Storage, ...]
    files: tuple[dict[str, StoredFile], ...]
    """Files by video for each source; a source with several streams has one entry per stream."""
    manifests: tuple[bool, ...]
    """Whether each source has a manifest."""
    channels_first: bool = False
    trim_padding: bool = False
    timing: Mapping[str, float] = field(default_factory=dict)
    """Values of fps, stride, window and offset that the manifests lack."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Always empty, because a file is not read before its video is processed."""

    @classmethod
    def of(
        cls,
        locations: Sequence[Path | str],
        *,
        channels_first: bool = False,
        stream_suffixes: Sequence[str] = (),
        id_from: IdFrom = "name",
        trim_padding: bool = False,
        timing: Mapping[str, float] | None = None,
    ) -> "StoredFeatures":
        """List the files of the sources; the options are those of `FeatureSet.open`.

        Raises:
            SolaError: if a source has no features, is an archive, is not finished, or has other videos than the first.
        """
        sources: list[Storage] = []
        files: list[dict[str, StoredFile]] = []
        manifests = []
        for source in map(Storage.of, locations):
            listed = {file.name: file for file in source.files(recursive=id_from == "path")}
            check_finished(source, listed)
            by_id = {id_of(name, id_from): file for name, file in listed.items() if Path(name).suffix in FORMATS}
            if any(Path(name).suffix == ARCHIVE for name in (source.location, *listed)):
                raise SolaError(f"{source}: an .h5 archive is a single file; expected one file per video")
            if not by_id:
                raise SolaError(f"{source}: holds no feature files ({', '.join(FORMATS)})")
            for stream in split_streams(source, by_id, stream_suffixes).values():
                sources.append(source)
                files.append(stream)
                manifests.append(MANIFEST_NAME in listed)
                if differing := sorted(files[0].keys() ^ stream.keys()):
                    raise SolaError(
                        f"{source}: the videos differ from those of {sources[0]}, the first is {differing[0]!r}; "
                        "add or remove files so that both have the same videos"
                    )
        return cls(tuple(sources), tuple(files), tuple(manifests), channels_first, trim_padding, timing or {})

    @property
    def locations(self) -> list[str]:
        """Paths and URLs of the sources."""
        return list(dict.fromkeys(source.location for source in self.sources))

    @property
    def videos(self) -> tuple[str, ...]:
        """Sorted video ids."""
        return tuple(sorted(self.files[0]))

    def only(self, videos: Iterable[str]) -> "StoredFeatures":
        """Return the features of these videos."""
        chosen = set(videos)
        return replace(self, files=tuple({v: f for v, f in files.items() if v in chosen} for files in self.files))

    def state(self, video: str) -> list[list[int]]:
        """Return size and modification time of the video's file in each source."""
        return [files[video].state for files in self.files]

    def file_name(self, video: str) -> str:
        """Return the relative path of the video's file in the first source; see `FeatureSet.file_name`."""
        return file_of(video, Path(self.files[0][video].name).suffix)

    @contextmanager
    def fetched(self, video: str) -> Iterator[FeatureSet]:
        """Download the features of a video, and yield them as a FeatureSet that is valid inside the block.

        Raises:
            SolaError: if a file is bad; the message has its location in the store.
        """
        with ExitStack() as stack:
            folders, locations = [], {}
            for source, files, manifest in zip(self.sources, self.files, self.manifests, strict=True):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                names = {files[video].name: file_of(video, Path(files[video].name).suffix)}
                names |= {MANIFEST_NAME: MANIFEST_NAME} if manifest else {}
                downloads = stack.enter_context(source.fetched(*names))
                for name, link in names.items():
                    (folder / link).parent.mkdir(parents=True, exist_ok=True)
                    (folder / link).symlink_to(downloads / name)
                    locations[str(folder / link)] = f"{source.location}/{name}"
                locations[str(folder)] = source.location
                folders.append(folder)
            if len(self.videos) > 1:
                locations[ONLY_CURE] = CURE  # other videos may be good
            with renaming_errors(locations):
                features = FeatureSet.open(
                    folders, channels_first=self.channels_first, id_from="path", trim_padding=self.trim_padding
                )
                yield features.with_timing(self.timing)


Features = FeatureSet | StoredFeatures


class StoredVideo(NamedTuple):
    """Ids of a video."""

    id: str
    """Id in the annotations, or in the features if there are no annotations."""
    feature_id: str
    """Id in the features."""


@dataclass(frozen=True)
class StoredDataset:
    """Features in object stores, matched with annotations."""

    features: StoredFeatures
    annotations: Annotations | None
    videos: tuple[StoredVideo, ...]
    id_prefix: str | None = None

    @contextmanager
    def fetched(self, video: str) -> Iterator[Dataset]:
        """Download a video's features and yield a data set of this video. Raises SolaError if its file is bad."""
        annotations = self.annotations and replace(self.annotations, videos={video: self.annotations.videos[video]})
        feature_id = next(each.feature_id for each in self.videos if each.id == video)
        with self.features.fetched(feature_id) as features:
            yield Dataset.open(features, annotations, id_prefix=self.id_prefix)


Data = Dataset | StoredDataset


def match_features(
    features: Features,
    annotations: Annotations | None = None,
    *,
    subset: str | None = None,
    id_prefix: str | None = None,
) -> Data:
    """Match features and annotations by video id, for all videos or one subset.

    Raises:
        SolaError: if they do not match, or the subset is unknown; see `Dataset.open` and `Dataset.subset`.
    """
    if isinstance(features, FeatureSet):
        data = Dataset.open(features, annotations, id_prefix=id_prefix)
        return data if subset is None else data.subset(subset)
    ids: Mapping[str, str] = {video: video for video in features.videos}
    if annotations is not None:
        annotations = annotations if subset is None else annotations.subset(subset)
        ids = match_videos(features.videos, annotations.videos, id_prefix).videos
    videos = tuple(StoredVideo(id_, feature_id) for feature_id, id_ in ids.items())
    return StoredDataset(features, annotations, videos, id_prefix)


def open_features(
    locations: Sequence[Path | str],
    *,
    channels_first: bool = False,
    skip_bad: bool = False,
    stream_suffixes: Sequence[str] = (),
    id_from: IdFrom = "name",
    trim_padding: bool = False,
    timing: Mapping[str, float] | None = None,
) -> Features:
    """Open local features as a FeatureSet, or list features in object stores; the options are those of FeatureSet.open.

    Raises:
        SolaError: if features are missing or bad.
    """
    if any(map(is_remote, locations)):
        return StoredFeatures.of(
            locations,
            channels_first=channels_first,
            stream_suffixes=stream_suffixes,
            id_from=id_from,
            trim_padding=trim_padding,
            timing=timing,
        )
    features = FeatureSet.open(
        list(locations),
        channels_first=channels_first,
        skip_bad=skip_bad,
        stream_suffixes=stream_suffixes,
        id_from=id_from,
        trim_padding=trim_padding,
    )
    return features.with_timing(timing or {})
