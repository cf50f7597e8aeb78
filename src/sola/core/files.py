"""Atomic writing of files and folders: write under a temporary name next to the target, then rename."""

import codecs
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is a prefix of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encoding by byte order mark."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds. Raises SolaError if writing fails."""
    path = path.absolute()
    aside = path.with_name(f".{path.name or 'root'}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if aside.is_file():  # safetensors creates files that only the owner can read
            aside.chmod(0o666 & ~_umask())
        os.replace(aside, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            with suppress(OSError):  # the block may not have created it
                aside.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def unwritable(path: Path, error: OSError) -> SolaError:
    """Return the error for a path that cannot be written."""
    return SolaError(
        f"{path}: cannot be written ({error.strerror or error}); choose a place with room and write permission"
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def decoded(content: bytes, errors: str = "strict") -> str:
    """Decode text and drop its byte order mark. The mark selects UTF-8, UTF-16 or UTF-32; the default is UTF-8.

    Raises UnicodeDecodeError for invalid bytes, unless `errors` is "replace".
    """
    return content.decode(_encoding(content), errors)


def utf8(content: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark. Copies only if there is a mark.

    Raises UnicodeDecodeError if the bytes do not match the encoding of the mark.
    """
    return decoded(content).encode() if _encoding(content) != "utf-8" else content


def _encoding(content: bytes) -> str:
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), "utf-8")


class _DuplicateKeyError(ValueError):
    """A key that occurs twice in a JSON object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _DuplicateKeyError(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return values


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file; `what` describes the expected content in error messages.

    Raises SolaError if the file is missing, unreadable or malformed, or an object has a duplicate key.
    """
    try:
        return json.loads(decoded(path.read_bytes()), object_pairs_hook=_unique)
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected {what} as JSON") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise SolaError(f"{path}: cannot be read as {what} ({error}); expected a UTF-8 JSON file") from None
    except json.JSONDecodeError as error:
        raise SolaError(
            f"{path}: malformed JSON at line {error.lineno}, column {error.colno} ({error.msg}); expected {what}"
        ) from None
    except _DuplicateKeyError as error:
        raise SolaError(f"{path}: has {error.args[0]!r} twice; expected it once: rename or remove one") from None
    except ValueError as error:  # an integer with thousands of digits
        raise SolaError(f"{path}: cannot be read as {what} ({error})") from None


@contextmanager
def new_folder(path: Path, *, overwrite: bool, mark: str, key: str) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `path` when the block succeeds.

    With `overwrite`, replace a folder that sola wrote: one with a JSON file `mark` whose object has the key `key`.

    Raises SolaError if `path` cannot be written, or exists and may not be replaced. An empty folder may always be.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not overwrite:
            raise SolaError(f"{path}: exists already; choose another folder, or pass --overwrite")
        record = read_json(path / mark, "a file of sola") if (path / mark).is_file() else None
        if not isinstance(record, dict) or key not in record:
            raise SolaError(f"{path}: has no {mark} of sola, so it is not overwritten; choose another folder")
    with replacing(path) as aside:
        aside.mkdir()
        yield aside
        if path.is_dir():
            shutil.rmtree(path)
