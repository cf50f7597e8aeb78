"""Types, value checks and helpers shared by the annotation formats."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

import msgspec

from sola.core.errors import SolaError
from sola.data.names import VIDEO_SUFFIXES
from sola.data.numbers import parsed

CLASS_KEY = "label"
"""Default name of the class field."""


class Instance(NamedTuple):
    """One annotated instance."""

    start: float
    """Start (seconds)."""
    end: float
    """End (seconds)."""
    label: str
    """Class name."""
    score: float = 1.0
    """Confidence; 1 for ground truth."""


@dataclass
class VideoRecord:
    """Contents of an annotation file for one video."""

    instances: list[Instance] = field(default_factory=list)
    subset: str | None = None
    """Subset name, or None if the file has no subsets."""
    duration: float | None = None
    """Video duration (seconds), or None if unknown."""
    fps: float | None = None
    """Frames per second, or None if unknown."""
    features_share: float = 1.0
    """Fraction of the duration that the features cover."""
    media: str | None = None
    """Path or URL of the video in the written file, or None for the video id plus ".mp4"."""
    annotated: bool = True
    """Whether the video was annotated, possibly with no instances."""

    @property
    def length(self) -> float:
        """Duration (seconds), or the latest instance end if the duration is unknown."""
        return self.duration or max((instance.end for instance in self.instances), default=0.0)


def media_of(video: str, record: VideoRecord) -> str:
    """Return the path or URL of a video in the written file."""
    return record.media or f"{video}.mp4"


Videos: TypeAlias = dict[str, VideoRecord]
"""Contents of an annotation file by video id, in file order."""


def classes_of(videos: Videos) -> list[str]:
    """Return the classes of all instances, in order of first appearance."""
    return list(dict.fromkeys(instance.label for record in videos.values() for instance in record.instances))


@dataclass(frozen=True)
class Source:
    """An input file and the reading options given by the user."""

    path: Path
    text: str
    label_key: str = CLASS_KEY
    """Name of the class field."""
    fps: float | None = None
    """Frames per second of videos whose frame rate the file does not give."""
    video: str | None = None
    """Video id for a file that names no video, or None to use the file name."""

    @property
    def only_video(self) -> str:
        """Video id of a single-video file."""
        return self.video or self.path.stem

    def rate(self, rate_in_file: float | None, where: str) -> float:
        """Return frames per second from the file or else from the user. Raises SolaError if neither gives it."""
        rate = rate_in_file or self.fps
        if rate is None:
            raise self.bad(where, "times are in frames and the frame rate is unknown; pass --fps to `sola convert`")
        return rate

    def instance(self, where: str, start: float, end: float, label: Any, score: float = 1.0) -> Instance:
        """Return an instance. Raises SolaError if it ends before it starts or has no class."""
        if end < start:
            raise self.bad(
                where, f"{start:g} to {end:g} s ends before it starts; swap the times or remove the instance"
            )
        if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
            raise self.bad(where, f"the class must be a name or number, not {short_repr(label)}")
        return Instance(start, end, str(label).strip(), score)

    def number(self, where: str, value: Any, what: str) -> float:
        """Return a finite number, given as a decimal, a fraction or a clock time. Raises SolaError for other values."""
        try:
            number = math.nan if isinstance(value, bool) else parsed(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.bad(where, f"{what} must be a finite number, not {short_repr(value)}")
        return number

    def decode(self, kind: Any) -> Any:
        """Return the JSON of the file as this type. Raises SolaError if it is malformed or has another structure."""
        try:
            return msgspec.json.decode(self.text, type=kind)
        except msgspec.ValidationError as error:
            raise SolaError(f"{self.path}: {lower_first(str(error))}; export the file again") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise SolaError(f"{self.path}: malformed JSON ({error}); export the file again") from None

    def bad(self, where: str, what: str) -> SolaError:
        """Return an error that names a place in the file."""
        return SolaError(f"{self.path}: {where}: {what}")


@dataclass(frozen=True)
class Format:
    """An annotation format."""

    name: str
    """Name on the command line."""
    fits: Callable[[str], bool]
    """Function that returns True if a text has this format."""
    read: Callable[[Source], Videos]
    """Function that reads a file. Raises SolaError for a malformed file."""
    write: Callable[[Videos, Path, float | None], None] | None = None
    """Function that writes a file, given a default frame rate, or None if the format is read-only."""
    suffix: str = ".json"
    """File name suffix."""
    by_video: bool = False
    """Whether a file holds a single video, so that several videos make a folder."""


def written_rate(path: Path, video: str, record: VideoRecord, fps: float | None) -> float:
    """Return the frame rate of a video to write. Raises SolaError if neither the record nor the user gives it."""
    return Source(path, "", fps=fps).rate(record.fps, f"video {video!r}")


def visible_ranges(keys: Iterable[tuple[int, bool]], end: int) -> Iterator[tuple[int, int]]:
    """Yield the first frame of each visible stretch of a track and the frame after its last.

    `keys` are (frame, whether the track is visible from that frame on), in frame order. A track that is visible at its
    last key ends at `end`.
    """
    begin: int | None = None
    for frame, visible in keys:
        if visible and begin is None:
            begin = frame
        elif not visible and begin is not None:
            yield begin, frame
            begin = None
    if begin is not None:
        yield begin, end


def lanes(instances: Iterable[Instance]) -> list[tuple[Instance, int]]:
    """Return instances sorted by time with lane numbers from 1, so that instances of a class do not overlap in a lane.

    >>> first, second = Instance(0, 2, "jump"), Instance(1, 3, "jump")
    >>> [lane for _, lane in lanes([first, second])]
    [1, 2]
    """
    ends: dict[str, list[float]] = {}
    assigned = []
    for instance in sorted(instances):
        lane_ends = ends.setdefault(instance.label, [])
        lane = next((place for place, end in enumerate(lane_ends) if end <= instance.start), len(lane_ends))
        lane_ends[lane : lane + 1] = [instance.end]
        assigned.append((instance, lane + 1))
    return assigned


def media_name(media: str) -> str:
    """Return the video id for a file path or URL: the file name without folders and suffix.

    >>> media_name("C:/videos/cam%201.mp4"), media_name("day2/v_a.b.avi"), media_name("/data/upload/2/clip.webm?d=1")
    ('cam 1', 'v_a.b', 'clip')
    >>> media_name("/data/local-files/?d=day2/clip.webm")  # Label Studio, local storage
    'clip'
    """
    path, _, query = media.strip().partition("?")
    name = re.split(r"[/\\]", unquote(query.rpartition("=")[2] if path.endswith("/") and query else path))[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".casefold() in VIDEO_SUFFIXES | {".wav", ".mp3"} else name


def lower_first(message: str) -> str:
    """Return a message with a lowercase first letter, to continue a line."""
    return message[:1].lower() + message[1:]


def short_repr(value: Any) -> str:
    """Return a short one-line representation of a value."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
