"""Extracted features equal those of plain loops, with settings and files recorded, for any number of threads."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.extraction import contents, rows_of, slowly
from support.quadrants import Quadrants, by_definition
from support.rendering import render

from sola.core.errors import SolaError
from sola.data.manifest import Manifest
from sola.pipeline.executors import Threads
from sola.pipeline.extract_job import extract
from sola.video.decoding import shown_frames
from sola.video.framing import Framing

pytestmark = pytest.mark.usefixtures("no_thread_remains")


@pytest.mark.parametrize(
    ("window", "stride", "fps", "framing", "batch"),
    [
        (1, 1, 4.0, Framing(16, 24), None),
        (1, 1, 25.0, Framing(16, 16, 20, "bilinear"), 7),
        (16, 2, 8.0, Framing(16, 24), 3),
        (3, 7, 10.0, Framing(12, 12, 12, "area"), 1),
        (4, 4, 100.0, Framing(8, 8), 64),
    ],
)
def test_features_equal_those_of_a_slow_direct_loop(
    window: int, stride: int, fps: float, framing: Framing, batch: int | None, clips: dict[str, Path], tmp_path: Path
) -> None:
    encoder = Quadrants(window=window, stride=stride, fps=fps, framing=framing)
    features = extract(clips, encoder, tmp_path / "f", dtype="float32", batch=batch)
    assert features.videos == tuple(clips)
    for video, path in clips.items():
        np.testing.assert_array_equal(features.read(video), slowly(path, encoder, fps, stride, framing), err_msg=video)


def test_settings_of_the_caller_override_those_of_the_encoder(clips: dict[str, Path], tmp_path: Path) -> None:
    encoder, framing = Quadrants(window=5), Framing(10, 10, 12)
    features = extract(
        {"mp4": clips["mp4"]}, encoder, tmp_path / "f", dtype="float32", fps=12.5, stride=3, framing=framing
    )
    np.testing.assert_array_equal(features.read("mp4"), slowly(clips["mp4"], encoder, 12.5, 3, framing))


def test_features_are_stored_as_float16_by_default(clips: dict[str, Path], tmp_path: Path) -> None:
    half = extract(clips, Quadrants(), tmp_path / "half").read("mp4")
    whole = extract(clips, Quadrants(), tmp_path / "whole", dtype="float32").read("mp4")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, whole.astype(np.float16))


class FromTheStart(Quadrants):
    offset = 0


def test_an_encoder_can_set_the_start_of_its_first_window(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", count=20, rate=10, codec="ffv1")
    encoder = FromTheStart(window=5, stride=2, fps=10.0)
    array = extract({"a": path}, encoder, tmp_path / "f", dtype="float32").read("a")
    shown = [encoder.framing(item.frame) for item in shown_frames(path)]
    windows = [shown[begin : begin + 5] for begin in range(0, 16, 2)]  # those inside the video
    np.testing.assert_array_equal(array[: len(windows)], by_definition(np.array(windows)))
    assert (len(array), Manifest.read(tmp_path / "f").offset) == (10, 0.0)


def test_the_manifest_records_encoder_timing_and_framing(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(window=4), tmp_path / "f", stride=2, fps=8.0, source="mine.py:build")
    record = json.loads((tmp_path / "f" / "features.json").read_text())
    made_with = record["extraction"].pop("made_with")
    assert set(made_with) == {"sola-tal", "av", "torch"}
    assert record == {
        "dim": 12,
        "fps": 8.0,
        "stride": 2.0,
        "window": 4.0,
        "offset": -1.0,
        "encoder": "quadrants",
        "extraction": {
            "encoder": "mine.py:build",
            "identity": "quadrants",
            "license": "CC0-1.0",
            "framing": {"height": 16, "width": 24, "short_side": None, "interpolation": "bicubic"},
            "dtype": "float16",
            "time_zero": "container",
            "begins": {},
        },
    }


def test_the_journal_records_the_file_of_each_video(clips: dict[str, Path], tmp_path: Path) -> None:
    extract(clips, Quadrants(), tmp_path / "f")
    rows = rows_of(tmp_path / "f")
    assert set(rows) == set(clips)
    row = rows["mp4"]
    assert row["file"] == str(clips["mp4"])
    assert (row["bytes"], row["frames"], row["snippets"]) == (clips["mp4"].stat().st_size, 100, 16)
    assert row["seconds"] == pytest.approx(4.0)


def test_the_number_of_threads_does_not_change_the_result(clips: dict[str, Path], tmp_path: Path) -> None:
    for jobs in (1, 3, 50):
        extract(clips, Quadrants(window=5, stride=2, fps=15.0), tmp_path / str(jobs), executor=Threads(jobs), batch=4)
    assert contents(tmp_path / "1") == contents(tmp_path / "3") == contents(tmp_path / "50")


def test_progress_increases_to_the_end(clips: dict[str, Path], tmp_path: Path) -> None:
    calls: list[tuple[float, int]] = []
    features = extract(
        clips, Quadrants(), tmp_path / "f", progress=lambda done, total, snippets: calls.append((done, snippets))
    )
    assert calls[-1] == (6.0, sum(features.length(video) for video in clips))
    assert max(done for done, _ in calls) <= 6.0
    assert [snippets for _, snippets in calls] == sorted(snippets for _, snippets in calls)
    calls.clear()
    extract(clips, Quadrants(), tmp_path / "f", progress=lambda done, total, snippets: calls.append((done, snippets)))
    assert calls in ([], [(6.0, 0)])


def test_features_with_folders_in_their_ids_are_returned(clips: dict[str, Path], tmp_path: Path) -> None:
    features = extract({"P1/cam": clips["avi"], "cam": clips["mkv"]}, Quadrants(), tmp_path / "f")
    assert features.videos == ("P1/cam", "cam")


@pytest.mark.parametrize("video", ["../out", "a/../../out", "{root}/out"])
def test_ids_cannot_leave_the_folder(clips: dict[str, Path], tmp_path: Path, video: str) -> None:
    with pytest.raises(SolaError, match="not a valid file name"):
        extract({video.format(root=tmp_path): clips["avi"]}, Quadrants(), tmp_path / "f")
    assert not list(tmp_path.iterdir())
