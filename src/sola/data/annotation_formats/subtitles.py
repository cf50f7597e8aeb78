"""SRT and WebVTT subtitles with one cue per instance, for any video player; one file per video."""

import html
import re
from pathlib import Path

from sola.core.files import write_text
from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos

TIMES = re.compile(r"\s*((?:\d+:)?\d+:\d+[.,]\d+)\s+-->\s+((?:\d+:)?\d+:\d+[.,]\d+)")
TAG = re.compile(r"</?[a-z][^>]*>|<\d+:[\d:.]+>|\{\\[^}]*\}", re.IGNORECASE)
"""Font, voice and position tags in cue text."""


def read(source: Source) -> Videos:
    """Read the cues of one video. Raises SolaError for a cue without text."""
    record = VideoRecord()
    lines = source.text.splitlines()
    number = 0
    while number < len(lines):
        times = TIMES.match(lines[number])
        number += 1
        if times is None:  # cue number, header or note
            continue
        where, words = f"line {number}", []
        while number < len(lines) and lines[number].strip():
            words.append(html.unescape(TAG.sub("", lines[number])).strip())
            number += 1
        start, end = (source.number(where, clock, "a time") for clock in times.groups())
        record.instances.append(source.instance(where, start, end, " ".join(filter(None, words))))
    return {source.only_video: record}


def clock(seconds: float, separator: str) -> str:
    """Return a time in seconds as hours:minutes:seconds and milliseconds.

    >>> clock(3661.5, ",")
    '01:01:01,500'
    """
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{separator}{rest % 1000:03}"


def write_srt(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the instances of one video as SRT."""
    write_text(path, "\n".join(f"{number}\n{cue}" for number, cue in enumerate(_cues(videos, ","), 1)))


def write_vtt(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the instances of one video as WebVTT."""
    write_text(path, "\n".join(["WEBVTT\n", *_cues(videos, ".")]))


def _cues(videos: Videos, separator: str) -> list[str]:
    (record,) = videos.values()
    ordered = sorted(record.instances, key=lambda instance: (instance.start, instance.end))
    times = [f"{clock(instance.start, separator)} --> {clock(instance.end, separator)}" for instance in ordered]
    texts = [html.escape(" ".join(instance.label.split()), quote=False) for instance in ordered]
    return [f"{time}\n{text}\n" for time, text in zip(times, texts, strict=True)]


SRT = Format(
    "srt",
    lambda text: re.match(r"\s*\d+\s*\n\s*\d+:\d+:\d+[,.]\d+\s+-->", text) is not None,
    read,
    write_srt,
    suffix=".srt",
    by_video=True,
)
VTT = Format(
    "vtt",
    lambda text: re.match(r"\s*WEBVTT(\s|$)", text) is not None,
    read,
    write_vtt,
    suffix=".vtt",
    by_video=True,
)
