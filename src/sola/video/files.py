"""Which video files are meant, and what their videos are called."""

from collections.abc import Sequence
from pathlib import Path

from sola.core.errors import SolaError

SUFFIXES = frozenset(
    "." + name
    for name in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""What is taken for a video in a folder; a file that is named itself may be called anything."""


def find_videos(sources: Sequence[Path]) -> dict[str, Path]:
    """Return the video files among `sources`, files or folders (and all folders in them), by id, in order of id.

    The id is the file's name without its suffix.

    Raises SolaError for a source that is not there, a folder without videos, or two files of one id.
    """
    if not sources:
        raise SolaError("VIDEOS is missing: name video files, or folders of them")
    found: dict[str, Path] = {}
    for source in sources:
        for path in _videos(source):
            other = found.setdefault(path.stem, path)
            if other.resolve() != path.resolve():
                raise SolaError(f"{path}: would be video {path.stem!r}, and so would {other}; rename one of them")
    return dict(sorted(found.items()))


def _videos(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SolaError(f"{source}: no such file or folder; expected videos")
    inside = sorted(path for path in source.rglob("*") if _is_video(path))
    if not inside:
        raise SolaError(f"{source}: holds no videos ({' '.join(sorted(SUFFIXES))}); name the folder or file that does")
    return inside


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
