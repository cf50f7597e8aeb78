"""Matching of video ids between files."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, NamedTuple

from sola.core.errors import SolaError
from sola.data.names import VIDEO_SUFFIXES, stream_of

Folders = Literal["none", "common", "all"]
FOLDERS: tuple[Folders, ...] = ("none", "common", "all")


@dataclass(frozen=True)
class VideoMatch:
    """Matches of videos, with features or detections, and annotated videos."""

    videos: Mapping[str, str]
    """Annotated id by the id of features or detections."""
    prefix: str
    """Prefix of the ids on one side only."""
    unmatched: tuple[str, ...]
    """Ids of features or detections without annotation."""
    unmatched_annotated: tuple[str, ...]
    note: str = ""
    """How matched ids differ, with an example; empty if they are equal."""


class _Change(NamedTuple):
    """What is dropped from the ids of both sides."""

    stream: bool
    """The end that names a stream, if all ids of a side have the same."""
    folders: Folders
    """Leading folders: those that all ids of a side share, or all."""
    suffix: bool
    """The suffix of a video file."""


class _Id(NamedTuple):
    """An id in parts: they make up the id, and `key` is what is left of it after a change."""

    folder: str
    key: str
    stream: str
    suffix: str


CHANGES = [
    _Change(stream, folders, suffix) for stream in (False, True) for folders in FOLDERS for suffix in (False, True)
]
"""From the mildest; the first changes nothing."""


def match_videos(
    videos: Collection[str], annotated: Collection[str], id_prefix: str | None = None, what: str = "features"
) -> VideoMatch:
    """Match videos to annotated ones by id or, if no id is the same, by ids that differ in how they are written.

    These may differ by the suffix of a video file, leading folders, a prefix such as `v_`, or a stream such as `_rgb`
    on either side; the mildest difference that matches counts. Ids that differ by `id_prefix` match in any case. `what`
    the videos have appears in messages.

    Raises SolaError if nothing matches, or two ids of one side would become the same.
    """
    known = set(annotated)
    matched = {video: video for video in videos if video in known}
    prefix, note = id_prefix or "", ""
    if id_prefix or not matched:
        ours, theirs = _cut(set(videos) - matched.keys()), _cut(known - matched.keys())
        for change, prefix in _attempts(ours, theirs, id_prefix, CHANGES[:1] if matched else _changes(ours | theirs)):
            sides = _parts(ours, change), _parts(theirs, change)
            found = _pairs(_by_key(sides[0]), _by_key(sides[1]), prefix)
            if found:
                for side, parts in zip((what, "annotations"), sides, strict=True):
                    _check_distinct(parts, side, what)
                first = min(found)
                note = _note(first, sides[0][first], found[first], sides[1][found[first]], prefix, what)
                matched |= found
                break
    if not matched:
        raise SolaError(
            f"no video has both {what} and annotations: {what} have {next(iter(videos), 'none')!r}, "
            f"annotations {min(annotated, default='none')!r}; {_advice(set(videos), known, id_prefix)}"
        )
    ordered = {video: matched[video] for video in videos if video in matched}
    missed = tuple(sorted(known - set(ordered.values())))
    return VideoMatch(ordered, prefix, tuple(v for v in videos if v not in matched), missed, note)


def _attempts(
    ours: Mapping[str, _Id], theirs: Mapping[str, _Id], id_prefix: str | None, changes: Iterable[_Change]
) -> Iterator[tuple[_Change, str]]:
    """Yield changes and prefixes, mildest first; a prefix that is given goes first."""
    if id_prefix:
        yield from ((change, id_prefix) for change in changes)
    yield from ((change, "") for change in changes)
    if not id_prefix:
        for change in changes:
            prefix = _likely_prefix(set(_by_key(_parts(ours, change))), set(_by_key(_parts(theirs, change))))
            if prefix:
                yield change, prefix


def _changes(cut: Mapping[str, _Id]) -> list[_Change]:
    """Return the changes that may change an id."""
    parts = cut.values()
    kinds = {
        "stream": any(part.stream for part in parts),
        "folders": any(part.folder for part in parts),
        "suffix": any(part.suffix for part in parts),
    }
    nothing = CHANGES[0]
    return [
        change
        for change in CHANGES
        if all(there or getattr(change, kind) == getattr(nothing, kind) for kind, there in kinds.items())
    ]


def _parts(cut: Mapping[str, _Id], change: _Change) -> dict[str, _Id]:
    """Return the ids of one side with the parts that a change drops, by id."""
    shared = _shared_folder([part.folder for part in cut.values()]) if change.folders == "common" else ""
    one_stream = change.stream and len({part.stream for part in cut.values()}) == 1
    parts = {}
    for id_, (folder, _, stream, suffix) in cut.items():
        folder = folder if change.folders == "all" else shared
        suffix = suffix if change.suffix else ""
        stream = stream if one_stream and (suffix or id_.endswith(stream)) else ""
        parts[id_] = _Id(folder, id_[len(folder) : len(id_) - len(stream) - len(suffix)], stream, suffix)
    return parts


def _cut(ids: Iterable[str]) -> dict[str, _Id]:
    """Return all parts of each id."""
    parts = {}
    for id_ in sorted(ids):
        stem, dot, name = id_.rpartition(".")
        suffix = dot + name if stem and f".{name.lower()}" in VIDEO_SUFFIXES else ""
        rest = id_.removesuffix(suffix)
        folder = rest[: rest.rfind("/") + 1]
        stream = stream_of(rest)
        parts[id_] = _Id(folder, rest[len(folder) : len(rest) - len(stream)], stream, suffix)
    return parts


def _shared_folder(folders: Sequence[str]) -> str:
    """Return the folder that all folders are in; each ends with a slash, or is empty."""
    split = sorted(folder.split("/")[:-1] for folder in folders) or [[]]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(split[0], split[-1], strict=False))
    return "".join(f"{name}/" for name, _ in same)


def _by_key(parts: Mapping[str, _Id]) -> dict[str, str]:
    return {part.key: id_ for id_, part in parts.items()}


def _pairs(ours: Mapping[str, str], theirs: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the ids whose keys are the same but for a prefix on one side, if each is the only partner of the other."""

    def partner(key: str, others: Collection[str]) -> str | None:
        candidates = {prefix + key, key.removeprefix(prefix)} - {key} if prefix else {key}
        found = [candidate for candidate in candidates if candidate in others]
        return found[0] if len(found) == 1 else None

    pairs = {id_: (key, partner(key, theirs)) for key, id_ in ours.items()}
    return {
        id_: theirs[other] for id_, (key, other) in pairs.items() if other is not None and partner(other, ours) == key
    }


def _check_distinct(parts: Mapping[str, _Id], side: str, what: str) -> None:
    """Raise SolaError if two ids of a side become the same."""
    by_key = _by_key(parts)
    for id_, part in parts.items():
        other = by_key[part.key]
        if other != id_:
            raise SolaError(
                f"ids of {what} and annotations differ, and {id_!r} and {other!r} of the {side} would both be "
                f"{part.key!r}; give {what} and annotations the same ids"
            )


def _note(video: str, ours: _Id, annotated: str, theirs: _Id, prefix: str, what: str) -> str:
    """Describe how the ids of a pair differ."""
    different = [f"the prefix {prefix!r}"] if prefix else []
    for part in ("folder", "stream", "suffix"):
        one, other = getattr(ours, part), getattr(theirs, part)
        if one and other and one != other:
            different.append(f"the {part}{'es' if part == 'suffix' else 's'} {one!r} and {other!r}")
        elif one != other:
            different.append(f"the {part} {one or other!r}")
    how = " and ".join(filter(None, (", ".join(different[:-1]), different[-1])))
    return f"ids differ by {how} ({what} have {video!r}, annotations {annotated!r})"


def _advice(videos: set[str], annotated: set[str], id_prefix: str | None) -> str:
    """Return what can help when nothing matches."""
    likely = _likely_prefix(videos, annotated, "")
    if likely and likely != id_prefix:
        return f"if {likely!r} is a prefix on one side, pass --id-prefix={likely}"
    tried = f"also without the prefix {id_prefix!r}" if id_prefix else "but for a prefix, folders or a video's suffix"
    return f"expected the same ids, {tried}; check that both are of the same videos"


def _likely_prefix(videos: set[str], annotated: set[str], separator: str = "[_-]") -> str:
    """Return the prefix, up to a separator, without which most ids of one side are ids of the other."""
    votes: Counter[str] = Counter()
    for longer, shorter in ((videos, annotated), (annotated, videos)):
        for name in longer:
            ends = [found.end() for found in re.finditer(separator, name)]
            votes.update(name[:end] for end in ends if end and name[end:] in shorter)
    return max(votes, key=lambda prefix: (votes[prefix], prefix), default="")
