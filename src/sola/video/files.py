"""Finding video files, and the ids of their videos."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile, is_remote
from sola.data.names import VIDEO_SUFFIXES, IdFrom, id_of, is_hidden

SUFFIXES = " ".join(sorted(VIDEO_SUFFIXES))


def find_videos(sources: Sequence[Path | str], id_from: IdFrom = "name") -> dict[str, StoredFile]:
    """Return the video files among files and folders (with their subfolders), by id and in the order of ids.

    Sources may be in object stores. The id is the name of the file or, with `id_from` "path", its path in the source;
    both without the suffix.

    Raises SolaError for a source that does not exist, a folder without videos, or two files with the same id.
    """
    if not sources:
        raise SolaError("VIDEOS is missing: name video files, or folders of them")
    found: dict[str, tuple[str, StoredFile]] = {}
    for source in sources:
        for name, file in _stored(Storage.of(source)) if is_remote(source) else _local(Path(source)):
            video = id_of(name, id_from)
            other_name, other = found.setdefault(video, (name, file))
            if os.path.realpath(other.location) != os.path.realpath(file.location):  # a link is the same file
                distinct = id_of(name, "path") != id_of(other_name, "path")
                raise SolaError(
                    f"{file.location}: would be video {video!r}, and so would {other.location}; "
                    f"{'pass --id-from path to keep folders in ids, or ' if distinct else ''}rename one of them"
                )
    return {video: file for video, (_, file) in sorted(found.items())}


def _local(source: Path) -> Iterable[tuple[str, StoredFile]]:
    """Return the videos in a folder, with their paths in it, or the file itself."""
    if source.is_file():
        return [(source.name, StoredFile.of(source))]
    if not source.is_dir():
        raise SolaError(f"{source}: no such file or folder; expected videos")
    inside = sorted(path for path in source.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    named = [(path.relative_to(source).as_posix(), path) for path in inside]
    found = [(name, StoredFile.of(path)) for name, path in named if not is_hidden(name)]
    if not found:
        raise SolaError(f"{source}: holds no videos ({SUFFIXES}); name the folder or file that does")
    return found


def _stored(source: Storage) -> Iterable[tuple[str, StoredFile]]:
    """Return the videos in a folder of an object store, with their paths in it, or the file itself."""
    inside = [file for file in source.files(recursive=True) if Path(file.name).suffix.lower() in VIDEO_SUFFIXES]
    folder, _, name = source.location.rpartition("/")
    found = inside or [file for file in Storage.of(folder).files() if file.name == name]
    if not found:
        raise SolaError(f"{source}: holds no videos ({SUFFIXES}), and is none")
    return [(file.name, file) for file in found]
