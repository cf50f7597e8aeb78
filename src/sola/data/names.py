"""Video ids and streams from file names."""

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
"""Suffixes of video files, in lower case."""

IdFrom = Literal["name", "path"]
"""Whether the id of a file is its name or its path in the given folder, both without the suffix."""

_STREAM = "(?:i3d[_-])?(?:rgb|flow)(?:[_-]i3d)?"
STREAM_END = re.compile(f"[_-]{_STREAM}$", re.IGNORECASE)
"""Name endings that identify a stream, as in published I3D features: `_rgb`, `-flow`, `_rgb_i3d`."""
STREAM_START = re.compile(f"(?:.*/)?({_STREAM}[_-])[^/]+", re.IGNORECASE | re.DOTALL)
"""Name beginnings that identify a stream: `rgb_`, `flow-`."""
_STREAM_FOLDER = re.compile("(?<![^/_-])(?:rgb|flow)(?=(?:[_-][^/]*)?/)", re.IGNORECASE)
"""Part of a folder name that identifies a stream: `rgb/`, `i3d_flow/`."""


def id_of(name: str, id_from: IdFrom) -> str:
    """Return the video id for the path of a file in a folder.

    >>> id_of("P1/cam.mp4", "name"), id_of("P1/cam.mp4", "path")
    ('cam', 'P1/cam')
    """
    path = PurePosixPath(name)
    return path.stem if id_from == "name" else path.with_suffix("").as_posix()


def id_from_of(videos: Iterable[str]) -> IdFrom:
    """Return "path" if an id has a folder, else "name"."""
    return "path" if any("/" in video for video in videos) else "name"


def is_hidden(name: str) -> bool:
    """Return True if a part of the path starts with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


def file_of(video: str, suffix: str) -> str:
    """Return the relative path of a video's file. Raises SolaError for an id that points outside the folder."""
    if "\0" in video or not {"", ".", ".."}.isdisjoint(video.split("/")):
        raise SolaError(
            f"video {video!r}: not a valid file name; expected names joined by single slashes, without . and .."
        )
    return video + suffix


def split_stream(video: str) -> tuple[str, str]:
    """Return an id without its stream, and the stream: an ending such as `_rgb`, a start such as `rgb_`, or "".

    >>> split_stream("P1/cam_rgb"), split_stream("P1/flow_cam"), split_stream("P1/cam")
    (('P1/cam', '_rgb'), ('P1/cam', 'flow_'), ('P1/cam', ''))
    """
    if match := STREAM_END.search(video):
        return video[: match.start()], match[0]
    if match := STREAM_START.fullmatch(video):
        return video[: match.start(1)] + video[match.end(1) :], match[1]
    return video, ""


def without_streams(video: str) -> str:
    """Return an id without stream names in the name and folders, equal for all streams of a video.

    >>> without_streams("i3d_rgb/cam"), without_streams("i3d_flow/cam_flow")
    ('i3d_*/cam', 'i3d_*/cam')
    """
    return _STREAM_FOLDER.sub("*", split_stream(video)[0])
