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

_STREAM = "(?:i3d[_-])?(?:rgb|flow)(?:[_-]i3d)?"
STREAM_END = re.compile(f"[_-]{_STREAM}$", re.IGNORECASE)
"""How names end that name a stream, as in published I3D features: `_rgb`, `-flow`, `_rgb_i3d`."""
STREAM_START = re.compile(f"(?:.*/)?({_STREAM}[_-])[^/]+", re.IGNORECASE | re.DOTALL)
"""How names begin that name a stream: `rgb_`, `flow-`."""
_STREAM_FOLDER = re.compile("(?<![^/_-])(?:rgb|flow)(?=(?:[_-][^/]*)?/)", re.IGNORECASE)
"""What names a stream in the name of a folder: `rgb/`, `i3d_flow/`."""


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


def split_stream(video: str) -> tuple[str, str]:
    """Return an id without what names its stream, and that: an end such as `_rgb`, a start such as `rgb_`, or nothing.

    >>> split_stream("P1/cam_rgb"), split_stream("P1/flow_cam"), split_stream("P1/cam")
    (('P1/cam', '_rgb'), ('P1/cam', 'flow_'), ('P1/cam', ''))
    """
    if found := STREAM_END.search(video):
        return video[: found.start()], found[0]
    if found := STREAM_START.fullmatch(video):
        return video[: found.start(1)] + video[found.end(1) :], found[1]
    return video, ""


def without_streams(video: str) -> str:
    """Return what is the same of ids of one video in several streams, whether its name or a folder names them.

    >>> without_streams("i3d_rgb/cam"), without_streams("i3d_flow/cam_flow")
    ('i3d_*/cam', 'i3d_*/cam')
    """
    return _STREAM_FOLDER.sub("*", split_stream(video)[0])
