"""Folders of files on a local disk or in an object store (through universal_pathlib)."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import decoded, replacing, write_json

SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+):/+")


def is_remote(location: Path | str) -> bool:
    """Return True if a location is an object store URL, such as s3://bucket/folder."""
    return bool(SCHEME.match(str(location)))


@dataclass(frozen=True)
class Storage:
    """A folder with atomic writes. All methods raise SolaError if access fails."""

    location: str
    """An absolute path, or a URL that fsspec supports."""

    @classmethod
    def of(cls, location: "Path | str | Storage") -> "Storage":
        """Return the folder for a path or URL. A URL that lost a slash in a `Path` is restored."""
        if isinstance(location, Storage):
            return location
        if is_remote(location):
            return cls(SCHEME.sub(r"\1://", str(location)).rstrip("/"))
        return cls(str(Path(location).absolute()))

    @property
    def local(self) -> Path | None:
        """The folder as a local path, or None for an object store."""
        return None if is_remote(self.location) else Path(self.location)

    def __str__(self) -> str:
        return self.location

    def __truediv__(self, name: str) -> "Storage":
        return Storage(f"{self.location}/{name}")

    def files(self, *, recursive: bool = False) -> list["StoredFile"]:
        """Return the files in the folder sorted by name, without hidden files. Empty if the folder does not exist."""
        with self._reaching("listed") as folder:
            if not folder.is_dir():
                return []
            files = []
            for path in folder.rglob("*") if recursive else folder.iterdir():
                name = path.as_posix().removeprefix(folder.as_posix()).lstrip("/")
                if not any(part.startswith(".") for part in name.split("/")) and path.is_file():
                    status = path.stat()
                    files.append(StoredFile(self, name, status.st_size, status.st_mtime_ns))
        return sorted(files, key=lambda file: file.name)

    def names(self, *, recursive: bool = False) -> list[str]:
        """Return the sorted names of the files in the folder, without hidden files."""
        return [file.name for file in self.files(recursive=recursive)]

    def has(self, name: str) -> bool:
        """Return True if a file or folder with that name exists."""
        with self._reaching("read", name) as path:
            return bool(path.exists())

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with self._reaching("removed", name) as path:
            path.unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove the folder and its contents, if it exists."""
        if self.local is not None:
            shutil.rmtree(self.local, ignore_errors=True)
            return
        with self._reaching("removed") as path:
            if path.exists():
                path.fs.rm(path.path, recursive=True)

    @contextmanager
    def fetched(self, *names: str) -> Iterator[Path]:
        """Yield a local folder with the named files: this folder, or a temporary copy.

        A SolaError raised in the block names the original location.
        """
        if self.local is not None:
            yield self.local
            return
        with tempfile.TemporaryDirectory() as folder, renaming_errors({folder: self.location}):
            for name in names:
                with self._reaching("read", name) as source:
                    copy = Path(folder, name)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    changed = source.stat().st_mtime_ns
                    source.fs.get_file(source.path, str(copy))
                os.utime(copy, ns=(changed, changed))
            yield Path(folder)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a local path to write to. The file is stored as `name` if the block succeeds."""
        if self.local is not None:
            with replacing(self.local / name) as aside:
                yield aside
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, Path(name).name)
            yield path
            with self._reaching("written", name) as target:
                target.fs.put_file(str(path), target.path)  # atomic: visible only once complete

    def read_text(self, name: str) -> str | None:
        """Return the content of a text file, or None if it does not exist."""
        with self._reaching("read", name) as path:
            return decoded(path.read_bytes(), errors="replace") if path.is_file() else None

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        with self.writing(name) as path:
            path.write_text(text, encoding="utf-8")

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file, or None if it does not exist. Raises SolaError if it is malformed."""
        text = self.read_text(name)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SolaError(f"{self.location}/{name}: malformed JSON ({error}); remove it") from None

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as indented JSON atomically."""
        with self.writing(name) as path:
            write_json(path, value)

    @contextmanager
    def _reaching(self, done: str, name: str = "") -> Iterator[Any]:
        """Yield the folder or a file in it as a Path or UPath, and turn errors into a SolaError that names it."""
        place = f"{self.location}/{name}" if name else self.location
        try:
            yield Path(place) if self.local is not None else _remote(self.location, name)
        except SolaError:
            raise
        except FileNotFoundError:
            raise SolaError(f"{place}: no such file or bucket") from None
        except ImportError as error:
            raise SolaError(f"{place}: cannot be {done} ({error}); install the package it names") from None
        except Exception as error:  # each backend raises its own exception types
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise SolaError(f"{place}: cannot be {done} ({reason})") from error


def _remote(location: str, name: str) -> Any:
    try:
        from upath import UPath
    except ImportError:
        raise SolaError(f"{location}: needs universal_pathlib; install sola-tal[cluster]") from None
    path = UPath(location)
    path.fs.invalidate_cache()  # other processes may have changed the folder
    return path / name if name else path


@dataclass(frozen=True)
class StoredFile:
    """A file on a local disk or in an object store, with its size and modification time when it was listed."""

    folder: Storage
    name: str
    """Path within the folder."""
    size: int
    """Size in bytes."""
    changed: int
    """Modification time in nanoseconds since 1970; 0 if unknown."""

    @classmethod
    def of(cls, path: Path) -> "StoredFile":
        """Return the entry for a local file. Raises SolaError if it does not exist."""
        try:
            status = path.stat()
        except OSError as error:
            raise SolaError(f"{path}: cannot be read ({error.strerror}); was it moved?") from None
        return cls(Storage.of(path.parent), path.name, status.st_size, status.st_mtime_ns)

    @property
    def location(self) -> str:
        """The absolute path or URL."""
        return f"{self.folder.location}/{self.name}"

    @property
    def state(self) -> list[int]:
        """Size and modification time, used to detect changes."""
        return [self.size, self.changed]


@contextmanager
def renaming_errors(places: dict[str, str]) -> Iterator[None]:
    """Replace paths of local copies with the original locations in the message of a SolaError raised in the block."""
    try:
        yield
    except SolaError as error:
        text = str(error)
        for copy, original in places.items():
            text = text.replace(copy, original)
        raise type(error)(text) from None
