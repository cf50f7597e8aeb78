"""Snippet times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid, resolve_grid

grids = st.builds(
    SnippetGrid,
    fps=st.floats(1, 120),
    stride=st.floats(0.5, 64),
    window=st.floats(1, 128),
    offset=st.floats(-64, 64),
)


def make_segments(*rows: tuple[float, float, int]) -> Segments:
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Segments(table[:, 0], table[:, 1], table[:, 2].astype(np.int64), np.ones(len(table)))


@given(grids, st.floats(-100, 10_000))
def test_index_is_the_inverse_of_seconds(grid, index):
    assert grid.index(grid.seconds(index)) == pytest.approx(index, rel=1e-9, abs=1e-9)


@given(grids, st.floats(-100, 10_000))
def test_seconds_is_the_inverse_of_index(grid, seconds):
    assert grid.seconds(grid.index(seconds)) == pytest.approx(seconds, rel=1e-9, abs=1e-9)


def test_seconds_is_the_center_of_the_frames_of_a_snippet():
    grid = SnippetGrid(fps=10.0, stride=4.0, window=6.0, offset=2.0)
    frames = np.arange(2 + 3 * 4, 2 + 3 * 4 + 6)  # frames of snippet 3, each 0.1 s long
    assert grid.seconds(3.0) == pytest.approx((frames[0] + frames[-1] + 1) / 2 / 10)
    np.testing.assert_array_equal(grid.seconds(np.array([0, 1])), [0.5, 0.9])


@given(st.floats(0.1, 1e5), st.integers(1, 5000))
def test_covering_grid_starts_and_ends_with_the_video(duration, length):
    grid = SnippetGrid.covering(duration, length)
    assert grid.seconds(-0.5) == pytest.approx(0, abs=1e-9)
    assert grid.seconds(length - 0.5) == pytest.approx(duration, rel=1e-9)


@pytest.mark.parametrize(
    "values", [{"fps": 0.0}, {"fps": -1.0}, {"fps": float("nan")}, {"fps": 1.0, "stride": 0.0},
               {"fps": 1.0, "window": float("inf")}, {"fps": 1.0, "offset": float("nan")}],
)  # fmt: skip
def test_invalid_grid_is_rejected(values):
    with pytest.raises(SolaError, match=list(values)[-1]):
        SnippetGrid(**values)


@given(
    grids,
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5)), max_size=8),
    st.integers(0, 60),
)
def test_covered_has_the_classes_of_all_segments_around_a_snippet_center(grid, rows, length):
    segments = make_segments(*((min(a, b) / 4, max(a, b) / 4, label) for a, b, label in rows))
    covered = grid.covered(segments, length, 6)
    assert covered.shape == (length, 6)
    for snippet in range(length):
        center = grid.seconds(float(snippet))
        columns = zip(segments.start, segments.end, segments.label, strict=True)
        expected = {label for start, end, label in columns if start <= center < end}
        assert set(np.flatnonzero(covered[snippet])) == expected


def test_segment_contains_a_center_at_its_start_but_not_at_its_end():
    grid = SnippetGrid(fps=1.0)  # centers at .5, 1.5, 2.5
    first, stop = grid.inside(make_segments((0.5, 2.5, 7)), 3)
    assert (first.tolist(), stop.tolist()) == ([0], [2])


def test_manifest_fps_takes_precedence():
    grid = resolve_grid(100, fps=30.0, stride=8.0, window=16.0, offset=3.0, annotation_fps=1.0, duration=9.0)
    assert grid == SnippetGrid(30.0, 8.0, 16.0, 3.0)


def test_window_defaults_to_the_stride():
    assert resolve_grid(100, fps=30.0, stride=8.0).window == 8.0


@pytest.mark.parametrize("duration", [None, 10.0, 10.4])
def test_annotation_fps_comes_second(duration):
    assert resolve_grid(150, annotation_fps=15.0, duration=duration) == SnippetGrid(15.0)


def test_duration_takes_precedence_over_a_contradicting_fps():
    # 150 snippets at 30 fps are 5 s, so the features do not have one snippet per frame
    assert resolve_grid(150, annotation_fps=30.0, duration=10.0) == SnippetGrid(15.0)
    assert resolve_grid(150, annotation_fps=30.0, duration=10.0, stride=2.0) == SnippetGrid(30.0, 2.0, 2.0)


def test_fps_agrees_with_a_short_video_without_its_last_window():
    """90 frames have 19 windows of 16 frames every 4 frames: 76 of 90 frames, 16 % less than the duration."""
    grid = SnippetGrid(30.0, 4.0, 16.0)
    assert resolve_grid(19, annotation_fps=30.0, duration=3.0, stride=4.0, window=16.0) == grid
    assert resolve_grid(19, annotation_fps=30.0, duration=3.1, stride=4.0, window=16.0) == SnippetGrid.covering(3.1, 19)


def test_the_duration_is_used_if_nothing_else_gives_times():
    assert resolve_grid(50, duration=100.0) == SnippetGrid.covering(100.0, 50)


def test_grid_is_unknown_without_any_source():
    assert resolve_grid(50, stride=8.0) is None
