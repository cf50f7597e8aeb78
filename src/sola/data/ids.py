"""Video ids: which id of one file is which id of another."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sola.core.errors import SolaError


@dataclass(frozen=True)
class VideoMatch:
    """Which of our videos, by features or by detections, is which annotated one."""

    videos: Mapping[str, str]
    """Annotated id by our id."""
    prefix: str
    """What one side's ids begin with and the other's do not."""
    unmatched: tuple[str, ...]
    """Our ids that no annotation has."""
    unmatched_annotated: tuple[str, ...]


def match_videos(
    videos: Collection[str], annotated: Collection[str], id_prefix: str | None = None, what: str = "features"
) -> VideoMatch:
    """Match videos to annotated ones: by the same id, else by ids that differ by a prefix.

    The prefix, such as `v_`, may stand on either side. It is `id_prefix`, or where no id is the same the one that
    most ids agree on. `what` names in messages what the videos have.

    Raises SolaError when nothing matches.
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
            f"annotations {min(annotated, default='none')!r}; name what ids begin with on one side by --id-prefix"
        )
    return VideoMatch(matched, prefix, tuple(v for v in videos if v not in matched), tuple(sorted(free)))


def _likely_prefix(videos: set[str], annotated: set[str]) -> str:
    """Return the beginning, up to a `_` or `-`, without which most ids of one side are ids of the other."""
    votes: Counter[str] = Counter()
    for longer, shorter in ((videos, annotated), (annotated, videos)):
        for name in longer:
            ends = [separator.end() for separator in re.finditer("[_-]", name)]
            votes.update(name[:end] for end in ends if name[end:] in shorter)
    return max(votes, key=lambda prefix: (votes[prefix], prefix), default="")
