"""Segments and their overlap."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sola.data.segments import Segments, temporal_iou

second = st.floats(0, 1000, allow_nan=False)
segments = st.lists(st.tuples(second, second).map(sorted), min_size=1, max_size=6)


def arrays(pairs: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


@given(segments, segments)
def test_temporal_iou_of_each_pair(a, b):
    iou = temporal_iou(*arrays(a), *arrays(b))
    for i, (start_a, end_a) in enumerate(a):
        for j, (start_b, end_b) in enumerate(b):
            intersection = max(0.0, min(end_a, end_b) - max(start_a, start_b))
            union = (end_a - start_a) + (end_b - start_b) - intersection
            assert iou[i, j] == (intersection / union if union > 0 else 0.0)


def test_temporal_iou_of_instants_is_zero():
    instant = np.array([3.0])
    assert temporal_iou(instant, instant, instant, instant) == 0.0


def test_take_selects_by_position_mask_and_slice():
    start = np.arange(4.0)
    whole = Segments(start, start + 1, np.arange(4), np.ones(4))
    assert whole.take(np.array([2, 0])).start.tolist() == [2, 0]
    assert whole.take(start > 1).label.tolist() == [2, 3]
    assert whole.take(slice(1, 3)).end.tolist() == [2, 3]


def test_empty_has_no_segments():
    assert len(Segments.empty()) == 0
