"""Features in object stores, of which one video at a time is fetched."""

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
    """Folders with a feature file for each video, at least one in an object store; several are joined on channels."""

    sources: tuple[Storage, ...]
    files: tuple[dict[str, StoredFile], ...]
    """Files by video of each source; a source with several streams is there once for each."""
    manifests: tuple[bool, ...]
    """Whether each source has a manifest."""
    channels_first: bool = False
    trim_padding: bool = False
    timing: Mapping[str, float] = field(default_factory=dict)
    """fps, stride, window and offset, where the manifests lack them."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Always empty: no file is read before its video is processed."""

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
        """List the sources; the options are those of `FeatureSet.open`.

        Raises SolaError if one has no features, is an archive, is not finished, or has other videos than the first.
        """
        sources: list[Storage] = []
        files: list[dict[str, StoredFile]] = []
        manifests = []
        for source in map(Storage.of, locations):
            listed = {file.name: file for file in source.files(recursive=id_from == "path")}
            check_finished(source, listed)
            found = {id_of(name, id_from): file for name, file in listed.items() if Path(name).suffix in FORMATS}
            if any(Path(name).suffix == ARCHIVE for name in (source.location, *listed)):
                raise SolaError(f"{source}: an .h5 archive is one file; expected a file for each video")
            if not found:
                raise SolaError(f"{source}: holds no feature files ({', '.join(FORMATS)})")
            for stream in split_streams(source, found, stream_suffixes).values():
                sources.append(source)
                files.append(stream)
                manifests.append(MANIFEST_NAME in listed)
                if differing := sorted(files[0].keys() ^ stream.keys()):
                    raise SolaError(
                        f"{source}: has not the videos of {sources[0]}, the first {differing[0]!r}; "
                        "add or remove files until they agree"
                    )
        return cls(tuple(sources), tuple(files), tuple(manifests), channels_first, trim_padding, timing or {})

    @property
    def locations(self) -> list[str]:
        """Paths and URLs of the sources."""
        return list(dict.fromkeys(source.location for source in self.sources))

    @property
    def videos(self) -> tuple[str, ...]:
        """Sorted ids."""
        return tuple(sorted(self.files[0]))

    def only(self, videos: Iterable[str]) -> "StoredFeatures":
        """Return the features of these videos."""
        chosen = set(videos)
        return replace(self, files=tuple({v: f for v, f in files.items() if v in chosen} for files in self.files))

    def state(self, video: str) -> list[list[int]]:
        """Return size and time of change of a video's file in each source."""
        return [files[video].state for files in self.files]

    def file_name(self, video: str) -> str:
        """Return the path of a video's file within a folder like the first source; see `FeatureSet.file_name`."""
        return file_of(video, Path(self.files[0][video].name).suffix)

    @contextmanager
    def fetched(self, video: str) -> Iterator[FeatureSet]:
        """Yield the features of one video as a FeatureSet, local while the block lasts.

        Raises SolaError, naming the file where it is stored, if it is bad.
        """
        with ExitStack() as stack:
            folders, places = [], {}
            for source, files, manifest in zip(self.sources, self.files, self.manifests, strict=True):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                names = {files[video].name: file_of(video, Path(files[video].name).suffix)}
                names |= {MANIFEST_NAME: MANIFEST_NAME} if manifest else {}
                there = stack.enter_context(source.fetched(*names))
                for name, link in names.items():
                    (folder / link).parent.mkdir(parents=True, exist_ok=True)
                    (folder / link).symlink_to(there / name)
                    places[str(folder / link)] = f"{source.location}/{name}"
                places[str(folder)] = source.location
                folders.append(folder)
            if len(self.videos) > 1:
                places[ONLY_CURE] = CURE  # other videos may be good
            with renaming_errors(places):
                features = FeatureSet.open(
                    folders, channels_first=self.channels_first, id_from="path", trim_padding=self.trim_padding
                )
                yield features.with_timing(self.timing)


Features = FeatureSet | StoredFeatures


class StoredVideo(NamedTuple):
    """Ids of a video in the annotations, if there are any, and in the features."""

    id: str
    feature_id: str


@dataclass(frozen=True)
class StoredDataset:
    """Features in object stores, matched with annotations."""

    features: StoredFeatures
    annotations: Annotations | None
    videos: tuple[StoredVideo, ...]
    id_prefix: str | None = None

    @contextmanager
    def fetched(self, video: str) -> Iterator[Dataset]:
        """Yield a data set of one video. Raises SolaError if its file is bad."""
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
    """Match features and annotations, of one subset if it is named, by video id.

    Raises SolaError as `Dataset.open` and `Dataset.subset` do.
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
    """Open features wherever they are: local ones as a FeatureSet. Raises SolaError as `FeatureSet.open` does."""
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
