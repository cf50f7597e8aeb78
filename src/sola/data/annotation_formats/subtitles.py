"""Subtitles, SRT and WebVTT: a cue for each instance, to be watched in any player; one file for each video."""

import html
import re
from pathlib import Path

from sola.core.files import write_text
from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos

TIMES = re.compile(r"\s*((?:\d+:)?\d+:\d+[.,]\d+)\s+-->\s+((?:\d+:)?\d+:\d+[.,]\d+)")
TAG = re.compile(r"</?[a-z][^>]*>|<\d+:[\d:.]+>|\{\\[^}]*\}", re.IGNORECASE)
"""Marks of fonts, voices and positions in the text of a cue."""


def read(source: Source) -> Videos:
    """Read the cues of one video; raises SolaError for a cue without text."""
    record = VideoRecord()
    lines = source.text.splitlines()
    number = 0
    while number < len(lines):
        times = TIMES.match(lines[number])
        number += 1
        if times is None:  # a cue's number, a header or a note
            continue
        where, words = f"line {number}", []
        while number < len(lines) and lines[number].strip():
            words.append(html.unescape(TAG.sub("", lines[number])).strip())
            number += 1
        start, end = (source.number(where, clock, "a time") for clock in times.groups())
        record.instances.append(source.instance(where, start, end, " ".join(filter(None, words))))
    return {source.only_video: record}


def clock(seconds: float, mark: str) -> str:
    """Return hours, minutes, seconds and milliseconds.

    >>> clock(3661.5, ",")
    '01:01:01,500'
    """
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def write_srt(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write one video's instances as SRT."""
    write_text(path, "\n".join(f"{number}\n{cue}" for number, cue in enumerate(_cues(videos, ","), 1)))


def write_vtt(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write one video's instances as WebVTT."""
    write_text(path, "\n".join(["WEBVTT\n", *_cues(videos, ".")]))


def _cues(videos: Videos, mark: str) -> list[str]:
    (record,) = videos.values()
    ordered = sorted(record.instances, key=lambda one: (one.start, one.end))
    times = [f"{clock(one.start, mark)} --> {clock(one.end, mark)}" for one in ordered]
    texts = [html.escape(" ".join(one.label.split()), quote=False) for one in ordered]
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
