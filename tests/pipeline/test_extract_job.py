"""Extraction: feature values, reuse of existing features, bad files, and interrupts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calling import refused, sola
from support.places import QUADRANTS, SUPPORT
from support.quadrants import Quadrants, by_definition
from support.rendering import corners, render, song, turned

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK, read_rows
from sola.data.manifest import Manifest
from sola.data.timing import resolve_grid
from sola.pipeline.executors import Threads
from sola.pipeline.extract_job import extract
from sola.video.decoding import shown_frames
from sola.video.errors import BadVideo
from sola.video.framing import Framing
from sola.video.snippets import offset_of


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the last row of each video in the journal of a folder."""
    return {row["video"]: row for row in read_rows(folder / JOURNAL) if "video" in row}


ENCODER = f"{QUADRANTS}:quick"
SLOW = f"{QUADRANTS}:slow"


@pytest.fixture(autouse=True)
def _no_thread_remains() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six videos of different kinds."""
    folder = tmp_path_factory.mktemp("clips")
    times = np.sort(np.random.default_rng(0).uniform(0, 12, 50))
    return {
        "avi": render(folder / "avi.avi", count=55, rate=15),
        "mkv": render(folder / "mkv.mkv", times=times - times[0]),
        "mp4": render(folder / "mp4.mp4", count=100, rate=25, options={"preset": "fast", "bf": "2"}),
        "sound": render(folder / "sound.mp4", count=30, sound=4.0),
        "turned": turned(render(folder / "turned.mp4", pictures=[corners()] * 25), 90),
        "webm": render(folder / "webm.webm", count=70, rate=30),
    }


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = render(tmp_path_factory.mktemp("bad") / "bad.mkv", count=200)
    path.write_bytes(path.read_bytes()[:6000])
    return path


def slowly(path: Path, encoder: Quadrants, fps: float, stride: int, framing: Framing) -> np.ndarray:
    """Decode all frames, pick those shown at (k + ½) / fps, cut windows, and encode each window separately."""
    shown = [(item.start, item.end, framing(item.frame)) for item in shown_frames(path)]
    frames = []
    while (time := (len(frames) + 0.5) / fps) < shown[-1][1]:
        frames.append(next(array for start, end, array in shown if start <= time < end))
    frames = frames or [shown[-1][2]]
    features = []
    for snippet in range(-(-len(frames) // stride)):
        begin = offset_of(encoder.window, stride) + snippet * stride
        window = [frames[min(max(k, 0), len(frames) - 1)] for k in range(begin, begin + encoder.window)]
        features.append(by_definition(np.stack(window)[None])[0])
    return np.stack(features)


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


def test_the_manifest(clips: dict[str, Path], tmp_path: Path) -> None:
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


# start of time


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


def test_the_real_video_of_variable_rate(tmp_path: Path) -> None:
    """Its last frame is shown for 0.07 s, and no snippet has its center there."""
    path = Path(os.environ.get("SOLA_TREE_AVI", "."))
    if not path.is_file():
        pytest.skip("name OpenCV's tree.avi in SOLA_TREE_AVI")
    assert sum(every_frame_once(path, tmp_path / "f").batches) == 67


# reuse of existing features


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != JOURNAL}


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


# several videos at once


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


# bad files


def test_a_bad_file_stops_the_job_and_finished_features_remain(
    clips: dict[str, Path], bad: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadVideo, match="truncated: ends at") as caught:
        extract({**clips, "zz": bad}, Quadrants(), tmp_path / "f", executor=Threads(1))
    assert str(bad) in str(caught.value)
    assert set(contents(tmp_path / "f")) == {MARK, *(f"{video}.npy" for video in clips)}
    with pytest.raises(SolaError, match="unfinished; run the same command again to continue"):
        FeatureSet.open(tmp_path / "f")


def test_a_bad_file_stops_other_threads(tmp_path: Path) -> None:
    (tmp_path / "z.mp4").write_text("no video")
    videos = {"long": render(tmp_path / "long.mp4", count=400), "z": tmp_path / "z.mp4"}
    encoder = Quadrants(pause=0.02)
    with pytest.raises(BadVideo, match=r"z\.mp4"):
        extract(videos, encoder, tmp_path / "f", fps=20.0, batch=1)
    assert sum(encoder.batches) < 400  # the long video was stopped before its end
    assert set(contents(tmp_path / "f")) == {MARK}


@pytest.mark.parametrize("jobs", [1, 3])
def test_bad_files_can_be_skipped(jobs: int, clips: dict[str, Path], bad: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    videos = {"a": bad, **clips, "s": song(tmp_path / "s.mp3"), "t": text}
    features = extract(videos, Quadrants(), tmp_path / "f", executor=Threads(jobs), skip_bad=True)
    assert features.videos == tuple(clips)
    rows = rows_of(tmp_path / "f")
    assert "truncated: " in rows["a"]["skipped"]
    assert "has only audio" in rows["s"]["skipped"]
    assert str(text) in rows["t"]["skipped"]
    assert not list((tmp_path / "f").glob(".*"))


def test_a_repaired_file_is_extracted(clips: dict[str, Path], bad: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(bad.read_bytes())
    videos = {"a": path, "mp4": clips["mp4"]}
    assert extract(videos, Quadrants(), tmp_path / "f", skip_bad=True).videos == ("mp4",)
    render(path)
    assert extract(videos, Quadrants(), tmp_path / "f", skip_bad=True).videos == ("a", "mp4")


def test_features_of_a_file_that_became_bad_are_removed(clips: dict[str, Path], bad: Path, tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv")
    videos = {"a": path, "mp4": clips["mp4"]}
    extract(videos, Quadrants(), tmp_path / "f")
    path.write_bytes(bad.read_bytes())
    assert extract(videos, Quadrants(), tmp_path / "f", skip_bad=True).videos == ("mp4",)
    assert FeatureSet.open(tmp_path / "f").videos == ("mp4",)


def test_the_error_for_a_bad_frame_names_its_file(tmp_path: Path) -> None:
    path = render(tmp_path / "a.avi", pictures=[np.zeros((2, 2000, 3), np.uint8)] * 3, codec="ffv1")
    with pytest.raises(BadVideo, match=r"a\.avi: .*expected an aspect ratio"):
        extract({"a": path}, Quadrants(), tmp_path / "f")


def test_skipping_all_videos_is_refused(bad: Path, tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"truncated.*none of 2 videos is left"):
        extract({"a": bad, "b": bad}, Quadrants(), tmp_path / "f", skip_bad=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fps": 0.0}, "fps=0.0: expected a number above 0"),
        ({"fps": float("nan")}, "fps=nan: expected a number above 0"),
        ({"fps": float("inf")}, "fps=inf: expected"),
        ({"stride": 0}, "stride=0: expected a whole number of at least 1"),
        ({"batch": 0}, "batch=0: expected"),
    ],
)
def test_invalid_settings_are_refused(
    settings: dict[str, Any], words: str, clips: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(SolaError, match=words):
        extract(clips, Quadrants(), tmp_path / "f", **settings)
    assert not (tmp_path / "f").exists()


class Wrong(Quadrants):
    """An encoder with wrong results from its third batch on."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        features = super().__call__(frames)
        if len(self.batches) < 3:
            return features
        if self.kind == "error":
            raise RuntimeError("error in the encoder")
        if self.kind == "interrupt":
            raise KeyboardInterrupt
        return {
            "short": features[1:],
            "narrow": features[:, 1:],
            "flat": features.ravel(),
            "nan": features * np.float32(np.nan),
            "large": features * np.float32(1e6),
        }[self.kind]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("narrow", SolaError, r"encoder quadrants: returned features of shape \(2, 11\); expected \(2, 12\)"),
        ("short", SolaError, r"returned features of shape \(1, 12\)"),
        ("nan", SolaError, "a feature is NaN"),
        ("large", SolaError, "exceeds the largest float16 value 65504; try --dtype float32"),
        ("error", RuntimeError, "error in the encoder"),
        ("interrupt", KeyboardInterrupt, "^$"),
    ],
)
def test_a_failing_encoder_leaves_no_partial_file(
    kind: str, error: type[BaseException], words: str, jobs: int, clips: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        extract(clips, Wrong(kind), tmp_path / "f", batch=2, executor=Threads(jobs))
    if error is SolaError:
        assert any(str(path) in str(caught.value) for path in clips.values())
    assert not list((tmp_path / "f").glob(".*"))
    for path in (tmp_path / "f").glob("*.npy"):
        assert len(np.load(path)) > 0


def test_a_folder_that_cannot_be_written(clips: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SolaError, match="cannot be written"):
        extract(clips, Quadrants(), tmp_path / "file" / "f")


# the command


def test_the_command(clips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = clips["mp4"].parent
    assert sola("extract", folder, "--out", tmp_path / "f", "--encoder", ENCODER) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{tmp_path / 'f'}: 6 videos; next: sola train {tmp_path / 'f'} --recipe auto --out RUN\n"
    extract(clips, Quadrants(), tmp_path / "direct", source=ENCODER)
    assert contents(tmp_path / "f") == contents(tmp_path / "direct")


def test_the_command_with_the_default_encoder(clips: dict[str, Path], tmp_path: Path) -> None:
    assert sola("extract", clips["avi"], "--out", tmp_path / "f", "--fps", 1, "--window", 2, "--quiet") == 0
    array = FeatureSet.open(tmp_path / "f").read("avi")
    assert array.shape == (4, 1280)
    assert array.std() > 0.05


def test_the_whole_frame(clips: dict[str, Path], tmp_path: Path) -> None:
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
def test_errors_are_one_line(
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


# kills and interrupts


def start(clips: Path, out: Path, *more: str) -> "subprocess.Popen[bytes]":
    # tests that run in the background ignore interrupts, and a child process inherits this
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from sola.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "extract", str(clips), "--out", str(out)]
    return subprocess.Popen(
        [*command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for_features(out: Path, process: "subprocess.Popen[bytes]", count: int) -> None:
    end = time.monotonic() + 60
    while len(list(out.glob("*.npy"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_continues_and_ends_with_the_same_bytes(clips: dict[str, Path], tmp_path: Path) -> None:
    folder, out = clips["mp4"].parent, tmp_path / "f"
    options = ("--encoder", SLOW, "--jobs", "3", "--batch-size", "1")
    process = start(folder, out, *options)
    wait_for_features(out, process, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for path in out.glob("*.npy"):
        assert np.load(path).shape[1] == 12, "whole files only"
    assert len(list(out.glob("*.npy"))) < len(clips)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.npy") if path.stem in rows_of(out)}
    assert finished
    assert sola("extract", folder, "--out", out, *options, "--quiet") == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert sola("extract", folder, "--out", tmp_path / "undisturbed", *options, "--quiet") == 0
    assert contents(out) == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_an_interrupt_prints_one_line_and_leaves_no_partial_file(clips: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "f"
    # wait at least a second per clip, so that the interrupt comes before the end even on a busy machine
    process = start(clips["mp4"].parent, out, "--encoder", SLOW, "--fps", "20", "--batch-size", "1", "--jobs", "1")
    wait_for_features(out, process, 1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert len(list(out.glob("*.npy"))) < len(clips)
    assert process.returncode == 130
    assert stdout == b""
    assert stderr.decode().startswith("sola: interrupted")
    assert len(stderr.splitlines()) == 1
    assert not list(out.glob(".*"))


PEAK = """
import re, sys
from pathlib import Path
from sola.pipeline.extract_job import extract
from support.quadrants import Quadrants
extract({"a": Path(sys.argv[1])}, Quadrants(window=4, fps=25.0), Path(sys.argv[2]))
# getrusage would return the peak of the parent process if that was higher
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", pytest.param(".mkv", marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_length_of_a_video(suffix: str, tmp_path: Path) -> None:
    peaks = []
    path_of_tests = os.pathsep.join([str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")])
    for seconds in (10, 300):
        path = render(tmp_path / f"{seconds}{suffix}", count=25 * seconds, rate=25)
        command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / f"{seconds}")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": path_of_tests}
        )
        peaks.append(int(done.stdout))
    assert np.load(tmp_path / "300" / "a.npy", mmap_mode="r").shape == (7500, 12)
    assert peaks[1] - peaks[0] < 60, f"{peaks} MiB"


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


def test_features_with_folders_in_their_ids_are_returned(clips: dict[str, Path], tmp_path: Path) -> None:
    features = extract({"P1/cam": clips["avi"], "cam": clips["mkv"]}, Quadrants(), tmp_path / "f")
    assert features.videos == ("P1/cam", "cam")


@pytest.mark.parametrize("video", ["../out", "a/../../out", "{root}/out"])
def test_ids_cannot_leave_the_folder(clips: dict[str, Path], tmp_path: Path, video: str) -> None:
    with pytest.raises(SolaError, match="not a valid file name"):
        extract({video.format(root=tmp_path): clips["avi"]}, Quadrants(), tmp_path / "f")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("alone", [False, True])
def test_skipping_the_only_video_is_not_suggested(
    clips: dict[str, Path], bad: Path, tmp_path: Path, alone: bool
) -> None:
    with pytest.raises(BadVideo) as raised:
        extract({"bad": bad} | ({} if alone else {"good": clips["avi"]}), Quadrants(), tmp_path / "f")
    cure = "; repair it (ffmpeg -i IN OUT.mp4 often does)"
    assert str(raised.value).endswith(cure if alone else f"{cure}, or skip it with --skip-bad")
