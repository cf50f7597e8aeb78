"""Split video ids into parts, and drop parts to compare the ids of two files."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from sola.data.names import VIDEO_SUFFIXES, split_stream

Folders = Literal["none", "common", "all"]
FOLDERS: tuple[Folders, ...] = ("none", "common", "all")
Spelling = Literal["exact", "normalized", "stripped", "folded"]
SPELLINGS: tuple[Spelling, ...] = ("exact", "normalized", "stripped", "folded")


class Change(NamedTuple):
    """Parts to drop from the ids of both sides, and how to compare the rest."""

    stream: bool
    """Whether to drop the stream, if all ids of a side have the same stream."""
    folders: Folders
    """Leading folders to drop: none, those common to all ids of a side, or all."""
    suffix: bool
    """Whether to drop the suffix of a video file."""
    spelling: Spelling
    """Normalization of the rest; see `spelled`."""

    @property
    def widest(self) -> "Change":
        """The same change, but dropping all folders if it drops any."""
        return self if self.folders == "none" else self._replace(folders="all")


CHANGES = [
    Change(stream, folders, suffix, spelling)
    for stream in (False, True)
    for folders in FOLDERS
    for suffix in (False, True)
    for spelling in SPELLINGS
]
"""All changes, smallest first. The first changes nothing."""


class Parts(NamedTuple):
    """Parts of an id. Joined, they give the id with backslashes replaced by slashes."""

    folder: str
    """Leading folders, each followed by a slash (Windows backslashes are converted)."""
    name: str
    """File name without stream and suffix."""
    stream: str
    """Stream part of the name: a suffix such as `_rgb`, or a prefix such as `rgb_`."""
    suffix: str
    """Suffix of a video file."""


class Side:
    """The ids of one side, split into parts."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.parts = {id_: parts_of(id_) for id_ in sorted(ids)}
        self.shared = _shared_folder([parts.folder for parts in self.parts.values()])
        streams = {parts.stream for parts in self.parts.values()}
        self.stream = streams.pop() if len(streams) == 1 else ""

    def dropped(self, parts: Parts, change: Change) -> tuple[str, str, str]:
        """Return the folder, stream and suffix that a change drops from an id."""
        folder = parts.folder
        if change.folders != "all":
            folder = self.shared if change.folders == "common" and folder.startswith(self.shared) else ""
        stream = parts.stream if change.stream and parts.stream == self.stream else ""
        return folder, stream, parts.suffix if change.suffix else ""

    def key(self, parts: Parts, change: Change) -> str:
        """Return the rest of an id after a change, used as the comparison key."""
        folder, stream, suffix = self.dropped(parts, change)
        rest = parts.stream.removeprefix(stream)
        name = rest + parts.name if rest.endswith(("_", "-")) else parts.name + rest
        return spelled(parts.folder[len(folder) :] + name + parts.suffix.removeprefix(suffix), change.spelling)

    def by_key(self, change: Change) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
        """Return ids by key where the key is unique, and the first two ids of each repeated key."""
        unique: dict[str, str] = {}
        repeated: dict[str, tuple[str, str]] = {}
        for id_, parts in self.parts.items():
            key = self.key(parts, change)
            first = unique.setdefault(key, id_)
            if first != id_:
                repeated.setdefault(key, (first, id_))
        for key in repeated:
            del unique[key]
        return unique, repeated


def spelled(text: str, spelling: Spelling) -> str:
    """Return a text as is, or normalized to Unicode NFC, then also stripped, then also case-folded.

    >>> [spelled("Cafe\u0301 ", spelling) for spelling in SPELLINGS[1:]]
    ['Café ', 'Café', 'café']
    """
    if spelling == "exact":
        return text
    text = unicodedata.normalize("NFC", text)
    if spelling == "normalized":
        return text
    text = text.strip()
    return text if spelling == "stripped" else text.casefold()


def parts_of(id_: str) -> Parts:
    """Return the parts of an id.

    >>> parts_of("data/cam_1_rgb.mp4")
    Parts(folder='data/', name='cam_1', stream='_rgb', suffix='.mp4')
    """
    stem, dot, name = id_.rpartition(".")
    suffix = dot + name if stem and f".{name.strip().lower()}" in VIDEO_SUFFIXES else ""
    path = id_.removesuffix(suffix).replace("\\", "/")
    folder = path[: path.rfind("/") + 1]
    video, stream = split_stream(path)
    return Parts(folder, video[len(folder) :], stream, suffix)


def possible_changes(sides: Sequence[Side]) -> list[Change]:
    """Return the changes that have distinct effects on the ids of these sides, smallest first."""
    parts = [parts for side in sides for parts in side.parts.values()]
    streams = {False, any(side.stream for side in sides)}
    shared = any(side.shared for side in sides)
    deeper = any(parts.folder != side.shared for side in sides for parts in side.parts.values())
    folders = {"none", "common" if shared else "none", "all" if deeper else "none"}
    suffixes = {False, any(part.suffix for part in parts)}
    spellings: dict[Spelling, bool] = {
        "exact": True,
        "normalized": not all(unicodedata.is_normalized("NFC", id_) for side in sides for id_ in side.parts),
        "stripped": any(part.name != part.name.strip() or part.suffix != part.suffix.strip() for part in parts),
        "folded": any(id_ != id_.casefold() for side in sides for id_ in side.parts),
    }
    return [
        change
        for change in CHANGES
        if change.stream in streams
        and change.folders in folders
        and change.suffix in suffixes
        and spellings[change.spelling]
    ]


def _shared_folder(folders: Sequence[str]) -> str:
    """Return the longest common parent folder, ending with a slash, or an empty string."""
    if not folders:
        return ""
    first, last = min(folders).split("/")[:-1], max(folders).split("/")[:-1]
    common = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{name}/" for name, _ in common)
