"""Snippet times of extracted features: the manifest, videos that start late, and variable frame rates."""

import os
from pathlib import Path

import numpy as np
import pytest
from support.extraction import contents, rows_of, slowly
from support.quadrants import Quadrants
from support.rendering import render

from sola.core.errors import SolaError
from sola.data.journal import JOURNAL
from sola.data.manifest import Manifest
from sola.data.timing import resolve_grid
from sola.pipeline.extract_job import extract
from sola.video.decoding import shown_frames
from sola.video.framing import Framing

pytestmark = pytest.mark.usefixtures("no_thread_remains")


@pytest.mark.parametrize(
    ("fps", "window", "stride"), [(4.0, 1, 1), (20.0, 16, 2), (10.0, 5, 3), (5.0, 4, 4), (20.0, 1, 8)]
)
def test_the_manifest_gives_the_times_of_snippets(fps: float, window: int, stride: int, tmp_path: Path) -> None:
    """Brightness increases from frame to frame, and a snippet is as bright as the frame shown at its center."""
    pictures = [np.full((32, 32, 3), 20 + 2 * n, np.uint8) for n in range(110)]
    path = render(tmp_path / "a.mkv", pictures=pictures, codec="ffv1")
    features = extract({"a": path}, Quadrants(window=window), tmp_path / "f", fps=fps, stride=stride, dtype="float32")
    manifest = Manifest.read(tmp_path / "f")
    array = features.read("a")
    grid = resolve_grid(
        len(array), fps=manifest.fps, stride=manifest.stride, window=manifest.window, offset=manifest.offset
    )
    centers = grid.seconds(np.arange(len(array)))
    frames = [((item.start + item.end) / 2, Framing(16, 24)(item.frame).mean()) for item in shown_frames(path)]
    middles, levels = np.array(frames).T
    assert (np.diff(levels) > 0.5).all()
    seen = np.interp(array.mean(1), levels, middles)
    inside = (centers > window / fps) & (centers < 5.5 - window / fps)
    assert inside.sum() >= 3
    np.testing.assert_allclose(seen[inside], centers[inside], atol=0.5 / 20 + 0.012)  # half a frame, and rounding
    assert abs(grid.edge(0)) <= 0.5 / fps
    assert abs(grid.edge(len(array)) - 5.5) <= (stride + 0.5) / fps


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is white from 6 to 9 s, whose sound starts two seconds before the pictures."""
    levels = [16] * 60 + [235] * 30 + [16] * 30
    pictures = [np.full((32, 32, 3), level, np.uint8) for level in levels]
    path = tmp_path_factory.mktemp("late") / "late.mp4"
    return render(path, pictures=pictures, times=np.arange(120) / 10, rate=10, first=2.0, sound=12.0)


def test_snippet_times_are_those_of_a_player(late: Path, tmp_path: Path) -> None:
    encoder = Quadrants()
    features = extract({"late": late}, encoder, tmp_path / "f", dtype="float32").read("late")
    white = np.flatnonzero(features.mean(1) > 128)
    assert (len(features), white.min(), white.max(), len(white)) == (56, 32, 43, 12)
    assert sum(encoder.batches) == 49  # the first frame, which is shown for two seconds, is encoded once


def test_the_start_of_pictures_is_recorded(late: Path, clips: dict[str, Path], tmp_path: Path) -> None:
    extract({"late": late, "mp4": clips["mp4"]}, Quadrants(), tmp_path / "f")
    rows = rows_of(tmp_path / "f")
    assert {video: row["begins"] for video, row in rows.items()} == {"late": pytest.approx(2.0), "mp4": 0.0}
    assert rows["late"]["seconds"] == pytest.approx(14.0)
    assert Manifest.read(tmp_path / "f").extraction["begins"] == {"late": rows["late"]["begins"]}


def test_the_start_of_pictures_of_added_videos_is_recorded(late: Path, clips: dict[str, Path], tmp_path: Path) -> None:
    extract({"mp4": clips["mp4"]}, Quadrants(), tmp_path / "f")
    extract({"late": late, "mp4": clips["mp4"]}, Quadrants(), tmp_path / "f")
    extract({"late": late, "mp4": clips["mp4"]}, Quadrants(), tmp_path / "at_once")
    assert contents(tmp_path / "f") == contents(tmp_path / "at_once")


def test_features_of_a_version_with_another_clock_are_refused(clips: dict[str, Path], tmp_path: Path) -> None:
    videos = {"mp4": clips["mp4"]}
    extract(videos, Quadrants(), tmp_path / "f")
    journal = tmp_path / "f" / JOURNAL
    journal.write_text(journal.read_text().replace(', "time_zero": "container"', ""))
    with pytest.raises(
        SolaError, match=r"already exists with time_zero None, but now time_zero is container; .*--overwrite"
    ):
        extract(videos, Quadrants(), tmp_path / "f")


TREE = [number * 29.35 / 67 for number in range(68)]
"""Times in seconds, with a mean rate of 2.3 fps although the header has 15 fps."""


def every_frame_once(path: Path, out: Path) -> Quadrants:
    """Extract 118 snippets from 68 frames, and check that no frame is encoded twice."""
    encoder = Quadrants()
    features = extract({"tree": path}, encoder, out, dtype="float32")
    assert features.length("tree") == 118
    np.testing.assert_array_equal(features.read("tree"), slowly(path, encoder, 4.0, 1, encoder.framing))
    assert rows_of(out)["tree"]["frames"] == 68
    middles = (np.arange(118) + 0.5) / 4
    assert sum(encoder.batches) == sum(
        bool(((middles >= s.start) & (middles < s.end)).any()) for s in shown_frames(path)
    )
    return encoder


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_slow_video_of_variable_rate_has_every_frame_encoded_once(suffix: str, tmp_path: Path) -> None:
    encoder = every_frame_once(render(tmp_path / f"tree{suffix}", rate=15, times=TREE), tmp_path / "f")
    assert sum(encoder.batches) == 68


def test_a_real_video_of_variable_rate_has_no_frame_encoded_twice(tmp_path: Path) -> None:
    """Its last frame is shown for 0.07 s, and no snippet has its center there."""
    path = Path(os.environ.get("SOLA_TREE_AVI", "."))
    if not path.is_file():
        pytest.skip("name OpenCV's tree.avi in SOLA_TREE_AVI")
    assert sum(every_frame_once(path, tmp_path / "f").batches) == 67
