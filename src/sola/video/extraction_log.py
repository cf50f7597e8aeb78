"""`extraction.jsonl` beside extracted features: a row for each video, of what it was made from."""

import json
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

from sola.core.errors import SolaError
from sola.core.files import unwritable

LOG_NAME = "extraction.jsonl"


class ExtractionLog:
    """What is known of each video of an extraction; rows are only ever appended, and a video's last one stands."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME
        self._folder = folder
        self._lock = threading.Lock()
        self.rows: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                    self.rows[row["video"]] = row
                except (ValueError, KeyError, TypeError):  # a line cut short when the machine went down
                    continue

    def has(self, video: str, path: Path) -> bool:
        """Whether the features of this very file, by size and time of change, are there."""
        return path.is_file() and self.has_state(video, state_of(path))

    def has_state(self, video: str, state: list[int]) -> bool:
        """Whether the features of a file of this size and time of change are there."""
        row = self.rows.get(video)
        if row is None or "snippets" not in row or not (self._folder / f"{video}.npy").is_file():
            return False
        return [row.get("bytes"), row.get("changed")] == state

    def extracted(self, video: str, path: Path, state: list[int], frames: int, seconds: float, snippets: int) -> None:
        """Note that the features of a video are there: how many frames decoded, and how long (seconds) it is."""
        size, changed = state
        self.append(
            {
                "video": video,
                "file": str(path.absolute()),
                "bytes": size,
                "changed": changed,
                "frames": frames,
                "seconds": seconds,
                "snippets": snippets,
            }
        )

    def refused(self, video: str, path: Path, reason: str) -> None:
        """Note that a file cannot be decoded, and why."""
        self.append({"video": video, "file": str(path.absolute()), "refused": reason})

    def reason(self, video: str) -> str:
        """Why a video has no features."""
        return str(self.rows.get(video, {}).get("refused", f"video {video!r} was not extracted"))

    def seconds(self, video: str) -> float:
        """How long an extracted video is."""
        return float(self.rows[video]["seconds"])

    def append(self, row: dict[str, Any]) -> None:
        """Note a row as it is. Raises SolaError when the log cannot be written."""
        with self._lock:
            self.rows[row["video"]] = row
            try:
                with self.path.open("ab+") as stream:
                    begun = self._begun(stream)
                    stream.write((b"\n" if begun else b"") + (json.dumps(row) + "\n").encode())
            except OSError as error:
                raise unwritable(self.path, error) from error

    @staticmethod
    def _begun(stream: BinaryIO) -> bool:
        """Whether the last line was cut short: a row after it would be lost with it."""
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def state_of(path: Path) -> list[int]:
    """Return size (bytes) and time of change (nanoseconds) of a file. Raises SolaError when it has gone."""
    try:
        found = path.stat()
    except OSError as error:
        raise SolaError(f"{path}: cannot be read ({error.strerror}); was it moved?") from None
    return [found.st_size, found.st_mtime_ns]
