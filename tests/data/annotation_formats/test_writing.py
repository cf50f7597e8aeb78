"""What is written is read again, to the resolution of the format."""

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
"""Seconds by which times may differ: nothing, microseconds, milliseconds, frames."""
SCORED = ("csv", "label-studio")
"""Formats with a place for scores."""
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


def same_times(found: list[Instance], expected: list[Instance], resolution: float) -> bool:
    """Whether the instances are the same in some order, up to the resolution."""
    left = list(expected)
    for one in found:
        near = [
            other
            for other in left
            if other.label == one.label
            and abs(other.start - one.start) <= resolution + 1e-9
            and abs(other.end - one.end) <= resolution + 1e-9
        ]
        if not near:
            return False
        left.remove(min(near, key=lambda other: abs(other.start - one.start) + abs(other.end - one.end)))
    return not left


@pytest.mark.parametrize("format", [name for name in RESOLUTION if name != "frames"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(content=VIDEOS)
def test_what_is_written_is_read(format: str, content: dict[str, list[Instance]], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("out")
    out = folder / ("files" if WRITTEN[format].by_video else f"file{WRITTEN[format].suffix}")
    write_videos(records(content), format, out, fps=RATE)
    found = read_again(format, out)
    assert found.keys() == content.keys()
    for video, instances in content.items():
        assert same_times(found[video].instances, instances, RESOLUTION[format])
        if format in SCORED:
            scores = sorted(one.score for one in found[video].instances)
            assert scores == pytest.approx(sorted(one.score for one in instances))


@pytest.mark.parametrize("format", ["boris", "elan", "label-studio", "cvat", "via"])
@pytest.mark.parametrize(
    "pattern", ["clips/day 2/*.avi", "/data/local-files/?d=clips/*.webm", "https://host/a%20b/*.mp4", "C:/clips/*.mov"]
)
def test_files_name_videos_where_they_are(format: str, pattern: str, tmp_path: Path) -> None:
    videos = records({"cam 1": [Instance(1.0, 2.0, "jump")], "cam_2": [Instance(1.0, 2.0, "jump")]})
    address(videos, pattern)
    out = tmp_path / ("files" if WRITTEN[format].by_video else f"file{WRITTEN[format].suffix}")
    write_videos(videos, format, out, fps=RATE)
    assert read_again(format, out).keys() == videos.keys()


def test_an_address_has_a_place_for_the_id() -> None:
    with pytest.raises(SolaError, match=r"--media clips/: expected a \* in place of the video id"):
        address({"a": VideoRecord()}, "clips/")


def test_frames_hold_the_best_of_overlapping_instances(tmp_path: Path) -> None:
    found = [Instance(0.0, 2.0, "jump", 0.5), Instance(1.0, 3.0, "fall down", 0.9)]
    write_videos({"a": VideoRecord(found, duration=4.0)}, "frames", tmp_path / "out", fps=RATE)
    video = read_videos(tmp_path / "out", fps=RATE)["a"]
    assert video.instances == [Instance(0.0, 1.0, "jump"), Instance(1.0, 3.0, "fall_down")]
    assert video.duration == 4.0


@pytest.mark.parametrize("format", ["label-studio", "cvat", "frames"])
def test_frames_need_a_rate(format: str, tmp_path: Path) -> None:
    videos = {"a": VideoRecord([Instance(0.0, 1.0, "jump")])}
    with pytest.raises(SolaError, match=r"video 'a': times are in frames .*; pass --fps"):
        write_videos(videos, format, tmp_path / "out")


def test_every_writer_is_tested() -> None:
    assert set(RESOLUTION) == set(WRITTEN)


def test_detections_become_pre_annotations_that_are_not_taken_for_labels(tmp_path: Path) -> None:
    import numpy as np

    one = Segments(np.array([1.0, 5.0]), np.array([2.0, 6.0]), np.array([0, 0]), np.array([0.9, 0.2]))
    write_detections(tmp_path / "found.json", {"cam_1": one}, ["jump"])
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


def test_the_best_a_minute_are_kept() -> None:
    found = [Instance(float(second), second + 1.0, "jump", score) for second, score in enumerate((0.1, 0.9, 0.5, 0.7))]
    videos = {"a": VideoRecord(list(found), duration=60.0), "b": VideoRecord(list(found), duration=120.0)}
    assert keep_best(videos, per_minute=1) == 5
    assert [one.score for one in videos["a"].instances] == [0.9]
    assert [one.score for one in videos["b"].instances] == [0.9, 0.7]
