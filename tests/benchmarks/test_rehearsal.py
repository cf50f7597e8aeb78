"""Rehearsals of published data sets: written files, estimates and commands."""

import json
from pathlib import Path

import numpy as np
import pytest
import rehearsal
import synthetic_data_set
from published_layouts import LAYOUTS
from rehearsal import Estimate, Measurement
from support.calling import sola

from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.class_scores import read_classifier
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.detectors import detector_family
from sola.detectors.detect import VIDEOS_AT_A_TIME


def annotated(video: str, subset: str, duration: float) -> VideoAnnotation:
    segments = Segments(np.array([1.0]), np.array([duration / 2]), np.array([1]), np.ones(1))
    return VideoAnnotation(video, subset, duration, None, segments)


RECORDS = [annotated("short", "training", 20.0), annotated("long", "validation", 60.0)]
NAMES = ("archery", "ballet")


def test_rescaled_features_have_the_layout_of_bsn(tmp_path: Path) -> None:
    synthetic_data_set.write_data_set(RECORDS, NAMES, LAYOUTS["activitynet"], 8, tmp_path)
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == ["v_long.csv", "v_short.csv"]
    features = FeatureSet.open(tmp_path / "features")
    assert {features.read(video).shape for video in features.videos} == {(100, 8)}


def test_the_sliding_layout_has_a_snippet_every_eight_frames(tmp_path: Path) -> None:
    """20 s at 15 frames per second are 300 frames, which hold 34 windows of 32 frames."""
    synthetic_data_set.write_data_set(RECORDS, NAMES, LAYOUTS["hacs"], 8, tmp_path)
    features = FeatureSet.open(tmp_path / "features")
    assert [features.length(video) for video in ("short", "long")] == [34, 109]
    assert (features.manifest.fps, features.manifest.stride, features.manifest.window) == (15, 8, 32)
    assert features.manifest.dim == 8


def test_epic_kitchens_features_are_npz_archives(tmp_path: Path) -> None:
    synthetic_data_set.write_data_set(RECORDS, ("0", "1"), LAYOUTS["epic-kitchens-100"], 8, tmp_path)
    with np.load(tmp_path / "features" / "long.npz") as archive:
        assert {name: array.shape for name, array in archive.items()} == {"feats": (111, 8)}


def test_annotations_and_class_scores_can_be_read(tmp_path: Path) -> None:
    synthetic_data_set.write_data_set(RECORDS, NAMES, LAYOUTS["activitynet"], 4, tmp_path)
    videos = read_annotations(tmp_path / "annotations.json").videos
    assert {name: (video.subset, video.duration) for name, video in videos.items()} == {
        "short": ("training", 20.0),
        "long": ("validation", 60.0),
    }
    scores = read_classifier(tmp_path / "classifier.json", videos=["long"], classes=NAMES)
    assert scores.of("long").argmax() == 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_keeps_classes_subsets_and_instances(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    generated = synthetic_data_set.draw_annotations(layout, 4)
    records = synthetic_data_set.first_videos(generated, layout, 4)
    synthetic_data_set.write_data_set(records, generated.classes, layout, 2, tmp_path)
    if layout.conversion:
        paths = [tmp_path / argument if "." in str(argument) else argument for argument in layout.conversion]
        assert sola("convert", *paths, "--quiet") == 0
    read = read_annotations(tmp_path / layout.annotation_file)
    assert [len(read.subset(subset).videos) for subset in layout.subsets] == [4, 2]
    assert len(generated.classes) == layout.statistics.classes
    for record in records:
        video = read.videos[record.video]
        assert video.segments.start == pytest.approx(record.segments.start)
        assert video.segments.end == pytest.approx(record.segments.end)
        assert [read.classes[label] for label in video.segments.label] == [
            generated.classes[label] for label in record.segments.label
        ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_synthetic_annotations_have_the_documented_counts_and_durations(name: str) -> None:
    layout = LAYOUTS[name]
    statistics = layout.statistics
    records = list(synthetic_data_set.draw_annotations(layout, 300).videos.values())
    durations = np.array([record.duration for record in records], float)
    lengths = np.concatenate([record.segments.end - record.segments.start for record in records])
    assert durations.mean() == pytest.approx(statistics.duration, rel=0.15)
    assert len(lengths) / len(records) == pytest.approx(statistics.instances, rel=0.15)
    assert np.median(lengths) == pytest.approx(statistics.instance, rel=0.15)
    assert {layout.detector_recipe} <= set(detector_family(layout.model).recipes)


def test_features_change_at_instance_boundaries() -> None:
    classes = np.array([[0.0, 0.0], [50.0, 50.0]], np.float32)
    values = synthetic_data_set.draw_features(RECORDS[1], 60, classes, seed=0)
    assert (values[:, 0] > 25).tolist() == [1 <= second + 0.5 < 30 for second in range(60)]


def test_chosen_videos_have_instances_and_a_third_is_for_evaluation() -> None:
    empty = VideoAnnotation("empty", "training", 9.0, None, Segments.empty())
    videos = [
        empty,
        *(annotated(f"{subset}{i}", subset, 9.0) for subset in ("training", "validation") for i in range(9)),
    ]
    annotations = Annotations({video.video: video for video in videos}, NAMES)
    chosen = synthetic_data_set.first_videos(annotations, LAYOUTS["activitynet"], 4)
    assert [video.video for video in chosen] == [
        *("training0", "training1", "training2", "training3"),
        *("validation0", "validation1"),
    ]


def test_estimates_extrapolate_linearly_from_both_sizes() -> None:
    row = Estimate("train", Measurement(10, 5.0, 100), Measurement(20, 6.0, 120, epoch=2.0), videos=100, epochs=3)
    assert row.seconds == pytest.approx(6 + 80 * 0.1 + 3 * 2.0 * 100 / 20)
    assert row.peak == pytest.approx(120 + 80 * 2)


def test_epochs_of_constant_length_are_not_scaled() -> None:
    large = Measurement(20, 6.0, 120, epoch=2.0)
    row = Estimate("train", Measurement(10, 5.0, 100), large, videos=100, epochs=3, constant_epochs=True)
    assert row.seconds == pytest.approx(6 + 80 * 0.1 + 3 * 2.0)


def test_if_more_videos_cost_less_time_is_proportional_and_memory_constant() -> None:
    row = Estimate("evaluate", Measurement(10, 7.0, 200), Measurement(20, 6.0, 120), videos=100)
    assert (row.seconds, row.peak) == (pytest.approx(30.0), 120)


def test_memory_grows_only_up_to_the_videos_held_at_a_time() -> None:
    sizes = Measurement(10, 5.0, 100), Measurement(20, 6.0, 120)
    assert Estimate("transform", *sizes, videos=100).peak == 120
    assert Estimate("detect", *sizes, videos=10_000).peak == 120 + 2 * (VIDEOS_AT_A_TIME - 20)


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "0.2 s"), (90, "90 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_shown_in_a_readable_unit(seconds: float, text: str) -> None:
    assert rehearsal.duration_text(seconds) == text


@pytest.mark.slow
@pytest.mark.long
def test_every_documented_step_runs_on_real_annotations(shared_data: Path, tmp_path: Path) -> None:
    layout = LAYOUTS["activitynet"]
    annotations = read_annotations(shared_data / "annotations" / "activitynet-1.3.json")
    records = synthetic_data_set.first_videos(annotations, layout, 4)
    synthetic_data_set.write_data_set(records, annotations.classes, layout, 16, tmp_path)
    steps = rehearsal.rehearse(tmp_path, layout, "activitynet", 4)
    trainings, others = {"train", "train-detector"}, {"transform", "probe", "detect"}
    assert set(steps) == trainings | others | {"evaluate", "evaluate --proposals"}
    assert {step for step, measured in steps.items() if measured.epoch > 0} == trainings
    assert all(measured.seconds > 0 and measured.peak > 2**25 for measured in steps.values())
    assert len(json.loads((tmp_path / "detections.json").read_text())["results"]) == 2
    larger = {
        step: Measurement(measured.videos + 1, measured.seconds, measured.peak, measured.epoch)
        for step, measured in steps.items()
    }
    table = rehearsal.table(rehearsal.estimate(steps, larger, layout))
    assert "| 9,649 videos with 500 epochs:" in table


@pytest.mark.slow
def test_a_command_that_fails_ends_the_rehearsal(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"sola transform .* failed"):
        rehearsal.measure(tmp_path, 1, "transform", "none", ".", "--out", "out")
