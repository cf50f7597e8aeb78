"""JSON of MultiTHUMOS and Charades, as used by dense-labeling code: subset, duration and actions per video."""

import msgspec

from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos


class _Video(msgspec.Struct):
    subset: str
    duration: float
    actions: list[tuple[int | str, float, float]]


def read(source: Source) -> Videos:
    """Read each action as [class, start, end], with a numeric class and times in seconds.

    An action that ends before it starts (Charades has seven) is empty, so its end is set to its start.
    Raises SolaError for a malformed file.
    """
    videos: Videos = {}
    file: dict[str, _Video] = source.decode(dict[str, _Video])
    for video, entry in file.items():
        instances = [
            source.instance(f"video {video!r}", start, max(start, end), label) for label, start, end in entry.actions
        ]
        videos[video] = VideoRecord(instances, entry.subset, entry.duration or None)
    return videos


def fits(text: str) -> bool:
    """Return True if the text is a JSON object whose videos have a subset and actions."""
    return text.lstrip()[:1] == "{" and '"actions"' in text and '"subset"' in text


FORMAT = Format("action-lists", fits, read)
