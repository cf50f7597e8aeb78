"""Video ids in parts, and what is dropped from them to compare ids of two files."""

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
    """What is dropped from the ids of both sides, and how the rest is compared."""

    stream: bool
    """The stream, if all ids of a side have the same."""
    folders: Folders
    """Leading folders: those that all ids of a side share, or all."""
    suffix: bool
    """The suffix of a video file."""
    spelling: Spelling
    """How the rest is written: see `spelled`."""

    @property
    def widest(self) -> "Change":
        """The same with all folders, if any are dropped."""
        return self if self.folders == "none" else self._replace(folders="all")


CHANGES = [
    Change(stream, folders, suffix, spelling)
    for stream in (False, True)
    for folders in FOLDERS
    for suffix in (False, True)
    for spelling in SPELLINGS
]
"""From the mildest; the first changes nothing."""


class Parts(NamedTuple):
    """The parts of an id: joined, they are the id, but for backslashes."""

    folder: str
    """Leading folders with a slash after each, also where the id has the backslashes of Windows."""
    name: str
    stream: str
    """What names a stream: the end `_rgb`, or the start `rgb_` of the name."""
    suffix: str
    """The suffix of a video file."""


class Side:
    """Ids of one side, in parts."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.parts = {id_: parts_of(id_) for id_ in sorted(ids)}
        self.shared = _shared_folder([parts.folder for parts in self.parts.values()])
        streams = {parts.stream for parts in self.parts.values()}
        self.stream = streams.pop() if len(streams) == 1 else ""

    def dropped(self, parts: Parts, change: Change) -> tuple[str, str, str]:
        """Return the folder, the stream and the suffix that a change drops."""
        folder = parts.folder
        if change.folders != "all":
            folder = self.shared if change.folders == "common" and folder.startswith(self.shared) else ""
        stream = parts.stream if change.stream and parts.stream == self.stream else ""
        return folder, stream, parts.suffix if change.suffix else ""

    def key(self, parts: Parts, change: Change) -> str:
        """Return what is left of an id."""
        folder, stream, suffix = self.dropped(parts, change)
        kept = parts.stream.removeprefix(stream)
        name = kept + parts.name if kept.endswith(("_", "-")) else parts.name + kept
        return spelled(parts.folder[len(folder) :] + name + parts.suffix.removeprefix(suffix), change.spelling)

    def by_key(self, change: Change) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
        """Return ids by what is left of them, and the first two ids of each key that several have."""
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
    """Return a text in Unicode's form NFC, also without blanks at its ends, and also without upper case.

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
    rest = id_.removesuffix(suffix).replace("\\", "/")
    folder = rest[: rest.rfind("/") + 1]
    video, stream = split_stream(rest)
    return Parts(folder, video[len(folder) :], stream, suffix)


def possible_changes(sides: Sequence[Side]) -> list[Change]:
    """Return the changes that differ in effect on ids of these sides, mildest first."""
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
    """Return the folder that all folders are in; each ends with a slash, or is empty."""
    if not folders:
        return ""
    first, last = min(folders).split("/")[:-1], max(folders).split("/")[:-1]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{name}/" for name, _ in same)
