"""Frames of a video file with the time in which each is shown. Time stamps are trusted, headers are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sola.core.errors import SolaError
from sola.video.errors import BadVideo

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

LONGEST_GAP = 120.0
"""Longest time that a frame may be shown (seconds); more is a damaged time stamp."""

LARGEST_STEP_BACK = 1.0
"""Longest delay of a frame that is out of order (seconds); the frame is dropped."""

SHORTEST_LEAD = 0.025
"""Shortest time from the start of a file to its first frame that counts (seconds); an AAC encoder delays by 23 ms."""

SHORTEST_LEAD_AVI = 0.5
"""The same in .avi (seconds), which has no time stamps: FFmpeg gives reordered frames stamps that are late by a few."""

SHORTFALL = 0.05
"""Share of the stated duration that may be missing (at least one second); more is a truncated file."""

NOT_VIDEO = frozenset({"tty", "image2", "hls", "dash", "concat", "lavfi", "data", "lrc", "srt", "ass", "webvtt"})
"""Containers of text, single pictures, or lists of other files."""

MICROSECONDS = 1_000_000
"""FFmpeg's unit of time for a whole container, per second."""

CURE = "repair it (ffmpeg -i IN OUT.mp4 often does)"


@dataclass(frozen=True, eq=False)
class Shown:
    """A decoded frame, and the time in which it is shown (seconds after the start of the file, see `time_zero`)."""

    frame: "VideoFrame"
    start: float
    end: float


def stated_duration(path: Path) -> float | None:
    """Return the duration in the header of a video (seconds), if it has one. Raises BadVideo if it cannot be opened."""
    with opened(path) as (container, stream):
        return _duration(container, stream)


def shown_frames(path: Path) -> Iterator[Shown]:
    """Yield the frames of a video in the order in which they are shown, in constant memory.

    The first frame starts at 0 s, or later if the file starts with sound alone. A frame is shown until the time stamp
    of the next one, the last one for its duration in the file, or for the mean of the others.

    Raises BadVideo if the file is not a video, cannot be decoded, is truncated, or has time stamps that are missing,
    jump by more than `LONGEST_GAP` or back by more than `LARGEST_STEP_BACK`; SolaError if PyAV is not installed.
    """
    with opened(path) as (container, stream):
        promised = _duration(container, stream)
        last: VideoFrame | None = None
        begin = 0.0
        count = 0
        decoded = _Decoded(path, container, stream)
        for frame in decoded:
            stamp = stamp_of(path, frame, count)
            if last is None:
                zero = time_zero(container, stamp)
                begins = begin = float(stamp - zero)
                if begins > LONGEST_GAP:
                    raise BadVideo(
                        f"{path}: its pictures begin {begins:.2f} s after the start of the file; expected at most "
                        f"{LONGEST_GAP:.0f} s; cut it (ffmpeg -ss {begins:.0f} -i IN OUT.mp4)"
                    )
                last, count = frame, 1
                continue
            time = float(stamp - zero)
            if time <= begin:
                if begin - time > LARGEST_STEP_BACK:
                    raise BadVideo(f"{path}: its time stamps jump back from {begin:.2f} s to {time:.2f} s; {CURE}")
                continue
            if time - begin > LONGEST_GAP:
                raise BadVideo(f"{path}: its time stamps jump from {begin:.2f} s to {time:.2f} s; {CURE}")
            yield Shown(last, begin, time)
            last, begin, count = frame, time, count + 1
        if last is None:
            raise BadVideo(f"{path}: no frame of it decodes; {CURE}")
        end = begin + _length_of_last(last, begin - begins, count, stream)
        # the duration of the whole file is measured from time 0, and is that of the stream that ends last; .wmv (asf)
        # has no other
        of_whole = promised is not None and abs(promised - (container.duration or 0) / MICROSECONDS) < 0.01
        of_file = of_whole or container.format.name == "asf"
        there = max(end - begins, float(zero) + end, decoded.reached) if of_file else end - begins
        if promised is not None and promised - there > max(1.0, SHORTFALL * promised):
            raise BadVideo(
                f"{path}: is cut short: ends after {there:.1f} s of the {promised:.1f} s it promises; {CURE}"
            )
        yield Shown(last, begin, end)


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Yield the container and its first video stream; errors of FFmpeg are raised as BadVideo."""
    try:
        import av
        from av.stream import Disposition
    except ImportError:
        raise SolaError("reading video needs PyAV; pip install -c constraints.txt 'sola-tal[video]'") from None
    if not path.is_file():
        raise BadVideo(f"{path}: no such file; expected a video")
    try:
        # references to other files or URLs are not followed; an absolute path, since "12:30.mp4" would be a URL
        with av.open(
            str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            kind = container.format.name
            if NOT_VIDEO & set(kind.split(",")) or kind.endswith("_pipe"):
                raise BadVideo(f"{path}: is {kind}, not a video; expected a file such as .mp4, .mkv or .webm")
            # the cover of a song is a video stream too
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                what = "sound alone" if container.streams.audio else "no pictures"
                raise BadVideo(f"{path}: holds {what}; expected a video")
            if streams[0].codec_context is None:
                raise BadVideo(f"{path}: its pictures are in a codec that is not known; {CURE}")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.FFmpegError as error:
        raise BadVideo(f"{path}: cannot be read as a video ({_words(error)}); {CURE}") from None
    except (ValueError, OverflowError, UnicodeError) as error:  # an unknown codec or size
        raise BadVideo(f"{path}: cannot be read as a video ({' '.join(str(error).split())}); {CURE}") from None


class _Decoded:
    """Iterates once over the frames. Raises BadVideo if decoding fails or the last packet is torn."""

    def __init__(self, path: Path, container: "InputContainer", stream: "VideoStream") -> None:
        self.reached = 0.0
        """Latest end of a packet of pictures or sound (seconds of the file's clock)."""
        self._path, self._container, self._stream = path, container, stream

    def __iter__(self) -> Iterator["VideoFrame"]:
        from av import FFmpegError

        seconds = 0.0
        torn = False
        try:
            for packet in self._container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = packet.pts + (packet.duration or 0)
                    self.reached = max(self.reached, float(end * packet.time_base))
                if packet.stream.index != self._stream.index:
                    continue
                torn = packet.is_corrupt if packet.size else torn  # the empty packet at the end flushes the decoder
                for frame in self._stream.decode(packet):
                    seconds = frame.time or seconds
                    yield frame
        except FFmpegError as error:
            raise BadVideo(f"{self._path}: breaks at {seconds:.1f} s ({_words(error)}); {CURE}") from None
        if torn:
            raise BadVideo(f"{self._path}: is cut short: its last packet, at {seconds:.1f} s, is torn; {CURE}")


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / MICROSECONDS


def time_zero(container: "InputContainer", first: Fraction) -> Fraction:
    """Return the time stamp at which a player starts, given that of the first frame (seconds of the file's clock).

    It is where the first of sound and pictures begins. Less than `SHORTEST_LEAD` before the first frame it is that
    frame, so that the delay of an encoder of sound does not move the frames.
    """
    start = container.start_time
    zero = first if start is None else Fraction(start, MICROSECONDS)
    shortest = SHORTEST_LEAD_AVI if container.format.name == "avi" else SHORTEST_LEAD
    return zero if first - zero >= shortest else first


def stamp_of(path: Path, frame: "VideoFrame", count: int) -> Fraction:
    """Return the time stamp of a frame, exactly (seconds of the file's clock). Raises BadVideo if it has none."""
    if frame.pts is None or frame.time_base is None:
        raise BadVideo(f"{path}: frame {count} has no time stamp; {CURE}")
    return frame.pts * frame.time_base


def _length_of_last(frame: "VideoFrame", others: float, count: int, stream: "VideoStream") -> float:
    """Return the time that the last of `count` frames is shown, when the others take `others` (seconds)."""
    if frame.duration and frame.time_base is not None:
        length = float(frame.duration * frame.time_base)
        if 0 < length <= LONGEST_GAP:
            return length
    if count > 1:
        return others / (count - 1)
    length = 1 / float(stream.average_rate) if stream.average_rate else 1.0
    return length if 0 < length <= LONGEST_GAP else 1.0


def _words(error: Exception) -> str:
    """Return the message of FFmpeg, without error number and path."""
    words = getattr(error, "strerror", None) or str(error)
    return " ".join(str(words).split()).lower()
