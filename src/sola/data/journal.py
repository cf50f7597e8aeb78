"""`JobFolder`: a folder that a long job fills video by video; the job can be stopped at any time and continued."""

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import decoded, unwritable
from sola.core.storage import Storage
from sola.data.formats import FORMATS
from sola.data.manifest import MANIFEST_NAME
from sola.data.names import id_of

JOURNAL = "journal.jsonl"
"""JSON lines: a description of the job, then rows of videos; the last row of a video counts."""
MARK = "unfinished.json"
"""Description of the job; the file exists until the folder is complete."""
UPLOAD_INTERVAL = 30.0
"""Seconds between two uploads of the journal to an object store."""

Row = dict[str, Any]
Report = Callable[[float | None, int], None]
"""Called with the completed share of a video (None: unchanged) and the number of snippets just written."""


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row to a JSON lines file in one write, on a new line. Raises SolaError if that is impossible."""
    try:
        with path.open("a+b") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - 1, 0))
            torn = stream.read(1) not in (b"", b"\n")
            stream.write(("\n" * torn + json.dumps(row, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise unwritable(path, error) from error


def read_rows(path: Path) -> list[Row]:
    """Return the objects of a JSON lines file, without damaged lines; none if there is no file."""
    return parse_rows(decoded(path.read_bytes(), errors="replace")) if path.is_file() else []


def parse_rows(text: str) -> list[Row]:
    """Return the objects of JSON lines, without damaged lines."""
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # cut short by a crash
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def check_finished(place: object, names: Collection[str]) -> None:
    """Raise SolaError if the file names of a folder include the mark of an unfinished job."""
    if MARK in names:
        raise SolaError(f"{place}: is not finished; run the same command again to continue")


def is_finished(folder: Path) -> bool:
    """Return whether a local folder was written by a job and is complete."""
    return (folder / JOURNAL).is_file() and not (folder / MARK).exists()


class JobFolder:
    """Whole files, a journal with a row for each video, and a mark until all are written.

    Call `open`, and write within `with folder.writing():`.
    """

    def __init__(
        self, storage: Storage, description: Row, rows: dict[str, Row] | None = None, *, finished: bool = False
    ) -> None:
        self.storage, self.description = storage, description
        self.rows = rows or {}
        """The last row of each video."""
        self.finished = finished
        """Whether the folder was complete when it was opened."""
        self._keep = rows is not None
        self._replaced: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._uploaded = time.monotonic()

    @classmethod
    def open(cls, out: Path | str | Storage, description: Mapping[str, Any], *, overwrite: bool = False) -> "JobFolder":
        """Open a new folder, or one of the same job to continue it; nothing is written yet.

        `description` is JSON that identifies the job; its "command" is the name of the command. With `overwrite`, the
        files of another job of the same command are replaced.

        Raises SolaError if the folder holds another job (without `overwrite`), or other files.
        """
        storage, wanted = Storage.of(out), json.loads(json.dumps(description))
        place = storage.local
        try:
            if place is not None and place.exists():
                names = [path.name for path in place.iterdir() if not path.match(".*.tmp")] if place.is_dir() else ["."]
            else:
                names = storage.names()
        except OSError as error:
            raise unwritable(Path(storage.location), error) from error
        if not names:
            return cls(storage, wanted)
        mark = storage.read_json(MARK)
        journal = parse_rows(storage.read_text(JOURNAL) or "")
        written = next((row["job"] for row in reversed(journal) if "job" in row), None)
        there = written if mark is None else mark
        if not isinstance(there, dict) or "command" not in there:
            raise SolaError(f"{storage}: exists and was not written by `{wanted['command']}`; choose another folder")
        if there["command"] != wanted["command"]:
            raise SolaError(f"{storage}: exists and was written by `{there['command']}`; choose another folder")
        if there != wanted and not overwrite:
            name = next(name for name in (*wanted, *there) if there.get(name) != wanted.get(name))
            raise SolaError(
                f"{storage}: exists already, with {name} {there.get(name)}, now it is {wanted.get(name)}; "
                "choose another folder, or pass --overwrite"
            )
        # the journal of a replaced job is void, even if the new job was killed before it was removed
        keep = there == wanted == written
        rows = {row["video"]: row for row in journal if isinstance(row.get("video"), str)}
        folder = cls(storage, wanted, rows if keep else None, finished=keep and mark is None)
        folder._replaced = frozenset(rows)
        return folder

    def __reduce__(self) -> tuple[Any, ...]:
        return JobFolder, (self.storage, self.description)  # workers of a job write files, not rows

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Mark the folder as unfinished until `finish`, and remove the files of a replaced job."""
        self.finished = False
        place = self.storage.local
        try:
            if place is not None:
                place.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
        except OSError as error:
            raise unwritable(Path(self.storage.location), error) from error
        self.storage.write_json(MARK, self.description)
        if not self._keep:
            for name in self.storage.names(recursive=True):
                known = "/" not in name or id_of(name, "path") in self._replaced  # folders may hold files of others
                if name in (JOURNAL, MANIFEST_NAME) or (known and Path(name).suffix in FORMATS):
                    self.storage.remove(name)
            if place is not None:
                append_row(place / JOURNAL, {"job": self.description})
            self._upload()
            self._keep = True
        try:
            yield
        finally:
            self._upload()

    def append(self, row: Row) -> None:
        """Add the row of a video to the journal."""
        with self._lock:
            self.rows[row["video"]] = row
            if self.storage.local is not None:
                append_row(self.storage.local / JOURNAL, row)
            elif time.monotonic() - self._uploaded > UPLOAD_INTERVAL:
                self._upload()

    def finish(self) -> None:
        """Remove the mark: every video is written."""
        self._remove_leftovers()
        self.storage.remove(MARK)
        self.finished = True

    def _remove_leftovers(self) -> None:
        """Remove temporary files of a run or worker that was killed."""
        if self.storage.local is not None:
            for unfinished in self.storage.local.rglob(".*.tmp"):
                unfinished.unlink(missing_ok=True)

    def _upload(self) -> None:
        if self.storage.local is None:
            lines = [{"job": self.description}, *self.rows.values()]
            self.storage.write_text(JOURNAL, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
            self._uploaded = time.monotonic()
