"""Recognition of annotation files that other tools and data sets write, for errors that name what a file is."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sola.core.errors import SolaError

EXPECTED = "expected annotations in a format that `sola convert --help` names"
CONVERT = "convert it to a table with the columns video, start, end and label"
HEAD = 65536
"""Characters that are looked at."""

DETECTIONS, MANIFEST = "detections, not annotations", "a manifest of features"
RECORDS = 'ActivityNet\'s records without "database"'
ADVICE: Mapping[str, str] = {
    DETECTIONS: "pass them as PREDICTIONS to `sola evaluate`, and the annotated videos as --annotations",
    MANIFEST: "it belongs in the folder of FEATURES as features.json; pass the annotated videos as --annotations",
    RECORDS: f'{EXPECTED}: put the records, by video id, under "database"',
}
"""What to do with files that need no conversion."""
BINARY: Mapping[bytes, tuple[str, str]] = {
    b"PK\x03\x04": ("an Excel workbook", f"save it as CSV, and {CONVERT}"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", f"save it as CSV, and {CONVERT}"),
    b"\x93NUMPY": ("an array", "pass features as FEATURES, and the annotated videos as --annotations"),
    b"\x89HDF": ("an HDF5 archive", "pass features as FEATURES, and the annotated videos as --annotations"),
}
"""Files that are no text, by their first bytes: the words for them, and what to do."""


def _all(*marks: str) -> Callable[[str], bool]:
    """Return whether a text has all of some marks."""
    return lambda text: all(mark in text for mark in marks)


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return whether a text matches a pattern at its beginning."""
    return lambda text: re.match(pattern, text, re.IGNORECASE) is not None


def _is_table(line: str) -> bool:
    """Whether a line has at least three cells, between blanks with two times, and no bracket of JSON or XML."""
    if re.search(r"[{}\[\]<>]", line):
        return False
    words = line.split()
    timed = len(words) > 2 and all(re.fullmatch(r"\d+(\.\d*)?", word) for word in words[1:3])
    cells = max((line.split(separator) for separator in ",;\t"), key=len)
    return timed or (len(cells) > 2 and line.replace("\t", " ").isprintable())


def is_detections(text: str) -> bool:
    """Whether a text is ActivityNet's JSON of detections, or a table whose header has scores."""
    line = text.lstrip().partition("\n")[0]
    scores = re.search(r"(^|[,;\t ])\"?(score|confidence|prob)\"?\s*($|[,;\t ])", line, re.IGNORECASE)
    return re.match(r'\s*\{[^[]*"results"\s*:', text) is not None or (scores is not None and _is_table(line))


def _is_bare_record(text: str) -> bool:
    """Whether a text begins as ActivityNet's records do, by id or in a list, without "database" around them."""
    opened = re.match(r'\s*(\{\s*"[^"]*"\s*:\s*\{|\[\s*\{)', text) is not None
    return opened and '"database"' not in text and '"annotations"' in text and '"segment"' in text


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
"""Layouts by the words for them, in the order in which they are tried."""


def known_binary(path: Path, head: bytes) -> SolaError | None:
    """Return the error that names what a file of no text is; None if its first bytes are not known."""
    for mark, (name, advice) in BINARY.items():
        if head.startswith(mark):
            return SolaError(f"{path}: looks like {name}; {advice}")
    return None


def known_layout(path: Path) -> SolaError | None:
    """Return the error that names what a file is and how it is used; None if nothing is recognized."""
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
