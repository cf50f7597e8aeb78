"""Matching of video ids between files."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sola.core.errors import SolaError


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


def match_videos(
    videos: Collection[str], annotated: Collection[str], id_prefix: str | None = None, what: str = "features"
) -> VideoMatch:
    """Match videos to annotated ones by id, or by ids that differ by a prefix such as `v_` on either side.

    The prefix is `id_prefix` or, if no id is the same, the most common one. `what` the videos have appears in messages.

    Raises SolaError if nothing matches.
    """
    matched = {video: video for video in videos if video in annotated}
    prefix = id_prefix or ("" if matched else _likely_prefix(set(videos), set(annotated)))
    free = set(annotated) - matched.keys()
    for video in videos if prefix else ():
        other = video.removeprefix(prefix) if video.startswith(prefix) else prefix + video
        if video not in matched and other in free:
            matched[video] = other
            free.remove(other)
    if not matched:
        raise SolaError(
            f"no video has both {what} and annotations: {what} have {next(iter(videos), 'none')!r}, "
            f"annotations {min(annotated, default='none')!r}; pass the prefix on one side as --id-prefix"
        )
    return VideoMatch(matched, prefix, tuple(v for v in videos if v not in matched), tuple(sorted(free)))


def _likely_prefix(videos: set[str], annotated: set[str]) -> str:
    """Return the prefix, up to a `_` or `-`, without which most ids of one side are ids of the other."""
    votes: Counter[str] = Counter()
    for longer, shorter in ((videos, annotated), (annotated, videos)):
        for name in longer:
            ends = [separator.end() for separator in re.finditer("[_-]", name)]
            votes.update(name[:end] for end in ends if name[end:] in shorter)
    return max(votes, key=lambda prefix: (votes[prefix], prefix), default="")
