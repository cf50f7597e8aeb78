"""Small test videos of a square that moves over a color gradient, in common container formats."""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH = 64, 96

CODECS = {
    ".mp4": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx",
    ".avi": "mpeg4",
    ".flv": "flv",
    ".ts": "mpeg2video",
    ".mpg": "mpeg2video",
    ".wmv": "wmv2",
}
"""Usual video codec per suffix that PyAV can write."""

TONES = {".mp4": "aac", ".mov": "aac", ".mkv": "libopus", ".webm": "libopus", ".flv": "aac", ".ts": "aac"}
QUICK = {"libx264": {"preset": "ultrafast"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}
BY_RATE = (".avi", ".ts", ".mpg", ".wmv")
"""Containers in which written time stamps are multiples of 1 / rate."""


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return the frame with a number; the square moves from frame to frame."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 255 // height, columns * 255 // width, np.full_like(rows, 40)], -1).astype(np.uint8)
    side = max(min(height, width) // 4, 1)
    top, left = number * 5 % max(height - side, 1), number * 11 % max(width - side, 1)
    image[top : top + side, left : left + side] = (250, 250 - number * 37 % 200, number * 53 % 250)
    return image


def corners(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return an image with red, green, blue and white quadrants, in reading order."""
    colors = np.array([[(220, 30, 30), (30, 200, 30)], [(30, 30, 220), (230, 230, 230)]], np.uint8)
    return colors.repeat(height // 2, 0).repeat(width // 2, 1)


def render(
    path: Path,
    *,
    count: int = 40,
    rate: Fraction | int = 20,
    times: Sequence[float] | None = None,
    first: float = 0.0,
    sound: float = 0.0,
    sound_first: float = 0.0,
    codec: str | None = None,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    pictures: Iterable[np.ndarray] | None = None,
) -> Path:
    """Write `count` frames at `rate` per second, or one frame at each of `times` (seconds), and a tone.

    `times` are rounded to milliseconds (to 1 / rate in containers that require it) and shifted by `first` seconds.
    The tone lasts `sound` seconds and begins at `sound_first` seconds. `pictures` replace the moving square.
    """
    frames = [picture(number) for number in range(count if times is None else len(times))]
    frames = frames if pictures is None else list(pictures)
    base = 1 / Fraction(rate) if times is None or path.suffix in BY_RATE else Fraction(1, 1000)
    codec = codec or CODECS[path.suffix]
    with av.open(str(path.absolute()), "w", options=muxing or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=QUICK.get(codec, {}) | {"threads": "1"} | (options or {}))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 400_000
        stream.gop_size = 12
        stream.codec_context.time_base = base
        tone = file.add_stream(TONES.get(path.suffix, "mp2"), rate=48000) if sound else None
        seconds = [float(number * base) for number in range(len(frames))] if times is None else times
        for packet in _pictures(stream, frames, [first + second for second in seconds], base):
            file.mux(packet)
        for packet in [] if tone is None else _tones(tone, sound, sound_first):
            file.mux(packet)
    return path


def song(path: Path, *, cover: bool = False) -> Path:
    """Write an audio file of two seconds (.mp3 or .m4a), optionally with cover art."""
    with av.open(str(path), "w") as file:
        tone = file.add_stream("libmp3lame" if path.suffix == ".mp3" else "aac", rate=48000)
        pictures = []
        if cover:
            from av.stream import Disposition

            stream = file.add_stream("mjpeg", rate=1)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
            stream.disposition = Disposition.attached_pic
            pictures = [av.VideoFrame.from_ndarray(picture(0), format="rgb24").reformat(format="yuvj420p")]
            for frame in pictures:
                frame.pts = 0
                for packet in stream.encode(frame):
                    file.mux(packet)
        for packet in _tones(tone, 2.0):
            file.mux(packet)
    return path


def turned(path: Path, degrees: float) -> Path:
    """Set the clockwise rotation of a .mp4 in the matrix of its track header."""
    data = path.read_bytes()
    matrix = data.index(b"tkhd") + 4 + 40
    assert data[matrix - 40] == 0, "version 0 of the box"
    unit, cosine, sine = 1 << 16, math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    assert struct.unpack(">9i", data[matrix : matrix + 36]) == (unit, 0, 0, 0, unit, 0, 0, 0, 1 << 30)
    values = [round(value * unit) for value in (cosine, sine, 0, -sine, cosine, 0, 0, 0)]
    path.write_bytes(data[:matrix] + struct.pack(">9i", *values, 1 << 30) + data[matrix + 36 :])
    return path


def emptied(path: Path) -> Path:
    """Remove all frames from an .avi and keep its header."""
    data = path.read_bytes()
    movie = data.index(b"movi")
    path.write_bytes(data[:4] + struct.pack("<I", movie + 4 - 8) + data[8 : movie - 4] + struct.pack("<I", 4) + b"movi")
    return path


def _pictures(
    stream: "av.VideoStream", frames: Sequence[np.ndarray], seconds: Sequence[float], base: Fraction
) -> Iterator["av.Packet"]:
    for array, second in zip(frames, seconds, strict=True):
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        frame.pts = round(second / base)
        frame.time_base = base
        yield from stream.encode(frame)
    yield from stream.encode()


def _tones(stream: "av.AudioStream", seconds: float, first: float = 0.0) -> Iterator["av.Packet"]:
    wave = (0.2 * np.sin(np.arange(round(seconds * 48000)) / 20)).astype(np.float32)[None].repeat(2, 0)
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = 48000, round(first * 48000)
    resampler = av.AudioResampler(
        format=stream.format, layout="stereo", rate=48000, frame_size=stream.frame_size or 1152
    )
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        yield from stream.encode(piece)
    yield from stream.encode()
