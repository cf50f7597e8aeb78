"""Extraction reuses existing features, and replaces others only with overwrite."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.extraction import contents, slowly
from support.quadrants import Quadrants
from support.rendering import corners, render

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL
from sola.data.manifest import Manifest
from sola.pipeline.executors import Threads
from sola.pipeline.extract_job import extract
from sola.video.framing import Framing

pytestmark = pytest.mark.usefixtures("no_thread_remains")


def test_existing_features_are_not_extracted_again(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "f").iterdir()}
    again = Quadrants()
    assert extract(clips, again, tmp_path / "f").videos == tuple(clips)
    assert again.batches == []
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "f").iterdir()} == before


def test_videos_are_added(clips: dict[str, Path], tmp_path: Path) -> None:
    some = dict(list(clips.items())[:2])
    extract(some, Quadrants(), tmp_path / "f")
    before = (tmp_path / "f" / "avi.npy").stat().st_mtime_ns
    assert extract(clips, Quadrants(), tmp_path / "f").videos == tuple(clips)
    assert (tmp_path / "f" / "avi.npy").stat().st_mtime_ns == before
    extract(clips, Quadrants(), tmp_path / "at_once")
    assert contents(tmp_path / "f") == contents(tmp_path / "at_once")


def test_only_requested_videos_are_returned(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    assert extract({"mp4": clips["mp4"]}, Quadrants(), tmp_path / "f").videos == ("mp4",)


def test_a_changed_file_is_extracted_again(tmp_path: Path) -> None:
    videos = {name: render(tmp_path / f"{name}.mp4", count=20) for name in "ab"}
    extract(videos, Quadrants(), tmp_path / "f", dtype="float32")
    before = (tmp_path / "f" / "b.npy").stat().st_mtime_ns
    render(videos["a"], pictures=[corners()] * 60)
    features = extract(videos, Quadrants(), tmp_path / "f", dtype="float32")
    np.testing.assert_array_equal(features.read("a"), slowly(videos["a"], Quadrants(), 4.0, 1, Framing(16, 24)))
    assert (tmp_path / "f" / "b.npy").stat().st_mtime_ns == before


def test_removed_features_are_extracted_again(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    before = contents(tmp_path / "f")
    (tmp_path / "f" / "mkv.npy").unlink()
    extract(clips, Quadrants(), tmp_path / "f")
    assert contents(tmp_path / "f") == before


@pytest.mark.parametrize("cut", [1, 20])
def test_a_journal_with_a_truncated_line_is_continued(cut: int, clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f", executor=Threads(1))
    log = tmp_path / "f" / JOURNAL
    log.write_bytes(log.read_bytes()[:-cut])
    for asked in ([] if cut == 1 else [1], []):
        again = Quadrants()
        extract(clips, again, tmp_path / "f")
        assert bool(again.batches) == bool(asked)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", '"x"', "null", '{"video": ["a"]}', '{"video": "mp4"}', "\x00\xff"]
)
def test_invalid_lines_of_the_journal_are_ignored(line: str, clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    log = tmp_path / "f" / JOURNAL
    log.write_text(log.read_text() + line + "\n")
    assert extract(clips, Quadrants(), tmp_path / "f").videos == tuple(clips)


OTHER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"fps": 5.0}, "fps 4.0, but now fps is 5.0"),
    ({}, {"stride": 2}, "stride 1.0, but now stride is 2.0"),
    ({}, {"dtype": "float32"}, "dtype float16, but now dtype is float32"),
    ({}, {"framing": Framing(16, 16)}, "framing"),
    ({"window": 3}, {}, "window 1.0, but now window is 3.0"),
    ({"identity": "other"}, {}, "identity quadrants, but now identity is other"),
]


@pytest.mark.parametrize(("encoder", "settings", "words"), OTHER)
def test_features_with_other_settings_are_replaced_only_with_overwrite(
    encoder: dict[str, Any], settings: dict[str, Any], words: str, clips: dict[str, Path], tmp_path: Path
) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    before = contents(tmp_path / "f")
    with pytest.raises(SolaError, match=f"already exists with {words}.*--overwrite"):
        extract(clips, Quadrants(**encoder), tmp_path / "f", **settings)
    assert contents(tmp_path / "f") == before
    few = {"mp4": clips["mp4"]}
    features = extract(few, Quadrants(**encoder), tmp_path / "f", **settings, overwrite=True)
    assert features.videos == FeatureSet.open(tmp_path / "f").videos == ("mp4",)
    extract(few, Quadrants(**encoder), tmp_path / "new", **settings)
    assert contents(tmp_path / "f") == contents(tmp_path / "new")


def test_overwrite_with_the_same_settings_keeps_existing_features(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    again = Quadrants()
    extract(clips, again, tmp_path / "f", overwrite=True)
    assert again.batches == []


def test_an_overwrite_stopped_before_the_first_video_continues(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")

    class Stopping(Quadrants):
        def __call__(self, frames: np.ndarray) -> np.ndarray:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, Stopping(), tmp_path / "f", fps=5.0, overwrite=True)
    extract(clips, Quadrants(), tmp_path / "f", fps=5.0)
    extract(clips, Quadrants(), tmp_path / "new", fps=5.0)
    assert contents(tmp_path / "f") == contents(tmp_path / "new")


def test_a_newer_version_of_a_library_is_accepted(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    manifest = Manifest.read(tmp_path / "f")
    replace(manifest, extraction={**manifest.extraction, "made_with": {"av": "1"}, "encoder": "moved"}).write(
        tmp_path / "f"
    )
    again = Quadrants()
    extract(clips, again, tmp_path / "f")
    assert again.batches == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("what", ["file", "folder", "features", "notes"])
def test_folders_of_other_programs_are_not_changed(
    what: str, overwrite: bool, clips: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "f"
    if what == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        name = {"folder": "a.txt", "features": "a.npy", "notes": "features.json"}[what]
        (out / name).write_text('{"fps": 3}')
    with pytest.raises(SolaError, match="was not written by `sola extract`; choose another folder"):
        extract(clips, Quadrants(), out, overwrite=overwrite)
    assert out.is_file() or len(list(out.iterdir())) == 1


def test_temporary_files_of_a_killed_run_are_removed(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    (tmp_path / "f" / "mp4.npy").rename(tmp_path / "f" / ".mp4.npy.12345.tmp")
    extract(clips, Quadrants(), tmp_path / "f")
    assert not list((tmp_path / "f").glob(".*"))
