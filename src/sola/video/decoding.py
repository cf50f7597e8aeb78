"""Decode the frames of a video file with their display times. Relies on timestamps, not on headers."""

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
"""Longest display time of a frame (seconds). A longer one means a damaged timestamp."""

LARGEST_STEP_BACK = 1.0
"""Largest accepted step back of the timestamp of an out-of-order frame (seconds). The frame is dropped."""

SHORTEST_LEAD = 0.025
"""Shorter delays of the first frame are ignored (seconds). The delay of an AAC encoder is 23 ms."""

SHORTEST_LEAD_AVI = 0.5
"""The same for .avi (seconds), which has no timestamps: FFmpeg's are a few frames late if frames are reordered."""

SHORTFALL = 0.05
"""Fraction of the duration that may be missing (at least one second) before a file counts as truncated."""

NOT_VIDEO = frozenset({"tty", "image2", "hls", "dash", "concat", "lavfi", "data", "lrc", "srt", "ass", "webvtt"})
"""FFmpeg formats of text, still images and playlists."""

MICROSECONDS = 1_000_000
"""FFmpeg time units per second for a container."""

CURE = "repair it (ffmpeg -i IN OUT.mp4 often does)"


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A decoded frame with its display time, relative to the start of the file; see `time_zero`."""

    frame: "VideoFrame"
    """Decoded frame."""
    start: float
    """Start of the display time (seconds)."""
    end: float
    """End of the display time (seconds)."""


def stated_duration(path: Path) -> float | None:
    """Return the duration in the header (seconds), or None if missing. Raises BadVideo if the file cannot be opened."""
    with opened(path) as (container, stream):
        return _duration(container, stream)


def shown_frames(path: Path) -> Iterator[TimedFrame]:
    """Yield the frames of a video in display order, with constant memory.

    The first frame starts at 0 s, or later if the file starts with audio only. A frame is shown until the timestamp of
    the next frame. The last frame is shown for its duration in the file, or else for the mean duration of the others.

    Raises BadVideo if the file is not a video, cannot be decoded, is truncated, or has timestamps that are missing,
    jump ahead by more than `LONGEST_GAP` or back by more than `LARGEST_STEP_BACK`. Raises SolaError if PyAV is not
    installed.
    """
    with opened(path) as (container, stream):
        stated = _duration(container, stream)
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
                        f"{path}: the first frame is {begins:.2f} s after the start of the file; expected at most "
                        f"{LONGEST_GAP:.0f} s; trim it (ffmpeg -ss {begins:.0f} -i IN OUT.mp4)"
                    )
                last, count = frame, 1
                continue
            time = float(stamp - zero)
            if time <= begin:
                if begin - time > LARGEST_STEP_BACK:
                    raise BadVideo(f"{path}: timestamps jump back from {begin:.2f} s to {time:.2f} s; {CURE}")
                continue
            if time - begin > LONGEST_GAP:
                raise BadVideo(f"{path}: timestamps jump from {begin:.2f} s to {time:.2f} s; {CURE}")
            yield TimedFrame(last, begin, time)
            last, begin, count = frame, time, count + 1
        if last is None:
            raise BadVideo(f"{path}: no frame can be decoded; {CURE}")
        end = begin + _length_of_last(last, begin - begins, count, stream)
        # the duration of the file is measured from time 0 to the end of the last stream; .wmv (asf) has no stream
        # durations
        of_whole = stated is not None and abs(stated - (container.duration or 0) / MICROSECONDS) < 0.01
        of_file = of_whole or container.format.name == "asf"
        reached = max(end - begins, float(zero) + end, decoded.reached) if of_file else end - begins
        if stated is not None and stated - reached > max(1.0, SHORTFALL * stated):
            raise BadVideo(
                f"{path}: truncated: ends at {reached:.1f} s, but its header has a duration of {stated:.1f} s; {CURE}"
            )
        yield TimedFrame(last, begin, end)


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Yield the container and its first video stream. Raises FFmpeg errors as BadVideo."""
    try:
        import av
        from av.stream import Disposition
    except ImportError:
        raise SolaError("reading videos requires PyAV; pip install -c constraints.txt 'sola-tal[video]'") from None
    if not path.is_file():
        raise BadVideo(f"{path}: no such file; expected a video")
    try:
        # do not follow references to other files or URLs; use an absolute path, because "12:30.mp4" would be a URL
        with av.open(
            str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            kind = container.format.name
            if NOT_VIDEO & set(kind.split(",")) or kind.endswith("_pipe"):
                raise BadVideo(f"{path}: {kind} is not a video format; expected a file such as .mp4, .mkv or .webm")
            # cover art of an audio file is a video stream too
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                what = "only audio" if container.streams.audio else "no video stream"
                raise BadVideo(f"{path}: has {what}; expected a video")
            if streams[0].codec_context is None:
                raise BadVideo(f"{path}: unknown video codec; {CURE}")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.FFmpegError as error:
        raise BadVideo(f"{path}: cannot be read as a video ({_message(error)}); {CURE}") from None
    except (ValueError, OverflowError, UnicodeError) as error:  # unknown codec or frame size
        raise BadVideo(f"{path}: cannot be read as a video ({' '.join(str(error).split())}); {CURE}") from None


class _Decoded:
    """Single-use iterator over the frames. Raises BadVideo if decoding fails or the last packet is incomplete."""

    def __init__(self, path: Path, container: "InputContainer", stream: "VideoStream") -> None:
        self.reached = 0.0
        """Latest end of a video or audio packet (seconds, in file time)."""
        self._path, self._container, self._stream = path, container, stream

    def __iter__(self) -> Iterator["VideoFrame"]:
        from av import FFmpegError

        seconds = 0.0
        incomplete = False
        try:
            for packet in self._container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = packet.pts + (packet.duration or 0)
                    self.reached = max(self.reached, float(end * packet.time_base))
                if packet.stream.index != self._stream.index:
                    continue
                incomplete = (
                    packet.is_corrupt if packet.size else incomplete
                )  # the empty last packet flushes the decoder
                for frame in self._stream.decode(packet):
                    seconds = frame.time or seconds
                    yield frame
        except FFmpegError as error:
            raise BadVideo(f"{self._path}: decoding fails at {seconds:.1f} s ({_message(error)}); {CURE}") from None
        if incomplete:
            raise BadVideo(f"{self._path}: truncated: the last packet, at {seconds:.1f} s, is incomplete; {CURE}")


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / MICROSECONDS


def time_zero(container: "InputContainer", first: Fraction) -> Fraction:
    """Return the timestamp at which playback starts, given the timestamp of the first frame (seconds, in file time).

    Playback starts with the first video or audio. If that is less than `SHORTEST_LEAD` before the first frame, it
    starts with the first frame, so that the delay of an audio encoder does not shift the frames.
    """
    start = container.start_time
    zero = first if start is None else Fraction(start, MICROSECONDS)
    shortest = SHORTEST_LEAD_AVI if container.format.name == "avi" else SHORTEST_LEAD
    return zero if first - zero >= shortest else first


def stamp_of(path: Path, frame: "VideoFrame", count: int) -> Fraction:
    """Return the exact timestamp of a frame (seconds, in file time). Raises BadVideo if it has none."""
    if frame.pts is None or frame.time_base is None:
        raise BadVideo(f"{path}: frame {count} has no timestamp; {CURE}")
    return frame.pts * frame.time_base


def _length_of_last(frame: "VideoFrame", others: float, count: int, stream: "VideoStream") -> float:
    """Return the display time of the last of `count` frames (seconds), given the total time of the others."""
    if frame.duration and frame.time_base is not None:
        length = float(frame.duration * frame.time_base)
        if 0 < length <= LONGEST_GAP:
            return length
    if count > 1:
        return others / (count - 1)
    length = 1 / float(stream.average_rate) if stream.average_rate else 1.0
    return length if 0 < length <= LONGEST_GAP else 1.0


def _message(error: Exception) -> str:
    """Return the FFmpeg error message without error number and path."""
    message = getattr(error, "strerror", None) or str(error)
    return " ".join(str(message).split()).lower()
