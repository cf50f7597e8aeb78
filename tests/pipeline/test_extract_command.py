"""`sola extract`: output, one-line errors, and ids with folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.extraction import ENCODER, contents, rows_of
from support.quadrants import Quadrants
from support.rendering import render

from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL
from sola.data.manifest import Manifest
from sola.pipeline.extract_job import extract

pytestmark = pytest.mark.usefixtures("no_thread_remains")


def test_the_command_writes_the_same_files_as_extract(
    clips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = clips["mp4"].parent
    assert sola("extract", folder, "--out", tmp_path / "f", "--encoder", ENCODER) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{tmp_path / 'f'}: 6 videos; next: sola train {tmp_path / 'f'} --recipe auto --out RUN\n"
    extract(clips, Quadrants(), tmp_path / "direct", source=ENCODER)
    assert contents(tmp_path / "f") == contents(tmp_path / "direct")


def test_the_command_has_a_default_encoder(clips: dict[str, Path], tmp_path: Path) -> None:
    assert sola("extract", clips["avi"], "--out", tmp_path / "f", "--fps", 1, "--window", 2, "--quiet") == 0
    array = FeatureSet.open(tmp_path / "f").read("avi")
    assert array.shape == (4, 1280)
    assert array.std() > 0.05


def test_whole_frame_resizes_without_cropping(clips: dict[str, Path], tmp_path: Path) -> None:
    assert sola("extract", clips["avi"], "--out", tmp_path / "f", "--fps", 1, "--whole-frame", "--quiet") == 0
    framing = Manifest.read(tmp_path / "f").extraction["framing"]
    assert (framing["height"], framing["short_side"]) == (224, None)


def test_the_command_reports_skipped_files(
    clips: dict[str, Path], bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("extract", clips["mp4"], bad, "--out", tmp_path / "f", "--encoder", ENCODER)
    assert "bad.mkv: truncated" in refused(capsys, *arguments)
    assert sola(*arguments, "--skip-bad", "--quiet") == 0
    assert capsys.readouterr().err.startswith(f"1 bad file left out, the first: bad: {bad}: truncated")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "VIDEOS"),
        (("gone.mp4",), "gone.mp4: no such file or folder"),
        (("empty",), "empty: no videos"),
        (("text.mp4",), "text.mp4: cannot be read as a video"),
        (("a.mp4", "sub/a.avi"), "same video id 'a'"),
        (("a.mp4", "--encoder", "nobody"), "nobody: no such encoder"),
        (("a.mp4", "--encoder", "gone.py:x"), "gone.py: no such file"),
        (("a.mp4", "--fps", "0"), "fps"),
        (("a.mp4", "--fps", "-3"), "fps"),
        (("a.mp4", "--fps", "nan"), "fps"),
        (("a.mp4", "--fps", "fast"), "fast"),
        (("a.mp4", "--window", "0"), "window=0"),
        (("a.mp4", "--stride", "0"), "stride"),
        (("a.mp4", "--batch-size", "0"), "batch"),
        (("a.mp4", "--jobs", "0"), "jobs"),
        (("a.mp4", "--dtype", "int8"), "int8"),
        (("a.mp4", "--device", "tpu"), "tpu"),
        (("a.mp4", "--out", "text.mp4"), "text.mp4: exists and was not written by"),
        (("a.mp4", "--out", "text.mp4/f"), "cannot be written"),
    ],
)
def test_an_invalid_argument_gives_a_one_line_error(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    render(tmp_path / "a.mp4", count=5)
    (tmp_path / "sub").mkdir()
    render(tmp_path / "sub" / "a.avi", count=5)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    out = () if "--out" in arguments else ("--out", "f")
    encoder = () if "--encoder" in arguments else ("--encoder", ENCODER)
    assert words in refused(capsys, "extract", *arguments, *out, *encoder)


def test_out_is_required(clips: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--out" in refused(capsys, "extract", clips["mp4"])


@pytest.fixture
def cameras(tmp_path: Path, clips: dict[str, Path]) -> Path:
    """Three recordings with the same file name."""
    for place, clip in (("P1", "avi"), ("P2", "mkv"), ("P2/late", "avi")):
        (tmp_path / "videos" / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(clips[clip], tmp_path / "videos" / place / f"cam{clips[clip].suffix}")
    return tmp_path / "videos"


def test_ids_can_contain_folders(cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("extract", cameras, "--out", tmp_path / "f", "--encoder", ENCODER)
    assert "pass --id-from path to include folders in ids, or rename one of them" in refused(capsys, *command)
    assert sola(*command, "--id-from", "path") == 0
    assert "sola train " + str(tmp_path / "f") + " --id-from path --recipe auto" in capsys.readouterr().err
    names = {path.relative_to(tmp_path / "f").as_posix() for path in (tmp_path / "f").rglob("*.*")}
    assert names == {"P1/cam.npy", "P2/cam.npy", "P2/late/cam.npy", JOURNAL, "features.json"}
    assert set(rows_of(tmp_path / "f")) == {"P1/cam", "P2/cam", "P2/late/cam"}
    features = FeatureSet.open(tmp_path / "f", id_from="path")
    np.testing.assert_array_equal(features.read("P1/cam"), features.read("P2/late/cam"))
    assert len(features.read("P2/cam")) != len(features.read("P1/cam"))
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "f").rglob("*.npy")}
    (tmp_path / "f" / "P2" / "late" / "cam.npy").unlink()
    assert sola(*command, "--id-from", "path", "--quiet") == 0  # missing features are extracted again
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "f").rglob("*.npy")}
    assert {path for path in again if again[path] != made[path]} == {tmp_path / "f" / "P2" / "late" / "cam.npy"}
