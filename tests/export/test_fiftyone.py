"""Detections become temporal detections of FiftyOne, with frames instead of seconds."""

import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.detections import Detections
from sola.data.segments import SegmentTable
from sola.export import VideoFrames, to_fiftyone
from sola.export.fiftyone import support


def detections_of(*rows: tuple[float, float, int, float, int]) -> Detections:
    """Return detections of the videos p and q from rows (start, end, label, score, video)."""
    start, end, label, score, video = (np.array(column) for column in zip(*rows, strict=True))
    return Detections(("p", "q"), ("jump", ""), SegmentTable(start, end, label, score, video))


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0.0, 4.0, [1, 100]),
        (1.0, 2.0, [26, 50]),  # frame 26 starts at 1.0 s, frame 50 ends at 2.0 s
        (1.01, 1.02, [26, 26]),
        (1.0, 1.0, [26, 26]),
        (0.28, 0.56, [8, 14]),  # 7.000000000000001 and 14.000000000000002 frames
        (-3.0, 0.5, [1, 13]),
        (3.5, 9.0, [88, 100]),
        (-2.0, -1.0, None),
        (4.0, 5.0, None),
    ],
)
def test_support_is_the_visible_frames(start: float, end: float, frames: list[int] | None) -> None:
    assert support("v", start, end, frame_rate=25.0, count=100) == frames


@pytest.fixture
def fiftyone() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised by dependencies
        return pytest.importorskip("fiftyone")


def test_each_video_gets_temporal_detections(fiftyone: Any) -> None:
    detections = detections_of(
        (1.0, 2.0, 0, 0.75, 0), (9.0, 9.5, 0, 0.5, 0), (0.0, 1.0, 1, 0.25, 1), (0.5, 1.5, 0, 0.125, 0)
    )
    metadata = fiftyone.VideoMetadata(frame_rate=25.0, total_frame_count=100, duration=4.0)
    got = to_fiftyone(detections, {"p": metadata, "q": VideoFrames(10.0, 30)})
    assert all(isinstance(value, fiftyone.TemporalDetections) for value in got.values())
    assert {
        video: [(detection.label, list(detection.support), detection.confidence) for detection in value.detections]
        for video, value in got.items()
    } == {
        "p": [("jump", [26, 50], 0.75), ("jump", [13, 38], 0.125)],  # the detection outside the video is dropped
        "q": [(None, [1, 10], 0.25)],
    }
    sample = fiftyone.Sample(filepath="p.mp4", metadata=metadata, sola=got["p"])
    expected = [
        fiftyone.TemporalDetection.from_timestamps(times, metadata=metadata).support
        for times in ([1.0, 2.0], [0.5, 1.5])
    ]
    supports = [detection.support for detection in sample["sola"].detections]
    assert np.abs(np.array(supports) - np.array(expected)).max() <= 1


@pytest.mark.parametrize(
    ("row", "videos", "message"),
    [
        ((0.0, 1.0, 0, 1.0, 0), {"q": VideoFrames(25.0, 100)}, "video 'p': frame rate None and frame count None"),
        ((0.0, 1.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 0)}, "video 'p': frame rate 25.0 and frame count 0"),
        ((2.0, 1.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 100)}, "2 to 1 s ends before it starts"),
        ((8.0, 9.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 100)}, "all detections are outside its 100 frames"),
    ],
)
def test_videos_and_segments_without_frames_are_refused(
    monkeypatch: pytest.MonkeyPatch, row: Any, videos: dict[str, VideoFrames], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", types.ModuleType("fiftyone"))  # never used
    with pytest.raises(SolaError, match=message):
        to_fiftyone(detections_of(row), videos)


def test_without_fiftyone_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(SolaError, match="pip install fiftyone"):
        to_fiftyone(detections_of((0.0, 1.0, 0, 1.0, 0)), {"p": VideoFrames(25.0, 100)})
