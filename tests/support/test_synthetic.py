import dataclasses
import json

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.features import FeatureSet
from support.synthetic import SyntheticWorld, generate, write

SMALL = SyntheticWorld(training_videos=6, validation_videos=3, length=120, channels=32)


def variances(features):
    """Return the mean variance within videos and the variance of all snippets, summed over channels."""
    arrays = [array.astype(np.float64) for array in features.values()]
    inside = np.mean([array.var(axis=0).sum() for array in arrays])
    return inside, np.concatenate(arrays).var(axis=0).sum()


def actions(features, annotations, rate):
    """Return a mask of snippets whose center is inside an action, by plain loops."""
    marks = {}
    for video, array in features.items():
        segments = annotations.videos[video].segments
        marks[video] = np.array(
            [
                any(s <= (i + 0.5) / rate < e for s, e in zip(segments.start, segments.end, strict=True))
                for i in range(len(array))
            ]
        )
    return marks


def test_equal_seeds_give_equal_data_and_different_seeds_differ():
    first, second, third = generate(SMALL, 0)[0], generate(SMALL, 0)[0], generate(SMALL, 1)[0]
    assert all(np.array_equal(first[video], second[video]) for video in first)
    assert not any(np.array_equal(first[video], third[video]) for video in first)


def test_adding_videos_does_not_change_the_others():
    few, many = generate(SMALL, 0)[0], generate(dataclasses.replace(SMALL, training_videos=8), 0)[0]
    assert set(few) < set(many)
    assert all(np.array_equal(few[video], many[video]) for video in few)


def test_shapes_types_and_ids():
    features, annotations = generate(SMALL, 0)
    assert list(features) == list(annotations.videos)
    assert len(annotations.subset("training").videos) == 6
    assert len(annotations.subset("validation").videos) == 3
    for video, array in features.items():
        assert array.dtype == np.float16
        assert array.shape[1] == 32
        assert np.isfinite(array).all()
        assert (array >= 0).all()
        assert annotations.videos[video].duration == len(array) / 4


def test_actions_are_ordered_and_stay_inside_the_video():
    for video in generate(SMALL, 0)[1].videos.values():
        start, end = video.segments.start, video.segments.end
        assert (start >= 0).all()
        assert (end <= video.duration).all()
        assert (end > start).all()
        assert (start[1:] > end[:-1]).all()


def test_the_scene_dominates_the_features():
    inside, overall = variances(generate(SyntheticWorld(), 0)[0])
    assert inside / overall < 0.4


def test_without_a_scene_videos_differ_little():
    inside, overall = variances(generate(SyntheticWorld(scene=0.0, repetition=0.0), 0)[0])
    assert inside / overall > 0.7


def test_the_state_is_constant_between_boundaries_and_jumps_at_them():
    quiet = SyntheticWorld(training_videos=4, validation_videos=1, scene=0.0, nuisance=(), noise=0.0, state=1.0)
    features, annotations = generate(quiet, 0)
    for video, array in features.items():
        change = np.abs(np.diff(array.astype(np.float64), axis=0)).max(axis=1) > 0
        # a snippet that contains a boundary differs from both neighbors
        segments = annotations.videos[video].segments
        for bounds in (segments.start, segments.end):
            for boundary in bounds * 4:
                snippet = int(boundary)
                if 0 < snippet < len(array) - 2:
                    assert change[max(snippet - 1, 0)] or change[snippet]
        assert change.sum() <= 2 * (2 * len(segments) + 1)


@pytest.mark.parametrize("length", [4.0, 16.0])
def test_actions_have_the_requested_mean_length(length):
    world = SyntheticWorld(training_videos=30, length=800, action_length=length, repetition=0.0, channels=4)
    annotations = generate(world, 0)[1]
    lengths = np.concatenate([(v.segments.end - v.segments.start)[1:-1] * 4 for v in annotations.videos.values()])
    assert lengths.mean() == pytest.approx(length, rel=0.2)
    assert np.quantile(lengths, 0.95) > 4 * np.quantile(lengths, 0.1)


@pytest.mark.parametrize("background", [0.3, 0.7])
def test_background_has_the_requested_share(background):
    world = SyntheticWorld(training_videos=30, validation_videos=1, length=800, background=background, channels=4)
    features, annotations = generate(world, 0)
    marks = np.concatenate(list(actions(features, annotations, 4).values()))
    assert 1 - marks.mean() == pytest.approx(background, abs=0.06)


def test_repetitive_videos_repeat_one_short_action():
    repetitive, plain = (
        generate(SyntheticWorld(training_videos=20, repetition=share, channels=4), 0)[1] for share in (1.0, 0.0)
    )
    assert all(len(set(video.segments.label)) == 1 for video in repetitive.videos.values())
    count = [sum(len(video.segments) for video in world.videos.values()) for world in (repetitive, plain)]
    assert 2.5 < count[0] / count[1] < 6


def test_easy_turns_the_nuisance_into_white_noise():
    lag_one = []
    for easy in (False, True):
        features = generate(SyntheticWorld(easy=easy, state=0.0, noise=0.0, training_videos=20), 0)[0]
        centered = [array.astype(np.float64) - array.mean(axis=0, dtype=np.float64) for array in features.values()]
        covariance = sum((x[1:] * x[:-1]).sum() for x in centered)
        lag_one.append(covariance / sum((x**2).sum() for x in centered))
    assert lag_one[0] > 0.3
    assert abs(lag_one[1]) < 0.03


def test_written_files_are_read_back(tmp_path):
    write(SMALL, tmp_path / "world", 0)
    features, annotations = generate(SMALL, 0)
    stored = FeatureSet.open(tmp_path / "world" / "features")
    assert set(stored.videos) == set(features)
    assert all(np.array_equal(stored.read(video), features[video]) for video in features)
    assert (stored.manifest.dim, stored.manifest.fps, stored.manifest.stride) == (32, 4, 1)
    read = read_annotations(tmp_path / "world" / "annotations.json")
    for video, record in annotations.videos.items():
        actual = read.videos[video]
        assert (actual.subset, actual.duration) == (record.subset, record.duration)
        assert np.array_equal(actual.segments.start, record.segments.start)
        assert np.array_equal(actual.segments.end, record.segments.end)
        names = [annotations.classes[label] for label in record.segments.label]
        assert [read.classes[label] for label in actual.segments.label] == names
    assert "synthetic" in json.loads((tmp_path / "world" / "annotations.json").read_text())["version"]


def test_a_non_empty_folder_is_not_overwritten(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SolaError, match="cannot be written"):
        write(SMALL, tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training_videos", 0),
        ("length", 0.0),
        ("action_length", -1.0),
        ("background", 1.0),
        ("repetition", 1.5),
        ("scene", -0.1),
        ("noise", float("nan")),
        ("nuisance", ((0.1, 0.0),)),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(SolaError, match=f"^{name}=") as error:
        SyntheticWorld(**{name: value})
    assert "\n" not in str(error.value)
