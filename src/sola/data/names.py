"""File names, and the video ids and streams that they name."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

from sola.core.errors import SolaError

VIDEO_SUFFIXES = frozenset(
    "." + name
    for name in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""Suffixes of video files."""

IdFrom = Literal["name", "path"]
"""The id of a file is its name, or its path in the folder that was named; both without the suffix."""

STREAM = re.compile(r"[_-](?:i3d[_-])?(?:rgb|flow)(?:[_-]i3d)?$", re.IGNORECASE)
"""How ids end that name a stream, as in published I3D features: `_rgb`, `-flow`, `_rgb_i3d`."""


def id_of(name: str, id_from: IdFrom) -> str:
    """Return the id of a file by its path in a folder.

    >>> id_of("P1/cam.mp4", "name"), id_of("P1/cam.mp4", "path")
    ('cam', 'P1/cam')
    """
    path = PurePosixPath(name)
    return path.stem if id_from == "name" else path.with_suffix("").as_posix()


def id_from_of(videos: Iterable[str]) -> IdFrom:
    """Return where ids come from that name files: their path, if an id has a folder."""
    return "path" if any("/" in video for video in videos) else "name"


def is_hidden(name: str) -> bool:
    """Return whether a part of a path begins with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


def file_of(video: str, suffix: str) -> str:
    """Return the path of a video's file in its folder. Raises SolaError for an id that would leave the folder."""
    if "\0" in video or not {"", ".", ".."}.isdisjoint(video.split("/")):
        raise SolaError(
            f"video {video!r}: cannot be the name of a file; expected names joined by single slashes, none of them .."
        )
    return video + suffix


def stream_of(video: str) -> str:
    """Return the end of an id that names a stream, such as `_rgb`; empty if there is none."""
    found = STREAM.search(video)
    return found[0] if found else ""
