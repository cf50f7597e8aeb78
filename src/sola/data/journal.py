"""`JobFolder`: the output folder of a long job over videos, which can be stopped at any time and continued."""

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
"""JSON lines file: a description of the job, then one row per video. The last row of a video counts."""
MARK = "unfinished.json"
"""JSON file with the description of the job, which exists until the folder is complete."""
UPLOAD_INTERVAL = 30.0
"""Time between uploads of the journal to an object store (seconds)."""

Row = dict[str, Any]
Report = Callable[[float | None, int], None]
"""Callback with the completed fraction of a video (None if unchanged) and the number of snippets just written."""


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row to a JSON lines file in one write, on a new line. Raises SolaError if the file cannot be written."""
    try:
        with path.open("a+b") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - 1, 0))
            torn = stream.read(1) not in (b"", b"\n")
            stream.write(("\n" * torn + json.dumps(row, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise unwritable(path, error) from error


def read_rows(path: Path) -> list[Row]:
    """Return the objects of a JSON lines file without damaged lines, or nothing if the file does not exist."""
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
    """Raise SolaError if the file names of a folder include the file that marks an unfinished job."""
    if MARK in names:
        raise SolaError(f"{place}: unfinished; run the same command again to continue")


def is_finished(folder: Path) -> bool:
    """Return True if a local folder was written by a job and is complete."""
    return (folder / JOURNAL).is_file() and not (folder / MARK).exists()


class JobFolder:
    """Output folder of a job: complete files, a journal with one row per video, and a mark until all are written.

    Call `open`, then write inside `with folder.writing():`.
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
        """Open a new folder, or the folder of the same job to continue it. Nothing is written yet.

        Args:
            out: path of the folder or location in an object store.
            description: JSON that identifies the job; "command" is the name of the command.
            overwrite: replace the files of another job of the same command.

        Raises SolaError if the folder contains another job (without `overwrite`) or other files.
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
        existing = written if mark is None else mark
        if not isinstance(existing, dict) or "command" not in existing:
            raise SolaError(f"{storage}: exists and was not written by `{wanted['command']}`; choose another folder")
        if existing["command"] != wanted["command"]:
            raise SolaError(f"{storage}: exists and was written by `{existing['command']}`; choose another folder")
        if existing != wanted and not overwrite:
            name = next(name for name in (*wanted, *existing) if existing.get(name) != wanted.get(name))
            raise SolaError(
                f"{storage}: already exists with {name} {existing.get(name)}, but now {name} is {wanted.get(name)}; "
                "choose another folder or pass --overwrite"
            )
        # ignore the journal of a replaced job, even if the new job was killed before it removed the journal
        keep = existing == wanted == written
        rows = {row["video"]: row for row in journal if isinstance(row.get("video"), str)}
        folder = cls(storage, wanted, rows if keep else None, finished=keep and mark is None)
        folder._replaced = frozenset(rows)
        return folder

    def __reduce__(self) -> tuple[Any, ...]:
        return JobFolder, (self.storage, self.description)  # worker processes write files, not rows

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Mark the folder as unfinished until `finish` is called, and remove the files of a replaced job."""
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
                known = "/" not in name or id_of(name, "path") in self._replaced  # subfolders may contain other files
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
        """Remove the unfinished mark, after every video is written."""
        self._remove_leftovers()
        self.storage.remove(MARK)
        self.finished = True

    def _remove_leftovers(self) -> None:
        """Remove temporary files of killed runs and workers."""
        if self.storage.local is not None:
            for unfinished in self.storage.local.rglob(".*.tmp"):
                unfinished.unlink(missing_ok=True)

    def _upload(self) -> None:
        if self.storage.local is None:
            lines = [{"job": self.description}, *self.rows.values()]
            self.storage.write_text(JOURNAL, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
            self._uploaded = time.monotonic()
