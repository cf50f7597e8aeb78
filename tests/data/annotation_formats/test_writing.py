"""Written files are read back with the resolution of the format."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.annotation_formats import WRITTEN
from sola.data.annotation_formats.base import Instance, VideoRecord, Videos
from sola.data.annotations import read_annotations, read_videos
from sola.data.conversion import address, keep_best, read_any, write_videos
from sola.data.detections import write_detections
from sola.data.segments import Segments

RATE = 25.0
DURATION = 40.0
RESOLUTION = {
    "activitynet": 0.0,
    **dict.fromkeys(("csv", "boris", "via", "audacity"), 1e-6),
    **dict.fromkeys(("elan", "srt", "vtt"), 5e-4),
    **dict.fromkeys(("label-studio", "cvat", "frames"), 1 / RATE),
}
"""Accepted time differences (seconds): none, microseconds, milliseconds or frames."""
SCORED = ("csv", "label-studio")
"""Formats that store scores."""
LABELS = st.sampled_from(["jump", "fall down", 'say "a, b"', "Sprung & Öffnung <1>"])
INSTANCE = st.builds(
    lambda start, length, label, score: Instance(start, start + length, label, score),
    st.floats(0, 30).map(lambda time: round(time, 4)),
    st.floats(0.2, 9).map(lambda time: round(time, 4)),
    LABELS,
    st.floats(0.01, 1).map(lambda score: round(score, 4)),
)
VIDEOS = st.dictionaries(
    st.sampled_from(["cam_1", "v_a.b", "day 2"]), st.lists(INSTANCE, min_size=1, max_size=5), min_size=1
)


def records(content: dict[str, list[Instance]]) -> Videos:
    return {
        video: VideoRecord(sorted(instances), subset="training", duration=DURATION, fps=RATE)
        for video, instances in content.items()
    }


def read_again(format: str, out: Path) -> Videos:
    return read_videos(out, fps=RATE)


def same_times(actual: list[Instance], expected: list[Instance], resolution: float) -> bool:
    """Return True if the instances are equal in some order, up to the resolution."""
    left = list(expected)
    for instance in actual:
        near = [
            other
            for other in left
            if other.label == instance.label
            and abs(other.start - instance.start) <= resolution + 1e-9
            and abs(other.end - instance.end) <= resolution + 1e-9
        ]
        if not near:
            return False
        left.remove(min(near, key=lambda other: abs(other.start - instance.start) + abs(other.end - instance.end)))
    return not left


@pytest.mark.parametrize("format", [name for name in RESOLUTION if name != "frames"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(content=VIDEOS)
def test_written_files_are_read_back(format: str, content: dict[str, list[Instance]], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("out")
    out = folder / ("files" if WRITTEN[format].by_video else f"file{WRITTEN[format].suffix}")
    write_videos(records(content), format, out, fps=RATE)
    actual = read_again(format, out)
    assert actual.keys() == content.keys()
    for video, instances in content.items():
        assert same_times(actual[video].instances, instances, RESOLUTION[format])
        if format in SCORED:
            scores = sorted(instance.score for instance in actual[video].instances)
            assert scores == pytest.approx(sorted(instance.score for instance in instances))


@pytest.mark.parametrize("format", ["boris", "elan", "label-studio", "cvat", "via"])
@pytest.mark.parametrize(
    "pattern", ["clips/day 2/*.avi", "/data/local-files/?d=clips/*.webm", "https://host/a%20b/*.mp4", "C:/clips/*.mov"]
)
def test_written_files_contain_media_paths(format: str, pattern: str, tmp_path: Path) -> None:
    videos = records({"cam 1": [Instance(1.0, 2.0, "jump")], "cam_2": [Instance(1.0, 2.0, "jump")]})
    address(videos, pattern)
    out = tmp_path / ("files" if WRITTEN[format].by_video else f"file{WRITTEN[format].suffix}")
    write_videos(videos, format, out, fps=RATE)
    assert read_again(format, out).keys() == videos.keys()


def test_media_pattern_needs_a_placeholder() -> None:
    with pytest.raises(SolaError, match=r"--media clips/: expected a \* in place of the video id"):
        address({"a": VideoRecord()}, "clips/")


def test_frames_contain_the_best_of_overlapping_instances(tmp_path: Path) -> None:
    instances = [Instance(0.0, 2.0, "jump", 0.5), Instance(1.0, 3.0, "fall down", 0.9)]
    write_videos({"a": VideoRecord(instances, duration=4.0)}, "frames", tmp_path / "out", fps=RATE)
    video = read_videos(tmp_path / "out", fps=RATE)["a"]
    assert video.instances == [Instance(0.0, 1.0, "jump"), Instance(1.0, 3.0, "fall_down")]
    assert video.duration == 4.0


@pytest.mark.parametrize("format", ["label-studio", "cvat", "frames"])
def test_frame_formats_require_a_frame_rate(format: str, tmp_path: Path) -> None:
    videos = {"a": VideoRecord([Instance(0.0, 1.0, "jump")])}
    with pytest.raises(SolaError, match=r"video 'a': times are in frames .*; pass --fps"):
        write_videos(videos, format, tmp_path / "out")


def test_every_writer_is_tested() -> None:
    assert set(RESOLUTION) == set(WRITTEN)


def test_detections_become_pre_annotations_but_not_labels(tmp_path: Path) -> None:
    import numpy as np

    segments = Segments(np.array([1.0, 5.0]), np.array([2.0, 6.0]), np.array([0, 0]), np.array([0.9, 0.2]))
    write_detections(tmp_path / "found.json", {"cam_1": segments}, ["jump"])
    videos = read_any([tmp_path / "found.json"])
    assert keep_best(videos, min_score=0.5) == 1
    write_videos(videos, "label-studio", tmp_path / "tasks.json", fps=RATE)
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    (region,) = task["predictions"][0]["result"]
    assert region["value"] == {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["jump"]}
    assert region["score"] == 0.9
    annotations = read_annotations(tmp_path / "tasks.json")
    assert annotations.videos["cam_1"].subset == "unlabeled"
    assert not len(annotations.videos["cam_1"].segments)
    write_videos(videos, "csv", tmp_path / "found.csv")
    with pytest.raises(SolaError, match="has scores, so these are detections, not annotations"):
        read_annotations(tmp_path / "found.csv")


def test_best_instances_per_minute_are_kept() -> None:
    instances = [
        Instance(float(second), second + 1.0, "jump", score) for second, score in enumerate((0.1, 0.9, 0.5, 0.7))
    ]
    videos = {"a": VideoRecord(list(instances), duration=60.0), "b": VideoRecord(list(instances), duration=120.0)}
    assert keep_best(videos, per_minute=1) == 5
    assert [instance.score for instance in videos["a"].instances] == [0.9]
    assert [instance.score for instance in videos["b"].instances] == [0.9, 0.7]
