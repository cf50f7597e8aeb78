"""Recognition of annotation files that other tools and data sets write, for errors that name what a file is."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sola.core.errors import SolaError

EXPECTED = 'expected {"database": {video: {"subset", "duration", "annotations"}}}, the layout of ActivityNet'
CONVERT = "convert it to ActivityNet's JSON layout, as docs/data-checks.md shows"
HEAD = 65536
"""Characters that are looked at."""


def _all(*marks: str) -> Callable[[str], bool]:
    """Return whether a text has all of some marks."""
    return lambda text: all(mark in text for mark in marks)


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return whether a text matches a pattern at its beginning."""
    return lambda text: re.match(pattern, text, re.IGNORECASE) is not None


def _is_table(line: str) -> bool:
    """Whether a line has at least three cells, and no bracket of JSON or XML."""
    cells = max((line.split(separator) for separator in ",;\t"), key=len)
    return len(cells) > 2 and line.replace("\t", " ").isprintable() and not re.search(r"[{}\[\]<>]", line)


LAYOUTS: Mapping[str, Callable[[str], bool]] = {
    "a VIA project": _all('"_via'),
    "a VIA 3 project": _all('"vid_list"'),
    "a BORIS project": _all('"project_format_version"'),
    "a Label Studio export": lambda text: any(
        mark in text for mark in ('"timelinelabels"', '"completed_by"', '"annotation_id"', '"from_name"', '"video_url"')
    ),
    "Ego4D's moments": _all('"clip_uid"'),
    "a COCO file": _all('"images"', '"categories"'),
    "detections, not annotations": _pattern(r'\s*\{[^[]*"results"\s*:'),
    "a manifest of features": _all('"fps"', '"stride"', '"window"'),
    "an ELAN file": _all("<ANNOTATION_DOCUMENT"),
    "a CVAT file": lambda text: "<annotations>" in text and ("<track" in text or "<image" in text or "<tag" in text),
    "an XML file": _pattern(r"\s*<\?xml"),
    "WebVTT subtitles": _pattern(r"\s*WEBVTT"),
    "SRT subtitles": _pattern(r"\s*\d+\s*\n\d+:\d+:\d+,\d+ -->"),
    "an EPIC-Kitchens table": _all("narration_id", "start_timestamp"),
    "a BORIS table": _pattern(r"[^\n]*(observation id|behavior type)[,\t;]"),
    "an Audacity label track": _pattern(r"\s*\d+\.\d+\t\d+\.\d+\t"),
    "a table": lambda text: _is_table(text.lstrip().partition("\n")[0]),
}
"""Layouts by the words for them, in the order in which they are tried."""


def known_layout(path: Path) -> SolaError | None:
    """Return the error that names what a file is and how it is used; None if nothing is recognized."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(encoding, errors="ignore")
    for name, fits in LAYOUTS.items():
        if fits(text):
            return SolaError(f"{path}: looks like {name}; {EXPECTED}: {CONVERT}")
    return None
