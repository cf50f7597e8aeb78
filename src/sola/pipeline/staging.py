"""Files brought to where they are worked on."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.formats import FORMATS
from sola.data.manifest import MANIFEST_NAME
from sola.data.unfinished import must_be_finished
from sola.pipeline.storage import Storage, is_remote

ARCHIVE = ".h5"


@dataclass(frozen=True)
class StoredFeatures:
    """Feature folders, here or in object stores, of which single videos are fetched; several are streams."""

    sources: tuple[Storage, ...]
    files: tuple[dict[str, str], ...]
    """Of each source: the name of each video's file."""
    described: tuple[bool, ...]
    """Which sources have a manifest."""
    channels_first: bool = False

    @classmethod
    def of(cls, locations: Sequence[Path | str], *, channels_first: bool = False) -> "StoredFeatures":
        """List the sources.

        Raises SolaError when one has no features, is an archive, is not finished, or has not the videos of the others.
        """
        sources = tuple(Storage.of(location) for location in locations)
        if not sources:
            raise SolaError("FEATURES is missing: name the folder that holds the feature files")
        files, described = [], []
        for source in sources:
            names = source.names()
            must_be_finished(source.location, names)
            found = [name for name in names if Path(name).suffix in FORMATS]
            if Path(source.location).suffix == ARCHIVE or any(Path(name).suffix == ARCHIVE for name in found):
                raise SolaError(
                    f"{source.location}: an .h5 archive is one file; --executor ray needs a file for each video"
                )
            if not found:
                raise SolaError(f"{source.location}: holds no feature files ({', '.join(FORMATS)})")
            files.append({Path(name).stem: name for name in found})
            described.append(MANIFEST_NAME in names)
            differing = sorted(set(files[0]) ^ set(files[-1]))
            if differing:
                raise SolaError(
                    f"{source.location}: has not the videos of {sources[0].location}, the first {differing[0]!r}; "
                    "add or remove files until they agree"
                )
        return cls(sources, tuple(files), tuple(described), channels_first)

    @property
    def videos(self) -> tuple[str, ...]:
        """Ids, sorted."""
        return tuple(sorted(self.files[0]))

    @contextmanager
    def fetched(self, video: str) -> Iterator[FeatureSet]:
        """The features of one video on this machine, while the block lasts.

        Raises SolaError, naming the file where it is kept, when it is bad.
        """
        with tempfile.TemporaryDirectory() as place:
            folders = {}
            for number, source in enumerate(self.sources):
                folder = Path(place) / str(number)
                folder.mkdir()
                folders[folder] = source
                source.fetch(self.files[number][video], folder)
                if self.described[number]:
                    source.fetch(MANIFEST_NAME, folder)
            with naming(folders):
                yield FeatureSet.open(list(folders), channels_first=self.channels_first)


@contextmanager
def fetched_run(run: Storage, names: Sequence[str]) -> Iterator[Path]:
    """These files of a run on this machine, while the block lasts; a run that is here stays where it is.

    Raises SolaError when one is missing.
    """
    if run.local is not None:
        yield run.local
        return
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            run.fetch(name, Path(place))
        with naming({Path(place): run}):
            yield Path(place)


@contextmanager
def fetched_file(path: Path) -> Iterator[Path]:
    """A file on this machine, while the block lasts; one that is here stays where it is.

    Raises SolaError when it cannot be read.
    """
    where = Storage.of(path.parent)
    with fetched_run(where, (path.name,)) as folder:
        yield folder / path.name


@contextmanager
def stored_file(path: Path) -> Iterator[Path]:
    """A place on this machine for a file that goes to `path`, here or in an object store, when the block ends well.

    Raises SolaError when it cannot be written.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place) / path.name
        Storage.of(path.parent).put(Path(place) / path.name, path.name)


@contextmanager
def naming(folders: dict[Path, Storage]) -> Iterator[None]:
    """Let errors speak of where files are kept, not of where they were brought to."""
    try:
        yield
    except SolaError as error:
        text = str(error)
        for folder, source in folders.items():
            text = text.replace(str(folder), source.location)
        raise type(error)(text) from None
