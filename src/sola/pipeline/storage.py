"""A folder of whole files, here or in an object store, through fsspec."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import replacing

SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+):/+")


def is_remote(location: Path | str) -> bool:
    """Whether this names a place in an object store, such as s3://bucket/folder."""
    return bool(SCHEME.match(str(location)))


@dataclass(frozen=True)
class Stored:
    """A file in a folder, as a listing shows it."""

    name: str
    """Within the folder, with / between folders in it."""
    size: int
    """Bytes."""
    changed: int
    """Nanoseconds since 1970; 0 where the store does not say."""


@dataclass(frozen=True)
class Storage:
    """A folder of files, each of which is there whole or not at all."""

    location: str
    """An absolute path, or a URL that fsspec knows."""

    @classmethod
    def of(cls, location: Path | str) -> "Storage":
        """The folder of that path or URL; of the two slashes of a URL a Path keeps one."""
        if is_remote(location):
            return cls(SCHEME.sub(r"\1://", str(location)).rstrip("/"))
        return cls(str(Path(location).absolute()))

    @property
    def local(self) -> Path | None:
        """Where it is on this machine (or on a disk that all machines share); None in an object store."""
        return None if is_remote(self.location) else Path(self.location)

    def files(self, *, inside: bool = False) -> list[Stored]:
        """The files directly in it, in order of name, without hidden ones; with `inside`, those in its folders too.

        No files where there is no folder. Raises SolaError when it cannot be listed.
        """
        with self._told("listed"):
            system, root = self._opened()
            if not system.exists(root):
                return []
            entries = system.find(root, detail=True, maxdepth=None if inside else 1)
        found = []
        for path, entry in entries.items():
            name = path.removeprefix(root).lstrip("/")
            if name and entry["type"] == "file" and not any(part.startswith(".") for part in name.split("/")):
                found.append(Stored(name, int(entry.get("size") or 0), _changed(entry)))
        return sorted(found, key=lambda one: one.name)

    def names(self) -> list[str]:
        """Names of the files directly in it, hidden ones left out. Raises SolaError as `files` does."""
        return [one.name for one in self.files()]

    def has(self, name: str) -> bool:
        """Whether there is a file of that name. Raises SolaError when the place cannot be read."""
        with self._told("read", name):
            system, root = self._opened()
            return bool(system.exists(f"{root}/{name}"))

    def fetch(self, name: str, folder: Path) -> Path:
        """Bring a file to a folder of this machine, and return where it is: a copy, or a link to what is here already.

        Raises SolaError when it cannot be read.
        """
        path = folder / PurePosixPath(name).name
        if self.local is not None:
            if not (self.local / name).is_file():
                raise SolaError(f"{self.local / name}: no such file")
            path.symlink_to(self.local / name)
            return path
        with self._told("read", name):
            system, root = self._opened()
            system.get_file(f"{root}/{name}", str(path))
            changed = _changed(system.info(f"{root}/{name}"))
        os.utime(path, ns=(changed, changed))  # by which a file is known for the same
        return path

    def put(self, file: Path, name: str) -> None:
        """Store a file under that name, whole or not at all. Raises SolaError when it cannot be written."""
        if self.local is not None:
            with replacing(self.local / name) as aside:
                shutil.copyfile(file, aside)
            return
        with self._told("written", name):
            system, root = self._opened()
            system.put_file(str(file), f"{root}/{name}")  # object stores show an object when it is whole

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises SolaError when it cannot be removed."""
        with self._told("removed", name):
            system, root = self._opened()
            if system.exists(f"{root}/{name}"):
                system.rm_file(f"{root}/{name}")

    def read_json(self, name: str) -> Any:
        """The JSON in a file; None where there is none. Raises SolaError when it is malformed."""
        with self._told("read", name):
            system, root = self._opened()
            if not system.exists(f"{root}/{name}"):
                return None
            content = system.cat_file(f"{root}/{name}")
        try:
            return json.loads(content)
        except ValueError as error:
            raise SolaError(f"{self.location}/{name}: malformed JSON ({error})") from None

    def write_json(self, name: str, value: Any) -> None:
        """Store a value as indented JSON, whole or not at all. Raises SolaError when it cannot be written."""
        text = json.dumps(value, indent=2, allow_nan=False) + "\n"
        if self.local is not None:
            with replacing(self.local / name) as aside:
                aside.write_text(text, encoding="utf-8")
            return
        with self._told("written", name):
            system, root = self._opened()
            system.pipe_file(f"{root}/{name}", text.encode())

    def _opened(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError:
            raise SolaError(f"{self.location}: needs fsspec; install sola-tal[cluster]") from None
        system, root = fsspec.core.url_to_fs(self.location)
        system.invalidate_cache()  # others write to it too
        return system, str(root).rstrip("/")

    @contextmanager
    def _told(self, done: str, name: str = "") -> Iterator[None]:
        """Turn what a back end raises into a SolaError that names the place."""
        place = f"{self.location}/{name}" if name else self.location
        try:
            yield
        except SolaError:
            raise
        except FileNotFoundError:
            raise SolaError(f"{place}: no such file or bucket") from None
        except ImportError as error:
            raise SolaError(f"{place}: cannot be {done} ({error}); install what it names") from None
        except Exception as error:  # every back end has its own
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise SolaError(f"{place}: cannot be {done} ({reason})") from error


def _changed(entry: dict[str, Any]) -> int:
    """When a file was changed, in nanoseconds since 1970, as the back ends say it."""
    if isinstance(entry.get("mtime"), int | float):  # a file here: as a float, its nanoseconds are lost
        return Path(entry["name"]).stat().st_mtime_ns
    when = entry.get("LastModified", entry.get("last_modified", entry.get("updated")))
    return round(when.timestamp() * 1e9) if isinstance(when, datetime) else 0
