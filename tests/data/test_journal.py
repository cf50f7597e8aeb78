"""Job folders: continued, rejected and replaced."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK, JobFolder, append_row, is_finished, read_rows

buffer = BytesIO()
np.save(buffer, np.zeros((3, 2), np.float32))
ARRAY = buffer.getvalue()
DESCRIPTION = {"command": "sola test", "rate": 4.0}


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage.of(tmp_path / "out" if request.param == "local" else f"memory://{tmp_path.name}/out")


def fill(place: Storage | Path, *videos: str, finish: bool = True, **options: Any) -> JobFolder:
    """Write a file and a journal row per video."""
    folder = JobFolder.open(place, options.pop("description", DESCRIPTION), **options)
    with folder.writing():
        for video in videos:
            with folder.storage.writing(f"{video}.npy") as path:
                path.write_bytes(ARRAY)
            folder.append({"video": video, "snippets": 3})
    if finish:
        folder.finish()
    return folder


def test_a_folder_is_unfinished_until_it_is_finished(place: Storage) -> None:
    fill(place, "a", finish=False)
    assert place.names() == ["a.npy", JOURNAL, MARK]
    assert place.read_json(MARK) == DESCRIPTION
    folder = JobFolder.open(place, DESCRIPTION)
    assert (folder.finished, folder.rows) == (False, {"a": {"video": "a", "snippets": 3}})
    fill(place, "b")
    folder = JobFolder.open(place, DESCRIPTION)
    assert (folder.finished, set(folder.rows)) == (True, {"a", "b"})
    assert place.names() == ["a.npy", "b.npy", JOURNAL]


def test_readers_reject_an_unfinished_folder(tmp_path: Path) -> None:
    fill(tmp_path / "out", "a", finish=False)
    assert not is_finished(tmp_path / "out")
    with pytest.raises(SolaError, match="out: unfinished; run the same command again to continue"):
        FeatureSet.open(tmp_path / "out")
    fill(tmp_path / "out")
    assert is_finished(tmp_path / "out")
    assert FeatureSet.open(tmp_path / "out").videos == ("a",)


def test_other_description_is_rejected_or_replaced_on_request(place: Storage) -> None:
    fill(place, "a")
    other = {**DESCRIPTION, "rate": 5.0}
    with pytest.raises(SolaError, match=r"out: already exists with rate 4\.0, but now rate is 5\.0; .*--overwrite"):
        JobFolder.open(place, other)
    place.write_text("notes.txt", "of the user")
    assert JobFolder.open(place, other, overwrite=True).rows == {}
    assert "a.npy" in place.names()  # nothing changes before writing starts
    fill(place, "b", description=other, overwrite=True)
    assert place.names() == ["b.npy", JOURNAL, "notes.txt"]


def test_same_description_is_continued_even_with_overwrite(place: Storage) -> None:
    fill(place, "a")
    assert set(JobFolder.open(place, DESCRIPTION, overwrite=True).rows) == {"a"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("journal", [None, "", "{}\n", '{"video": "a"}\n', '{"job": 3}\n'])
def test_folder_of_another_program_is_rejected(place: Storage, overwrite: bool, journal: str | None) -> None:
    place.write_text("a.npy", "mine")
    if journal is not None:
        place.write_text(JOURNAL, journal)
    with pytest.raises(SolaError, match="out: exists and was not written by `sola test`; choose another folder"):
        JobFolder.open(place, DESCRIPTION, overwrite=overwrite)
    assert place.read_text("a.npy") == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_of_another_command_is_rejected(place: Storage, overwrite: bool) -> None:
    fill(place, "a")
    with pytest.raises(SolaError, match="exists and was written by `sola test`; choose another folder"):
        JobFolder.open(place, {"command": "sola other"}, overwrite=overwrite)


@pytest.mark.parametrize("removed", [[], [JOURNAL]])
def test_job_killed_while_replacing_another_starts_over(tmp_path: Path, removed: list[str]) -> None:
    """The mark is of the new job, and the journal and files, or only the files, are of the old job."""
    out, other = tmp_path / "out", {**DESCRIPTION, "rate": 5.0}
    fill(out, "a")
    (out / MARK).write_text(json.dumps(other))
    for name in removed:
        (out / name).unlink()
    assert JobFolder.open(out, other).rows == {}
    fill(out, "b", description=other)
    assert sorted(path.name for path in out.iterdir()) == ["b.npy", JOURNAL]


def test_temporary_files_of_a_killed_job_are_removed(tmp_path: Path) -> None:
    fill(tmp_path / "out", "a", finish=False)
    (tmp_path / "out" / ".b.npy.7.tmp").touch()
    fill(tmp_path / "out", "b")
    assert not list((tmp_path / "out").glob(".*"))


def test_an_empty_folder_is_new(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "a")
    assert is_finished(tmp_path / "out")


def test_error_names_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SolaError, match=f"^{tmp_path}/file/out: cannot be written"):
        fill(tmp_path / "file" / "out")


@pytest.mark.parametrize("cut", range(1, 10))
def test_row_after_an_incomplete_line_is_read(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"n": 1})
    append_row(path, {"n": 2})
    path.write_bytes(path.read_bytes()[:-cut])
    append_row(path, {"n": 3})
    rows = [row["n"] for row in read_rows(path)]
    assert rows == ([1, 2, 3] if cut == 1 else [1, 3])


@pytest.mark.parametrize("line", ["", "{", "[]", "3", "null", "[" * 100_000, "\x00\xff", "9" * 5000])
def test_damaged_lines_are_skipped(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"n": 1}}\n{line}\n')
    append_row(path, {"n": 2})
    assert read_rows(path) == [{"n": 1}, {"n": 2}]


def test_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "rows.jsonl") == []
