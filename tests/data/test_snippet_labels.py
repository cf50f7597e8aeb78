"""Snippet classes where instances overlap, and the number of simultaneous classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.data.snippet_labels import label_videos, most_classes_together

CLASSES = ("a", "b", "c")
Row = tuple[float, float, int]
"""Start and end (seconds), and class."""


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    folder = tmp_path_factory.mktemp("features")
    for video in ("one", "two"):
        np.save(folder / f"{video}.npy", np.zeros((20, 2), np.float32))
    return FeatureSet.open(folder)


def annotated(features: FeatureSet, *videos: list[Row]) -> Dataset:
    """Return videos of 20 snippets, one per second, with these instances."""
    records = {}
    for video, rows in zip(features.videos, videos, strict=True):
        table = np.array(rows, np.float64).reshape(-1, 3)
        segments = Segments(table[:, 0], table[:, 1], table[:, 2].astype(np.int64), np.ones(len(table)))
        records[video] = VideoAnnotation(video, "training", 20.0, None, segments)
    return Dataset.open(features, Annotations(records, CLASSES))


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(0, 2)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(first=rows, second=rows)
def test_labels_are_the_classes_of_the_instances_around_a_snippet(features, first, second):
    instances = [[(start, start + length, label) for start, length, label in video] for video in (first, second)]
    # snippet 19 is background, and snippet 18 action
    labeled = label_videos(annotated(features, *([*video, (18, 19, 0)] for video in instances)))
    assert labeled.videos == ("one", "two")
    for index, video in zip(labeled.labels, instances, strict=True):
        for snippet, row in enumerate(index):
            expected = {label for start, end, label in [*video, (18, 19, 0)] if start <= snippet < end}
            assert (set(np.flatnonzero(labeled.sets[row])) if row >= 0 else set()) == expected


def test_each_set_of_classes_is_stored_once(features: FeatureSet) -> None:
    pair = [(2.0, 9.0, 0), (4.0, 6.0, 1)]
    labeled = label_videos(annotated(features, pair, [*pair, (12.0, 15.0, 0)]))
    assert labeled.sets.tolist() == [[True, False, False], [True, True, False]]


def test_without_overlap_each_set_is_one_class(features: FeatureSet) -> None:
    labels = label_videos(annotated(features, [(0, 3, 2), (3, 6, 1)], [(5, 9, 1)])).flat_labels
    assert labels.sets[labels.index[labels.action]].sum(axis=1).tolist() == [1] * 10


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([], 1),
        ([(2, 6, 0), (6, 9, 1)], 1),
        ([(2, 6, 0), (2, 6, 1)], 2),
        ([(2, 6, 0), (2, 6, 0)], 1),
        ([(2, 6, 0), (2, 6, 1), (2, 6, 2)], 3),
        ([(2, 12, 0), (4, 6, 1)], 2),  # inside the longer instance
        ([(2, 12, 0), (11, 16, 1)], 1),  # at the boundary
        ([(2, 12, 0), (4, 6, 1), (9, 11, 2)], 2),  # one after the other
        (
            [(2, 6, 0), (2, 4, 1), (4, 6, 1), (5.6, 5.9, 2)],
            2,
        ),  # two instances of a class, and an instance without a snippet center
    ],
)
def test_simultaneous_classes_are_counted(features: FeatureSet, instances: list[Row], expected: int) -> None:
    assert most_classes_together(annotated(features, [(0, 1, 0)], instances)) == expected
