"""Propose segments: merged windows, times in seconds, and bad files."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.detector_runs import TINY

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.data.timing import Placement
from sola.detectors.clips import Clips, rescale
from sola.detectors.detect import classify_proposals, in_seconds, propose, relative
from sola.detectors.trained import TrainedDetector


@pytest.mark.parametrize("timed_by", ["manifest", "duration"])
def test_proposals_of_overlapping_windows_are_merged_in_seconds(
    timed_by: str, detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    """Compare with plain loops: decode each window in seconds, then apply soft-NMS to all candidates."""
    video = max(features.videos, key=features.length)
    record, array = annotations.videos[video], features.read(video)
    assert record.duration is not None
    if timed_by == "manifest":
        manifest = Manifest(fps=12, stride=3, window=8, offset=2)
        seconds = [(2 + 3 * (i - 0.5) + 4) / 12 for i in range(2 * len(array))]  # start of each snippet
    else:
        manifest = Manifest()
        seconds = [i * record.duration / len(array) for i in range(2 * len(array))]
    detector = replace(detector, manifest=manifest)
    firsts = [*range(0, len(array) - 16, 8), len(array) - 16]
    assert len(firsts) > 2
    candidates: list[list[float]] = []
    for first in firsts:
        clip = torch.from_numpy(rescale(array[first : first + 16], 8)).float().T[None]
        with torch.inference_mode():
            prediction = detector.model(clip)
        unit = (seconds[first + 16] - seconds[first]) / 8
        (decoded,) = detector.model.decode(prediction)
        start, end = (seconds[first] + unit * units for units in (decoded.start, decoded.end))
        candidates += [list(row) for row in zip(start, end, decoded.score, strict=True)]
    expected = []
    while candidates and len(expected) < TINY.max_detections:
        start, end, score = best = max(candidates, key=lambda row: row[2])
        candidates.remove(best)
        expected.append((start, end, score))
        for row in candidates:
            inside = max(min(row[1], end) - max(row[0], start), 0)
            row[2] *= math.exp(-((inside / (row[1] - row[0] + end - start - inside)) ** 2) / TINY.sigma)
    data = Dataset.open(replace(features, manifest=manifest), annotations).only([video])
    got = propose(detector, data, device="cpu")[video]
    np.testing.assert_allclose(np.stack([got.start, got.end, got.score], axis=1), expected, atol=1e-5)


def placed(placements: tuple[Placement, ...], video: list[int], length: int) -> Clips:
    """Clips without features or instances."""
    count, videos = len(placements), max(video) + 1
    return Clips(
        np.zeros((count * length, 1), np.float32),
        np.arange(count + 1) * length,
        tuple(map(str, range(videos))),
        ((0.0, 1.0),) * videos,
        np.array(video),
        placements,
        (torch.zeros(0, 2),) * count,
        (torch.zeros(0, dtype=torch.int64),) * count,
    )


@given(
    begin=st.floats(-5, 500), unit=st.floats(0.01, 20), length=st.integers(1, 100),
    shifts=st.lists(st.floats(0, 300), max_size=4), units=st.floats(0, 100),
)  # fmt: skip
@settings(max_examples=100, deadline=None, derandomize=True)
def test_relative_segments_convert_back_to_the_same_seconds(
    begin: float, unit: float, length: int, shifts: list[float], units: float
) -> None:
    placements = tuple(Placement(begin + shift, unit) for shift in (0.0, *sorted(shifts)))
    count = len(placements)
    clips = placed(placements, [0] * count, length)
    segments = Segments(np.array([units]), np.array([units + length]), np.zeros(1, np.int64), np.ones(1))
    for clip, placement in enumerate(placements):
        back = in_seconds(relative(segments, clips, clip, 0), clips, 0)
        np.testing.assert_allclose(back.start, placement.seconds(units), atol=1e-8)
        np.testing.assert_allclose(back.end - back.start, unit * length, atol=1e-8)


def test_segments_are_relative_to_the_first_clip_of_their_video() -> None:
    placements = (Placement(0.0, 1.0), Placement(5.0, 1.0), Placement(100.0, 2.0), Placement(110.0, 2.0))
    clips = placed(placements, [0, 0, 1, 1], 10)
    segments = Segments(np.zeros(1), np.ones(1), np.zeros(1, np.int64), np.ones(1))
    moved = [relative(segments, clips, clip, first) for clip, first in ((0, 0), (1, 0), (2, 2), (3, 2))]
    assert [float(segment.start[0]) for segment in moved] == pytest.approx([0.0, 0.5, 0.0, 0.5])
    assert [float(segment.end[0] - segment.start[0]) for segment in moved] == pytest.approx([0.1] * 4)


def test_proposals_are_sorted_and_do_not_depend_on_other_videos(
    detector: TrainedDetector, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = propose(detector, data, device="cpu")
    assert together.keys() == {video.id for video in data.videos}
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 2)
    for video, proposals in propose(detector, data, device="cpu").items():
        assert (np.diff(proposals.score) <= 0).all()
        np.testing.assert_allclose(proposals.score, together[video].score, rtol=1e-4)


def test_proposals_have_the_video_ids_of_the_annotations(
    detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    video = features.videos[0]
    record = replace(annotations.videos[video], video=f"v_{video}")
    data = Dataset.open(features, Annotations({record.video: record}, annotations.classes))
    assert list(propose(detector, data, device="cpu")) == [f"v_{video}"]


def test_bad_files_can_be_skipped(
    detector: TrainedDetector, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad file is the only one in its group of videos."""
    folder = shutil.copytree(world / "features", tmp_path / "features")
    video = sorted(path.stem for path in folder.glob("*.npy"))[-1]
    np.save(folder / f"{video}.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(folder, skip_bad=True)
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 1)
    skipped: dict[str, str] = {}
    proposals = propose(detector, data, device="cpu", skipped=skipped)
    assert set(proposals) == {each.id for each in data.videos} - {video}
    assert list(skipped) == [video]
    assert set(classify_proposals(detector, data, proposals)) == set(proposals)


def test_skipping_all_files_is_refused(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    Manifest(fps=4.0).write(tmp_path / "features")
    np.save(tmp_path / "features" / "a.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(tmp_path / "features", skip_bad=True)
    with pytest.raises(SolaError, match=r"a\.npy"):
        propose(detector, data, device="cpu")
