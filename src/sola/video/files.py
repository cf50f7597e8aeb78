"""Find video files and their video ids."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile, is_remote
from sola.data.names import VIDEO_SUFFIXES, IdFrom, id_of, is_hidden

SUFFIXES = " ".join(sorted(VIDEO_SUFFIXES))


def find_videos(sources: Sequence[Path | str], id_from: IdFrom = "name") -> dict[str, StoredFile]:
    """Return video files by video id, sorted by id.

    Args:
        sources: video files, or folders to search recursively, local or in an object store.
        id_from: "name" to use file names as ids, or "path" to use paths relative to the source; both without suffix.

    Raises:
        SolaError: for a source that does not exist, a folder without videos, or two files with the same id.

    Examples:
        >>> import sola
        >>> from pathlib import Path
        >>> Path("clips/day_1").mkdir(parents=True)
        >>> Path("clips/day_1/cam.mp4").touch()
        >>> list(sola.find_videos(["clips"])), list(sola.find_videos(["clips"], id_from="path"))
        (['cam'], ['day_1/cam'])
    """
    if not sources:
        raise SolaError("VIDEOS is missing; pass video files or folders of videos")
    videos: dict[str, tuple[str, StoredFile]] = {}
    for source in sources:
        for name, file in _stored(Storage.of(source)) if is_remote(source) else _local(Path(source)):
            video = id_of(name, id_from)
            other_name, other = videos.setdefault(video, (name, file))
            if os.path.realpath(other.location) != os.path.realpath(file.location):  # a symbolic link is the same file
                distinct = id_of(name, "path") != id_of(other_name, "path")
                raise SolaError(
                    f"{file.location}: same video id {video!r} as {other.location}; "
                    f"{'pass --id-from path to include folders in ids, or ' if distinct else ''}rename one of them"
                )
    return {video: file for video, (_, file) in sorted(videos.items())}


def _local(source: Path) -> Iterable[tuple[str, StoredFile]]:
    """Return the videos in a folder with their relative paths, or the file itself."""
    if source.is_file():
        return [(source.name, StoredFile.of(source))]
    if not source.is_dir():
        raise SolaError(f"{source}: no such file or folder; expected videos")
    inside = sorted(path for path in source.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    named = [(path.relative_to(source).as_posix(), path) for path in inside]
    videos = [(name, StoredFile.of(path)) for name, path in named if not is_hidden(name)]
    if not videos:
        raise SolaError(f"{source}: no videos ({SUFFIXES}); pass a video file or a folder with videos")
    return videos


def _stored(source: Storage) -> Iterable[tuple[str, StoredFile]]:
    """Return the videos in a folder of an object store with their relative paths, or the file itself."""
    inside = [file for file in source.files(recursive=True) if Path(file.name).suffix.lower() in VIDEO_SUFFIXES]
    folder, _, name = source.location.rpartition("/")
    videos = inside or [file for file in Storage.of(folder).files() if file.name == name]
    if not videos:
        raise SolaError(f"{source}: neither a video nor a folder with videos ({SUFFIXES})")
    return [(file.name, file) for file in videos]
