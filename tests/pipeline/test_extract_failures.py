"""Bad files, invalid settings and failing encoders leave no partial features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.extraction import contents, rows_of
from support.quadrants import Quadrants
from support.rendering import render, song

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.journal import MARK
from sola.pipeline.executors import Threads
from sola.pipeline.extract_job import extract
from sola.video.errors import BadVideo

pytestmark = pytest.mark.usefixtures("no_thread_remains")


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


def test_a_folder_that_cannot_be_written_is_reported(clips: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SolaError, match="cannot be written"):
        extract(clips, Quadrants(), tmp_path / "file" / "f")


@pytest.mark.parametrize("alone", [False, True])
def test_skipping_the_only_video_is_not_suggested(
    clips: dict[str, Path], bad: Path, tmp_path: Path, alone: bool
) -> None:
    with pytest.raises(BadVideo) as raised:
        extract({"bad": bad} | ({} if alone else {"good": clips["avi"]}), Quadrants(), tmp_path / "f")
    cure = "; repair it (ffmpeg -i IN OUT.mp4 often does)"
    assert str(raised.value).endswith(cure if alone else f"{cure}, or skip it with --skip-bad")
