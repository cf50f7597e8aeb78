"""Text files with a byte order mark, in every reader of text files."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing.readers import READERS, is_read

from sola.core.files import MARKS, decoded, utf8

ENCODERS = {
    "UTF-8": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16, little-endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32, little-endian": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "UTF-32, big-endian": lambda text: codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
}
"""Encoders that add a byte order mark, as some editors do."""

TEXT_READERS = sorted(
    reader for reader, (name, _, _) in READERS.items() if Path(name).suffix in (".json", ".jsonl", ".csv", ".txt")
)


@pytest.mark.parametrize("encoding", ENCODERS)
@given(text=st.text().filter(lambda text: not text.startswith("\0")))  # the UTF-16 mark plus NUL is the UTF-32 mark
def test_text_with_a_mark_is_read_without_it(encoding: str, text: str) -> None:
    content = ENCODERS[encoding](text)
    assert decoded(content) == text
    assert utf8(content) == text.encode()


@given(text=st.text().filter(lambda text: not text.startswith("\ufeff")))
def test_text_without_a_mark_is_utf8(text: str) -> None:
    assert decoded(text.encode()) == text
    assert utf8(text.encode()) == text.encode()


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("reader", TEXT_READERS)
def test_every_text_reader_ignores_the_mark(reader: str, encoding: str, tmp_path: Path) -> None:
    name, read, seeds = READERS[reader]
    path = tmp_path / name
    for seed in seeds:
        path.write_bytes(seed)
        plain = repr(read(path))
        path.write_bytes(ENCODERS[encoding](seed.decode()))
        assert repr(read(path)) == plain


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("reader", TEXT_READERS)
def test_a_mark_before_other_bytes_is_refused_in_one_line(reader: str, mark: bytes, tmp_path: Path) -> None:
    name, read, _ = READERS[reader]
    is_read(read, tmp_path / name, mark + b"\xff\xd8\x00")
