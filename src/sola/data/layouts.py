"""Recognize unsupported files of other tools and data sets, so that errors can say what a file is."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sola.core.errors import SolaError

EXPECTED = "expected annotations in a format listed by `sola convert --help`"
CONVERT = "convert it to a table with the columns video, start, end and label"
HEAD = 65536
"""Number of bytes of a file to check."""

DETECTIONS, MANIFEST = "detections, not annotations", "a manifest of features"
RECORDS = 'ActivityNet\'s records without "database"'
ADVICE: Mapping[str, str] = {
    DETECTIONS: "pass them as PREDICTIONS to `sola evaluate`, and the annotations as --annotations",
    MANIFEST: "put it into the folder of FEATURES as features.json, and pass the annotations as --annotations",
    RECORDS: f'{EXPECTED}: put the records, by video id, under "database"',
}
"""Advice for files that need no conversion."""
BINARY: Mapping[bytes, tuple[str, str]] = {
    b"PK\x03\x04": ("an Excel workbook", f"save it as CSV, and {CONVERT}"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", f"save it as CSV, and {CONVERT}"),
    b"\x93NUMPY": ("an array", "pass features as FEATURES, and annotations as --annotations"),
    b"\x89HDF": ("an HDF5 archive", "pass features as FEATURES, and annotations as --annotations"),
}
"""Description and advice for binary files, by their first bytes."""


def _all(*marks: str) -> Callable[[str], bool]:
    """Return a function that checks whether a text contains all marks."""
    return lambda text: all(mark in text for mark in marks)


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return a function that checks whether a text starts with a pattern."""
    return lambda text: re.match(pattern, text, re.IGNORECASE) is not None


def _is_table(line: str) -> bool:
    """Return True for a line of at least three cells, or of words with two times, without JSON or XML brackets."""
    if re.search(r"[{}\[\]<>]", line):
        return False
    words = line.split()
    has_times = len(words) > 2 and all(re.fullmatch(r"\d+(\.\d*)?", word) for word in words[1:3])
    cells = max((line.split(separator) for separator in ",;\t"), key=len)
    return has_times or (len(cells) > 2 and line.replace("\t", " ").isprintable())


def is_detections(text: str) -> bool:
    """Return True if the text is ActivityNet detections JSON or a table with a score column."""
    line = text.lstrip().partition("\n")[0]
    scores = re.search(r"(^|[,;\t ])\"?(score|confidence|prob)\"?\s*($|[,;\t ])", line, re.IGNORECASE)
    return re.match(r'\s*\{[^[]*"results"\s*:', text) is not None or (scores is not None and _is_table(line))


def _is_bare_record(text: str) -> bool:
    """Return True if the text starts with ActivityNet records, by id or in a list, without an enclosing "database"."""
    starts_with_record = re.match(r'\s*(\{\s*"[^"]*"\s*:\s*\{|\[\s*\{)', text) is not None
    return starts_with_record and '"database"' not in text and '"annotations"' in text and '"segment"' in text


LAYOUTS: Mapping[str, Callable[[str], bool]] = {
    "a VIA project": _all('"_via'),
    "a COCO file": _all('"images"', '"categories"'),
    DETECTIONS: is_detections,
    MANIFEST: _all('"fps"', '"stride"', '"window"'),
    "JSON lines": _pattern(r"\s*\{[^\n]*\}\s*\n\s*\{"),
    RECORDS: _is_bare_record,
    "captions of ActivityNet": _all('"timestamps"', '"sentences"'),
    "an XML file": _pattern(r"\s*<\?xml"),
    "THUMOS14's times of one class": _pattern(r"\s*video_(test|validation)_\d+[ \t]+[\d.]+[ \t]+[\d.]+[ \t]*(\n|$)"),
    "a table": lambda text: _is_table(text.lstrip().partition("\n")[0]),
    "YAML": _pattern(r"\s*(---|%yaml|[\w-]+:[ \t]*\r?\n[ \t]+[\w-])"),
}
"""Checks by layout description, in the order in which they are tried."""


def known_binary(path: Path, head: bytes) -> SolaError | None:
    """Return an error that says what a binary file is, or None if its first bytes are unknown."""
    for mark, (name, advice) in BINARY.items():
        if head.startswith(mark):
            return SolaError(f"{path}: looks like {name}; {advice}")
    return None


def known_layout(path: Path) -> SolaError | None:
    """Return an error that says what a file is and how to use it, or None if it is not recognized."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    if binary := known_binary(path, head):
        return binary
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(encoding, errors="ignore")
    for name, fits in LAYOUTS.items():
        if fits(text):
            return SolaError(f"{path}: looks like {name}; {ADVICE.get(name, f'{EXPECTED}: {CONVERT}')}")
    return None
