"""Matching of video ids between files."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sola.core.errors import SolaError
from sola.data.id_parts import SPELLINGS, Change, Side, Spelling, parts_of, possible_changes, spelled

SPELLING_NAMES: Mapping[Spelling, str] = {
    "normalized": "Unicode normalization",
    "stripped": "blanks at the ends",
    "folded": "upper and lower case",
}


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
    difference: str = ""
    """How matched ids differ; empty if they are equal."""
    note: str = ""
    """The same with an example."""


class _Found(NamedTuple):
    """Pairs of ids that match after a change."""

    pairs: Mapping[str, str]
    change: Change
    prefix: str
    clash: str
    """What is wrong if ids of a side become the same; empty if none do."""


def match_videos(
    videos: Collection[str], annotated: Collection[str], id_prefix: str | None = None, what: str = "features"
) -> VideoMatch:
    """Match videos to annotated ones by equal ids, and the ids that are left by what they differ in.

    These may differ by the suffix of a video file, leading folders, a prefix such as `v_`, or a stream such as `_rgb`
    on either side, and in Unicode normalization, blanks at the ends, or case. The difference that matches most videos
    counts, the mildest of several. If some ids match already, it must match at least half of the ids that are left on
    the smaller side. Ids that differ by `id_prefix` match in any case. `what` the videos have appears in messages.

    Raises SolaError if nothing matches, or two ids of one side would become the same.
    """
    known = set(annotated)
    matched = {video: video for video in videos if video in known}
    prefix, example, differences = id_prefix or "", "", list[str]()
    while True:
        sides = Side(set(videos) - matched.keys()), Side(known - set(matched.values()))
        found = _best(sides, id_prefix, matched, what)
        if found is None:
            break
        difference, (ours, theirs) = _difference(sides, found)
        if not differences:
            prefix, example = found.prefix, f" ({what} have {ours!r}, annotations {theirs!r})"
        differences.append(difference)
        matched |= found.pairs
    if not matched:
        raise SolaError(
            f"no video has both {what} and annotations: {what} have {next(iter(videos), 'none')!r}, "
            f"annotations {min(annotated, default='none')!r}; {_advice(set(videos), known, id_prefix)}"
        )
    ordered = {video: matched[video] for video in videos if video in matched}
    missed = tuple(sorted(known - set(ordered.values())))
    how = f"ids differ by {' or '.join(dict.fromkeys(differences))}" if differences else ""
    return VideoMatch(ordered, prefix, tuple(v for v in videos if v not in matched), missed, how, how + example)


def _best(sides: tuple[Side, Side], id_prefix: str | None, matched: Mapping[str, str], what: str) -> _Found | None:
    """Return the mildest change that matches most ids, or None. Raises SolaError if it makes two ids the same."""
    most = min(len(side.parts) for side in sides)
    best: _Found | None = None
    for change, prefix in _attempts(sides, id_prefix):
        (ours, our_clashes), (theirs, their_clashes) = (side.by_key(change) for side in sides)
        found = _Found(_pairs(ours, theirs, prefix), change, prefix, "")
        if best and len(found.pairs) <= len(best.pairs):
            continue
        if matched:
            found = _certain(found, sides, matched)
            better = _enough(found, most, given=bool(prefix and id_prefix))
        else:
            clash = _clash(our_clashes, [*theirs, *their_clashes], prefix, what, what)
            clash = clash or _clash(their_clashes, [*ours, *our_clashes], prefix, "annotations", what)
            found, better = found._replace(clash=clash), bool(found.pairs or clash)
        if better and (best is None or len(found.pairs) > len(best.pairs)):
            best = found
            if len(best.pairs) == most:
                break
    if best and best.clash:
        raise SolaError(best.clash)
    return best


def _attempts(sides: Sequence[Side], id_prefix: str | None) -> Iterator[tuple[Change, str]]:
    """Yield changes and prefixes, mildest first; a prefix that is given goes first."""
    if not all(side.parts for side in sides):
        return
    changes = possible_changes(sides)
    if id_prefix:
        yield from ((change, spelled(id_prefix, change.spelling)) for change in changes)
    yield from ((change, "") for change in changes)
    if not id_prefix:
        for change in changes:
            ours, theirs = (side.by_key(change)[0].keys() for side in sides)
            prefix = _likely_prefix(ours, theirs)
            if prefix:
                yield change, prefix


def _pairs(ours: Mapping[str, str], theirs: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the ids whose keys are the same but for a prefix on one side, if each is the only partner of the other."""
    pairs = {}
    for key, id_ in ours.items():
        partners = _partners(key, prefix) & theirs.keys()
        if len(partners) == 1:
            (partner,) = partners
            if not prefix or len(_partners(partner, prefix) & ours.keys()) == 1:
                pairs[id_] = theirs[partner]
    return pairs


def _partners(key: str, prefix: str) -> set[str]:
    """Return the keys that match a key."""
    return {prefix + key, key.removeprefix(prefix)} - {key} if prefix else {key}


def _certain(found: _Found, sides: tuple[Side, Side], matched: Mapping[str, str]) -> _Found:
    """Return the pairs that no id that is matched already contradicts.

    Where ids match, both sides write them in the same way. So one id of another pair may have more parts than the
    other, but not another folder, stream or suffix, and neither may become the same as a matched id.
    """
    taken = set[str]()
    for side, ids in zip(sides, (list(matched), list(matched.values())), strict=True):
        for known in map(parts_of, ids):
            taken |= {side.key(known, found.change), side.key(known, found.change.widest)}
    pairs = {}
    for pair in found.pairs.items():
        parts = [side.parts[id_] for side, id_ in zip(sides, pair, strict=True)]
        ours, theirs = (side.dropped(part, found.change) for side, part in zip(sides, parts, strict=True))
        keys = {side.key(part, found.change) for side, part in zip(sides, parts, strict=True)}
        replaced = any(one and other and one != other for one, other in zip(ours, theirs, strict=True))
        if not replaced and keys.isdisjoint(taken):
            pairs[pair[0]] = pair[1]
    return found._replace(pairs=pairs)


def _enough(found: _Found, most: int, *, given: bool) -> bool:
    """Return whether so many ids match that it is no accident, where others match already; `most` could match."""
    count = len(found.pairs)
    alone = count == most and not found.prefix  # one pair does not show that its difference is a prefix
    return (2 * count >= most and (count > 1 or alone)) or (given and count > 0)


def _clash(repeated: Mapping[str, tuple[str, str]], others: Sequence[str], prefix: str, side: str, what: str) -> str:
    """Say which ids of a side become the same, if ids of the other side would match them."""
    known = set(others) if repeated else set()
    for key, (one, other) in repeated.items():
        if not _partners(key, prefix).isdisjoint(known):
            return (
                f"ids of {what} and annotations differ, and {one!r} and {other!r} of the {side} would both be "
                f"{key!r}; give {what} and annotations the same ids"
            )
    return ""


def _difference(sides: tuple[Side, Side], found: _Found) -> tuple[str, tuple[str, str]]:
    """Return how ids differ, and the pair that differs in most."""
    described = ((_differences(pair, sides, found), pair) for pair in sorted(found.pairs.items()))
    different, pair = max(described, key=lambda one: len(one[0]))
    return " and ".join(filter(None, (", ".join(different[:-1]), different[-1]))), pair


def _differences(pair: tuple[str, str], sides: tuple[Side, Side], found: _Found) -> list[str]:
    """Return how the ids of a pair differ."""
    different = [f"the prefix {found.prefix!r}"] if found.prefix else []
    dropped = []
    for side, id_ in zip(sides, pair, strict=True):
        folder, *others = side.dropped(side.parts[id_], found.change)
        dropped.append((id_[: len(folder)], *others))
    for part, one, other in zip(("folder", "stream", "suffix"), *dropped, strict=True):
        if one and other and one != other:
            different.append(f"the {part}{'es' if part == 'suffix' else 's'} {one!r} and {other!r}")
        elif one != other:
            different.append(f"the {part} {one or other!r}")
    for spelling in SPELLINGS:
        change = found.change._replace(spelling=spelling)
        ours, theirs = (side.key(side.parts[id_], change) for side, id_ in zip(sides, pair, strict=True))
        if theirs in _partners(ours, spelled(found.prefix, spelling)):
            break
    different += [SPELLING_NAMES[spelling]] if spelling in SPELLING_NAMES else []
    return different or ["/ and \\ between folders"]


def _advice(videos: set[str], annotated: set[str], id_prefix: str | None) -> str:
    """Return what can help when nothing matches."""
    likely = _likely_prefix(videos, annotated, "")
    if likely and likely != id_prefix:
        return f"if {likely!r} is a prefix on one side, pass --id-prefix={likely}"
    tried = f"also without the prefix {id_prefix!r}" if id_prefix else "but for a prefix, folders or a video's suffix"
    return f"expected the same ids, {tried}; check that both are of the same videos"


def _likely_prefix(videos: Collection[str], annotated: Collection[str], separator: str = "[_-]") -> str:
    """Return the prefix, up to a separator, without which most ids of one side are ids of the other."""
    votes: Counter[str] = Counter()
    for longer, shorter in ((videos, annotated), (annotated, videos)):
        for name in longer:
            ends = [found.end() for found in re.finditer(separator, name)]
            votes.update(name[:end] for end in ends if end and name[end:] in shorter and "/" not in name[:end])
    return max(votes, key=lambda prefix: (votes[prefix], prefix), default="")
