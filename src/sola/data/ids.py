"""Match video ids between files."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sola.core.errors import SolaError
from sola.data.id_parts import SPELLINGS, Change, Side, Spelling, parts_of, possible_changes, spelled

SPELLING_NAMES: Mapping[Spelling, str] = {
    "normalized": "Unicode normalization",
    "stripped": "surrounding spaces",
    "folded": "upper and lower case",
}


@dataclass(frozen=True)
class VideoMatch:
    """Matches between videos with features or detections and annotated videos."""

    videos: Mapping[str, str]
    """Annotated id by id of features or detections."""
    prefix: str
    """Prefix that only one side's ids have, or an empty string."""
    unmatched: tuple[str, ...]
    """Ids of features or detections without annotations."""
    unmatched_annotated: tuple[str, ...]
    """Ids of annotated videos without features or detections."""
    difference: str = ""
    """How matched ids differ, or an empty string if they are equal."""
    note: str = ""
    """The difference with an example."""


class _Match(NamedTuple):
    """Pairs of ids that match after a change."""

    pairs: Mapping[str, str]
    change: Change
    prefix: str
    clash: str
    """Error message if the change makes two ids of a side equal, or an empty string."""


def match_videos(
    videos: Collection[str], annotated: Collection[str], id_prefix: str | None = None, what: str = "features"
) -> VideoMatch:
    """Match videos to annotated videos by equal ids, and the remaining ids by a common difference.

    Ids may differ by a video file suffix, leading folders, a prefix such as `v_`, or a stream such as `_rgb` on either
    side, and in Unicode normalization, surrounding spaces or case. The difference that matches most videos is used, and
    the smallest one if several match equally many. If some ids are already equal, the difference must match at least
    half of the remaining ids of the smaller side. Ids that differ by `id_prefix` always match.

    Args:
        videos: ids of videos with features or detections.
        annotated: ids of annotated videos.
        id_prefix: prefix of the ids on one side only; None detects it.
        what: noun for the first side in messages.

    Raises SolaError if no ids match, or if two ids of one side would become equal.
    """
    known = set(annotated)
    matched = {video: video for video in videos if video in known}
    prefix, example, differences = id_prefix or "", "", list[str]()
    while True:
        sides = Side(set(videos) - matched.keys()), Side(known - set(matched.values()))
        match = _best(sides, id_prefix, matched, what)
        if match is None:
            break
        difference, (video_id, annotated_id) = _difference(sides, match)
        if not differences:
            prefix, example = match.prefix, f" ({what} have {video_id!r}, annotations {annotated_id!r})"
        differences.append(difference)
        matched |= match.pairs
    if not matched:
        raise SolaError(
            f"no video has both {what} and annotations: {what} have {next(iter(videos), 'none')!r}, "
            f"annotations {min(annotated, default='none')!r}; {_advice(set(videos), known, id_prefix)}"
        )
    ordered = {video: matched[video] for video in videos if video in matched}
    unmatched_annotated = tuple(sorted(known - set(ordered.values())))
    difference_text = f"ids differ by {' or '.join(dict.fromkeys(differences))}" if differences else ""
    return VideoMatch(
        ordered,
        prefix,
        tuple(v for v in videos if v not in matched),
        unmatched_annotated,
        difference_text,
        difference_text + example,
    )


def _best(sides: tuple[Side, Side], id_prefix: str | None, matched: Mapping[str, str], what: str) -> _Match | None:
    """Return the smallest change that matches most ids, or None. Raises SolaError if it makes two ids equal."""
    most = min(len(side.parts) for side in sides)
    best: _Match | None = None
    for change, prefix in _attempts(sides, id_prefix):
        (video_keys, our_clashes), (annotated_keys, their_clashes) = (side.by_key(change) for side in sides)
        match = _Match(_pairs(video_keys, annotated_keys, prefix), change, prefix, "")
        if best and len(match.pairs) <= len(best.pairs):
            continue
        if matched:
            match = _certain(match, sides, matched)
            better = _enough(match, most, given=bool(prefix and id_prefix))
        else:
            clash = _clash(our_clashes, [*annotated_keys, *their_clashes], prefix, what, what)
            clash = clash or _clash(their_clashes, [*video_keys, *our_clashes], prefix, "annotations", what)
            match, better = match._replace(clash=clash), bool(match.pairs or clash)
        if better and (best is None or len(match.pairs) > len(best.pairs)):
            best = match
            if len(best.pairs) == most:
                break
    if best and best.clash:
        raise SolaError(best.clash)
    return best


def _attempts(sides: Sequence[Side], id_prefix: str | None) -> Iterator[tuple[Change, str]]:
    """Yield changes and prefixes, smallest change first and a given prefix before others."""
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
    """Return pairs of ids with keys that are equal up to a prefix on one side and match uniquely."""
    pairs = {}
    for key, id_ in ours.items():
        partners = _partners(key, prefix) & theirs.keys()
        if len(partners) == 1:
            (partner,) = partners
            if not prefix or len(_partners(partner, prefix) & ours.keys()) == 1:
                pairs[id_] = theirs[partner]
    return pairs


def _partners(key: str, prefix: str) -> set[str]:
    """Return the keys of the other side that match a key."""
    return {prefix + key, key.removeprefix(prefix)} - {key} if prefix else {key}


def _certain(match: _Match, sides: tuple[Side, Side], matched: Mapping[str, str]) -> _Match:
    """Return the pairs that are consistent with the ids already matched.

    Matched ids show that both sides use the same spelling. So in another pair, one id may have more parts than the
    other, but not a different folder, stream or suffix, and no id may become equal to a matched id.
    """
    taken = set[str]()
    for side, ids in zip(sides, (list(matched), list(matched.values())), strict=True):
        for known in map(parts_of, ids):
            taken |= {side.key(known, match.change), side.key(known, match.change.widest)}
    pairs = {}
    for pair in match.pairs.items():
        parts = [side.parts[id_] for side, id_ in zip(sides, pair, strict=True)]
        ours, theirs = (side.dropped(part, match.change) for side, part in zip(sides, parts, strict=True))
        keys = {side.key(part, match.change) for side, part in zip(sides, parts, strict=True)}
        replaced = any(first and second and first != second for first, second in zip(ours, theirs, strict=True))
        if not replaced and keys.isdisjoint(taken):
            pairs[pair[0]] = pair[1]
    return match._replace(pairs=pairs)


def _enough(match: _Match, most: int, *, given: bool) -> bool:
    """Return True if enough of at most `most` ids match to rule out chance, given that other ids match already."""
    count = len(match.pairs)
    alone = count == most and not match.prefix  # a single pair is no evidence for a prefix
    return (2 * count >= most and (count > 1 or alone)) or (given and count > 0)


def _clash(repeated: Mapping[str, tuple[str, str]], others: Sequence[str], prefix: str, side: str, what: str) -> str:
    """Return a message if ids of a side become equal and match ids of the other side, or an empty string."""
    known = set(others) if repeated else set()
    for key, (first, second) in repeated.items():
        if not _partners(key, prefix).isdisjoint(known):
            return (
                f"ids of {what} and annotations differ, and {first!r} and {second!r} of the {side} would both become "
                f"{key!r}; use the same ids in {what} and annotations"
            )
    return ""


def _difference(sides: tuple[Side, Side], match: _Match) -> tuple[str, tuple[str, str]]:
    """Return a description of how ids differ, and the pair with most differences."""
    described = ((_differences(pair, sides, match), pair) for pair in sorted(match.pairs.items()))
    different, pair = max(described, key=lambda entry: len(entry[0]))
    return " and ".join(filter(None, (", ".join(different[:-1]), different[-1]))), pair


def _differences(pair: tuple[str, str], sides: tuple[Side, Side], match: _Match) -> list[str]:
    """Return descriptions of the differences between the ids of a pair."""
    different = [f"the prefix {match.prefix!r}"] if match.prefix else []
    dropped = []
    for side, id_ in zip(sides, pair, strict=True):
        folder, *others = side.dropped(side.parts[id_], match.change)
        dropped.append((id_[: len(folder)], *others))
    for part, first, second in zip(("folder", "stream", "suffix"), *dropped, strict=True):
        if first and second and first != second:
            different.append(f"the {part}{'es' if part == 'suffix' else 's'} {first!r} and {second!r}")
        elif first != second:
            different.append(f"the {part} {first or second!r}")
    for spelling in SPELLINGS:
        change = match.change._replace(spelling=spelling)
        ours, theirs = (side.key(side.parts[id_], change) for side, id_ in zip(sides, pair, strict=True))
        if theirs in _partners(ours, spelled(match.prefix, spelling)):
            break
    different += [SPELLING_NAMES[spelling]] if spelling in SPELLING_NAMES else []
    return different or ["/ and \\ between folders"]


def _advice(videos: set[str], annotated: set[str], id_prefix: str | None) -> str:
    """Return advice for the case that no ids match."""
    likely = _likely_prefix(videos, annotated, "")
    if likely and likely != id_prefix:
        return f"if {likely!r} is a prefix on one side, pass --id-prefix={likely}"
    allowed = f"with or without the prefix {id_prefix!r}" if id_prefix else "up to a prefix, folders or a video suffix"
    return f"expected the same ids, {allowed}; check that both have the same videos"


def _likely_prefix(videos: Collection[str], annotated: Collection[str], separator: str = "[_-]") -> str:
    """Return the prefix, up to a separator, whose removal turns most ids of one side into ids of the other."""
    votes: Counter[str] = Counter()
    for longer, shorter in ((videos, annotated), (annotated, videos)):
        for name in longer:
            ends = [match.end() for match in re.finditer(separator, name)]
            votes.update(name[:end] for end in ends if end and name[end:] in shorter and "/" not in name[:end])
    return max(votes, key=lambda prefix: (votes[prefix], prefix), default="")
