"""Finding video files, and the ids of their videos."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile, is_remote

SUFFIXES = frozenset(
    "." + name
    for name in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""Suffixes of the videos in a folder; a file that is named itself may have any."""


def find_videos(sources: Sequence[Path | str]) -> dict[str, StoredFile]:
    """Return the video files among files and folders (with their subfolders), by id and in the order of ids.

    Sources may be in object stores. The id is the file name without its suffix.

    Raises SolaError for a source that does not exist, a folder without videos, or two files with the same id.
    """
    if not sources:
        raise SolaError("VIDEOS is missing: name video files, or folders of them")
    found: dict[str, StoredFile] = {}
    for source in sources:
        files = _stored(Storage.of(source)) if is_remote(source) else map(StoredFile.of, _local(Path(source)))
        for file in files:
            video = Path(file.name).stem
            other = found.setdefault(video, file)
            if os.path.realpath(other.location) != os.path.realpath(file.location):  # a link is the same file
                raise SolaError(
                    f"{file.location}: would be video {video!r}, and so would {other.location}; rename one of them"
                )
    return dict(sorted(found.items()))


def _local(source: Path) -> Iterable[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SolaError(f"{source}: no such file or folder; expected videos")
    inside = [path for path in source.rglob("*") if _is_video(path.name) and path.is_file()]
    if not inside:
        raise SolaError(f"{source}: holds no videos ({' '.join(sorted(SUFFIXES))}); name the folder or file that does")
    return sorted(inside)


def _stored(source: Storage) -> Iterable[StoredFile]:
    """Return the videos in a folder of an object store, or the file itself."""
    inside = [file for file in source.files(recursive=True) if _is_video(file.name)]
    folder, _, name = source.location.rpartition("/")
    found = inside or [file for file in Storage.of(folder).files() if file.name == name]
    if not found:
        raise SolaError(f"{source}: holds no videos ({' '.join(sorted(SUFFIXES))}), and is none")
    return found


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
