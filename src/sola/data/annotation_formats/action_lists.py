"""JSON of MultiTHUMOS and Charades that programs for dense labels share: a subset, a duration and actions a video."""

import msgspec

from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos


class _Video(msgspec.Struct):
    subset: str
    duration: float
    actions: list[tuple[int | str, float, float]]


def read(source: Source) -> Videos:
    """Read each action [class, start, end], in seconds; the class is a number. Raises SolaError for a malformed file.

    An action that ends before it starts (there are seven in Charades') holds no frame: it ends where it starts.
    """
    videos: Videos = {}
    file: dict[str, _Video] = source.decode(dict[str, _Video])
    for video, found in file.items():
        instances = [
            source.instance(f"video {video!r}", start, max(start, end), label) for label, start, end in found.actions
        ]
        videos[video] = VideoRecord(instances, found.subset, found.duration or None)
    return videos


def fits(text: str) -> bool:
    """Return whether a text is an object of JSON whose videos have a subset and actions."""
    return text.lstrip()[:1] == "{" and '"actions"' in text and '"subset"' in text


FORMAT = Format("action-lists", fits, read)
