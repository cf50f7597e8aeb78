"""What annotation formats share: a file's text, what it says of videos, and checks of its values."""

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
"""The field of a class unless another one is named."""


class Instance(NamedTuple):
    """One annotated instance."""

    start: float
    """Seconds."""
    end: float
    """Seconds."""
    label: str
    """Class name."""
    score: float = 1.0
    """Confidence; 1 for ground truth."""


@dataclass
class VideoRecord:
    """What a file says of one video."""

    instances: list[Instance] = field(default_factory=list)
    subset: str | None = None
    """None where the file has no subsets."""
    duration: float | None = None
    """Seconds; None if unknown."""
    fps: float | None = None
    """Frames per second; None if unknown."""
    features_share: float = 1.0
    """Share of the duration that features cover."""
    media: str | None = None
    """Address of the video for the tool that a file is written for; None is the id and .mp4."""
    annotated: bool = True
    """Whether the file says what is in the video, if only that it has no instance."""

    @property
    def length(self) -> float:
        """Duration in seconds; if that is unknown, the last end of an instance."""
        return self.duration or max((one.end for one in self.instances), default=0.0)


def media_of(video: str, record: VideoRecord) -> str:
    """Return the address of a video that is written."""
    return record.media or f"{video}.mp4"


Videos: TypeAlias = dict[str, VideoRecord]
"""What a file says of its videos, by id, in the order of the file."""


def classes_of(videos: Videos) -> list[str]:
    """Return the classes of all instances, in order of first appearance."""
    return list(dict.fromkeys(one.label for record in videos.values() for one in record.instances))


@dataclass(frozen=True)
class Source:
    """A file that is read, and what the user says of it."""

    path: Path
    text: str
    label_key: str = CLASS_KEY
    """Field of the class."""
    fps: float | None = None
    """Frames per second of videos for which the file has none."""
    video: str | None = None
    """Id of the video in a file that names none; None is the name of the file."""

    @property
    def only_video(self) -> str:
        """Id of the video in a file of a single one."""
        return self.video or self.path.stem

    def rate(self, found: float | None, where: str) -> float:
        """Return frames per second: as the file has it, or as the user says; raises SolaError without both."""
        rate = found or self.fps
        if rate is None:
            raise self.bad(
                where, "times are frames, and nothing says how many there are a second; pass --fps to `sola convert`"
            )
        return rate

    def instance(self, where: str, start: float, end: float, label: Any, score: float = 1.0) -> Instance:
        """Return an instance; raises SolaError if it ends before it starts, or has no class."""
        if end < start:
            raise self.bad(where, f"{start:g} to {end:g} s ends before it starts; swap them, or remove the instance")
        if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
            raise self.bad(where, f"the class must be a name or number, not {shown(label)}")
        return Instance(start, end, str(label).strip(), score)

    def number(self, where: str, value: Any, what: str) -> float:
        """Return a finite number, which may be a decimal, a fraction or a clock time; raises SolaError for another."""
        try:
            number = math.nan if isinstance(value, bool) else parsed(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.bad(where, f"{what} must be a finite number, not {shown(value)}")
        return number

    def decode(self, kind: Any) -> Any:
        """Return the JSON of the file as this type; raises SolaError if it is malformed or of another structure."""
        try:
            return msgspec.json.decode(self.text, type=kind)
        except msgspec.ValidationError as error:
            raise SolaError(f"{self.path}: {lower_first(str(error))}; export the file again") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise SolaError(f"{self.path}: malformed JSON ({error}); export the file again") from None

    def bad(self, where: str, what: str) -> SolaError:
        """Return the error for a place in the file."""
        return SolaError(f"{self.path}: {where}: {what}")


@dataclass(frozen=True)
class Format:
    """One format of annotations."""

    name: str
    """As the command line has it."""
    fits: Callable[[str], bool]
    """Whether a text is of this format."""
    read: Callable[[Source], Videos]
    """Reader. Raises SolaError for a file that is malformed."""
    write: Callable[[Videos, Path, float | None], None] | None = None
    """Writer of a file, with the frames per second of videos for which none are known; None if there is none."""
    suffix: str = ".json"
    """Suffix of the files."""
    by_video: bool = False
    """Whether a file has a single video, so that many are a folder."""


def written_rate(path: Path, video: str, record: VideoRecord, fps: float | None) -> float:
    """Return frames per second of a video that is written; raises SolaError if neither record nor user has them."""
    return Source(path, "", fps=fps).rate(record.fps, f"video {video!r}")


def stretches(keys: Iterable[tuple[int, bool]], end: int) -> Iterator[tuple[int, int]]:
    """Yield the frames at which a track appears and is gone; one that is there at its last key is gone at `end`.

    `keys` are frames in order, and whether the track is there from each on.
    """
    begin: int | None = None
    for frame, there in keys:
        if there and begin is None:
            begin = frame
        elif not there and begin is not None:
            yield begin, frame
            begin = None
    if begin is not None:
        yield begin, end


def lanes(instances: Iterable[Instance]) -> list[tuple[Instance, int]]:
    """Return instances in order of time, each with a lane from 1: those of a class and a lane do not overlap.

    >>> first, second = Instance(0, 2, "jump"), Instance(1, 3, "jump")
    >>> [lane for _, lane in lanes([first, second])]
    [1, 2]
    """
    ends: dict[str, list[float]] = {}
    placed = []
    for one in sorted(instances):
        taken = ends.setdefault(one.label, [])
        lane = next((place for place, end in enumerate(taken) if end <= one.start), len(taken))
        taken[lane : lane + 1] = [one.end]
        placed.append((one, lane + 1))
    return placed


def media_name(media: str) -> str:
    """Return the id of a video by a path or address of its file: the name without folders and suffix.

    >>> media_name("C:/videos/cam%201.mp4"), media_name("day2/v_a.b.avi"), media_name("/data/upload/2/clip.webm?d=1")
    ('cam 1', 'v_a.b', 'clip')
    >>> media_name("/data/local-files/?d=day2/clip.webm")  # Label Studio, for files on its own disk
    'clip'
    """
    path, _, query = media.strip().partition("?")
    name = re.split(r"[/\\]", unquote(query.rpartition("=")[2] if path.endswith("/") and query else path))[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".casefold() in VIDEO_SUFFIXES | {".wav", ".mp3"} else name


def lower_first(message: str) -> str:
    """Return a message that continues a line: its first letter in lower case."""
    return message[:1].lower() + message[1:]


def shown(value: Any) -> str:
    """Return a value on one short line."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
