"""Clips cover every snippet, with the right times and the right instances."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.detectors.clips import INSIDE, Clipping, Clips, cut, rescale

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)

SECONDS = Manifest(fps=10, stride=5, window=5, offset=0)
"""Two snippets per second, starting at 0 s."""


def written(folder: Path, arrays: dict[str, np.ndarray], manifest: Manifest | None = None) -> FeatureSet:
    folder.mkdir()
    for video, array in arrays.items():
        np.save(folder / f"{video}.npy", array)
    if manifest is not None:
        manifest.write(folder)
    return FeatureSet.open(folder)


def counted(length: int, channels: int = 4, dtype: type = np.float32) -> np.ndarray:
    """An array whose values are the snippet indices."""
    return np.repeat(np.arange(length, dtype=dtype)[:, None], channels, axis=1)


def annotated(
    video: str, *instances: tuple[float, float], duration: float | None = None, share: float = 1.0
) -> VideoAnnotation:
    start, end = (np.array([instance[i] for instance in instances], np.float64) for i in (0, 1))
    segments = Segments(start, end, np.zeros(len(start), np.int64), np.ones(len(start)))
    return VideoAnnotation(video, "training", duration, None, segments, share)


def dataset(features: FeatureSet, *records: VideoAnnotation) -> Dataset:
    """A data set with these annotations, or without annotations if there are none."""
    return Dataset.open(
        features, Annotations({record.video: record for record in records}, ("act",)) if records else None
    )


# --- placement ---------------------------------------------------------------------------------------------


@given(snippets=st.integers(1, 500), window_size=st.integers(1, 120), data=st.data())
@PROPERTY
def test_windows_cover_every_snippet_and_the_last_ends_with_the_video(
    snippets: int, window_size: int, data: st.DataObject
) -> None:
    window_stride = data.draw(st.none() | st.integers(1, window_size))
    starts = Clipping(8, window_size, window_stride).starts(snippets)
    covered = {first + i for first in starts for i in range(window_size)}
    assert covered >= set(range(snippets))
    assert starts[0] == 0
    assert starts[-1] == max(snippets - window_size, 0)


@given(snippets=st.integers(1, 500), window_size=st.integers(1, 120), window_stride=st.integers(1, 120))
@PROPERTY
def test_windows_are_a_stride_apart_except_the_last(snippets: int, window_size: int, window_stride: int) -> None:
    starts = Clipping(8, window_size, min(window_stride, window_size)).starts(snippets)
    steps = np.diff(starts)
    assert (steps[:-1] == min(window_stride, window_size)).all()
    assert ((steps[-1:] >= 1) & (steps[-1:] <= min(window_stride, window_size))).all()


def test_the_stride_is_half_the_window_unless_given() -> None:
    assert Clipping(8, 10).starts(23) == [0, 5, 10, 13]


def test_a_whole_video_is_one_clip() -> None:
    assert Clipping(8).starts(1000) == [0]


def test_a_window_covers_the_times_of_its_snippets() -> None:
    """Snippets of 16 frames with stride 8 at 8 fps have centers at 1, 2, 3, … s, so the first one starts at .5 s."""
    placement = Clipping(10, window_size=20).placement(4, 100, SnippetGrid(fps=8, stride=8, window=16))
    assert placement.seconds(0.0) == pytest.approx(4.5)
    assert placement.seconds(10.0) == pytest.approx(24.5)


@given(
    fps=st.floats(1, 60), stride=st.floats(1, 32), window=st.floats(1, 64), offset=st.floats(-20, 20),
    snippets=st.integers(1, 300), length=st.integers(1, 100), window_size=st.none() | st.integers(1, 120),
)  # fmt: skip
@PROPERTY
def test_the_center_of_a_clip_is_the_center_of_its_snippets(
    fps: float, stride: float, window: float, offset: float, snippets: int, length: int, window_size: int | None
) -> None:
    grid = SnippetGrid(fps, stride, window, offset)
    clipping = Clipping(length, window_size)
    for first in clipping.starts(snippets):
        placement = clipping.placement(first, snippets, grid)
        centers = grid.seconds(first + np.arange(window_size or snippets))
        assert placement.seconds(length / 2) == pytest.approx(centers.mean(), abs=1e-9)
        assert placement.unit * length == pytest.approx((window_size or snippets) * stride / fps)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((0,), "length=0"),
        ((8, 0), "window_size=0"),
        ((8, 4, 0), "window_stride=0"),
        ((8, 4, 5), "window_stride=5"),
        ((8, None, 5), "window_stride=5"),
    ],
)
def test_a_value_out_of_range_is_named(values: tuple[int | None, ...], named: str) -> None:
    with pytest.raises(SolaError, match=named):
        Clipping(*values)


# --- rescaling ---------------------------------------------------------------------------------------------------


def plainly_rescaled(features: np.ndarray, length: int) -> np.ndarray:
    out = np.zeros((length, features.shape[1]))
    for unit in range(length):
        at = min(max((unit + 0.5) * len(features) / length - 0.5, 0), len(features) - 1)
        low = int(at)
        high = min(low + 1, len(features) - 1)
        for channel in range(features.shape[1]):
            out[unit, channel] = (1 - (at - low)) * features[low, channel] + (at - low) * features[high, channel]
    return out


@given(time=st.integers(1, 60), length=st.integers(1, 60), seed=st.integers(0, 99))
@PROPERTY
def test_rescaling_is_linear_interpolation(time: int, length: int, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(time, 3)).astype(np.float32)
    np.testing.assert_allclose(rescale(features, length), plainly_rescaled(features, length), atol=1e-5)


def test_rescaling_keeps_float16() -> None:
    features = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float16)
    assert rescale(features, 5).dtype == np.float16


# --- cutting -----------------------------------------------------------------------------------------------------


def test_a_window_has_the_snippets_after_its_start(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(23)}, SECONDS)
    clips = cut(dataset(features), Clipping(10, 10), keep_empty=True)
    expected = [np.arange(first, first + 10) for first in (0, 5, 10, 13)]
    np.testing.assert_array_equal([clips.clip(i)[:, 0] for i in range(len(clips))], expected)
    assert [placement.origin for placement in clips.placements] == pytest.approx([0.0, 2.5, 5.0, 6.5])


def test_a_video_shorter_than_the_window_is_padded_with_zeros_and_keeps_its_seconds(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": 1 + counted(6)}, SECONDS)
    clips = cut(dataset(features, annotated("a", (1.0, 2.5))), Clipping(10, 10), keep_empty=True)
    np.testing.assert_array_equal(clips.clip(0)[:, 0], [1, 2, 3, 4, 5, 6, 0, 0, 0, 0])
    assert (clips.placements[0].origin, clips.placements[0].unit) == pytest.approx((0.0, 0.5))
    torch.testing.assert_close(clips.instances[0], torch.tensor([[2.0, 5.0]]))


@pytest.mark.parametrize("duration", [11.5, 5.75])
def test_snippets_are_timed_by_the_duration(tmp_path: Path, duration: float) -> None:
    features = written(tmp_path / "f", {"a": counted(23)})
    clips = cut(dataset(features, annotated("a", duration=duration)), Clipping(10, 10), keep_empty=True)
    expected = [0, *(duration * first / 23 for first in (5, 10, 13))]
    assert [placement.origin for placement in clips.placements] == pytest.approx(expected)


def test_the_share_of_activitynet_shortens_the_covered_time(tmp_path: Path) -> None:
    """Features cover 80 of 100 s in 4 units of 20 s, so an action from 20 s to 60 s is [1, 3], not [.8, 2.4]."""
    features = written(tmp_path / "f", {"a": counted(23)})
    record = annotated("a", (20.0, 60.0), duration=100.0, share=0.8)
    clips = cut(dataset(features, record), Clipping(4), keep_empty=True)
    torch.testing.assert_close(clips.instances[0], torch.tensor([[1.0, 3.0]]))


def test_the_manifest_takes_precedence_over_the_duration(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20)}, SECONDS)
    clips = cut(dataset(features, annotated("a", duration=10.4)), Clipping(10), keep_empty=True)
    assert clips.placements[0].unit == pytest.approx(1.0)


def test_a_video_without_timing_is_refused(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20)})
    with pytest.raises(SolaError, match=r"video 'a': snippet times are unknown"):
        cut(dataset(features), Clipping(10), keep_empty=True)


@given(
    bounds=st.lists(st.tuples(st.floats(-3, 14), st.floats(0.0, 9)), max_size=6),
    window_size=st.none() | st.integers(4, 16),
    length=st.integers(2, 20),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_instances_have_at_least_half_inside_the_clip(
    tmp_path_factory: pytest.TempPathFactory, bounds: list[tuple[float, float]], window_size: int | None, length: int
) -> None:
    # data sets are refused if most instances end after the features
    assume(2 * sum(start + lasts > 10 for start, lasts in bounds) <= len(bounds))
    features = written(tmp_path_factory.mktemp("clips") / "f", {"a": counted(20)}, SECONDS)
    record = annotated("a", *((start, start + lasts) for start, lasts in bounds))
    clips = cut(dataset(features, record), Clipping(length, window_size), keep_empty=True)
    for clip, first in enumerate(Clipping(length, window_size).starts(20)):
        begin, end = first / 2, (first + (window_size or 20)) / 2  # seconds; two snippets per second
        expected = []
        for start, lasts in bounds:
            inside = (max(start, begin), min(start + lasts, end))
            share = (inside[1] - inside[0]) / lasts if lasts > 0 else 0
            if abs(share - INSIDE) < 1e-6 or 0 < lasts < 1e-6:
                return  # rounding decides
            if share > INSIDE:
                expected.append([(at - begin) / (end - begin) * length for at in inside])
        got = clips.instances[clip]
        torch.testing.assert_close(got, torch.tensor(expected).reshape(-1, 2), atol=1e-4, rtol=0)


def test_an_instance_half_inside_is_used_and_cut_at_the_edge(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20)}, SECONDS)
    clips = cut(dataset(features, annotated("a", (4.0, 6.0))), Clipping(10, 10, 10), keep_empty=True)
    assert [instances.tolist() for instances in clips.instances] == [[[8.0, 10.0]], [[0.0, 2.0]]]


def test_units_of_instances_convert_back_to_seconds(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(37)}, Manifest(fps=30, stride=8, window=16, offset=3))
    clips = cut(dataset(features, annotated("a", (2.25, 7.5))), Clipping(12), keep_empty=True)
    seconds = clips.placements[0].seconds(clips.instances[0].double().numpy())
    np.testing.assert_allclose(seconds, [[2.25, 7.5]], atol=1e-5)


@pytest.mark.parametrize(("keep_empty", "clips"), [(True, 3), (False, 1)])
def test_clips_without_instances_are_only_used_for_detection(tmp_path: Path, keep_empty: bool, clips: int) -> None:
    features = written(tmp_path / "f", {"a": counted(20)}, SECONDS)
    cut_up = cut(dataset(features, annotated("a", (0.0, 2.0))), Clipping(10, 10), keep_empty=keep_empty)
    assert (len(cut_up), len(cut_up.instances), len(cut_up.placements), len(cut_up.video)) == (clips,) * 4


def test_training_without_instances_is_refused(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20)}, SECONDS)
    with pytest.raises(SolaError, match=r"nothing to train on"):
        cut(dataset(features, annotated("a")), Clipping(10), keep_empty=False)


def test_videos_have_the_ids_of_the_annotations(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"v_a": counted(20), "v_b": counted(9)}, SECONDS)
    clips = cut(dataset(features, annotated("a"), annotated("b")), Clipping(10, 10), keep_empty=True)
    assert clips.videos == ("a", "b")
    assert clips.video.tolist() == [0, 0, 0, 1]


def with_bad_file(folder: Path, kind: str) -> FeatureSet:
    """A bad video, truncated or with NaN values, followed by two good videos."""
    features = written(folder, {"a": counted(20), "b": counted(20), "c": counted(20)}, SECONDS)
    path = folder / "a.npy"
    if kind == "short":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        np.save(path, np.full((20, 4), np.nan, np.float32))
    return features


@pytest.mark.parametrize("kind", ["short", "nan"])
def test_a_bad_file_is_named(tmp_path: Path, kind: str) -> None:
    features = with_bad_file(tmp_path / "f", kind)
    with pytest.raises(SolaError, match=r"a\.npy.*--skip-bad"):
        cut(dataset(features), Clipping(10), keep_empty=True)


@pytest.mark.parametrize("kind", ["short", "nan"])
def test_a_bad_file_can_be_skipped(tmp_path: Path, kind: str) -> None:
    with_bad_file(tmp_path / "f", kind)
    records = (annotated("v_a", (0.0, 5.0)), annotated("v_b", (0.0, 2.0)), annotated("v_c", (3.0, 6.0)))
    data = dataset(FeatureSet.open(tmp_path / "f", skip_bad=True), *records)
    skipped: dict[str, str] = {}
    clips = cut(data, Clipping(20), keep_empty=False, skipped=skipped)
    assert clips.videos == ("v_b", "v_c")
    assert [instances.tolist() for instances in clips.instances] == [[[0.0, 4.0]], [[6.0, 12.0]]]
    assert len(clips) == 2
    assert list(data.features.unreadable) + list(skipped) == ["a"]


def test_clips_above_the_memory_limit_are_mapped_from_a_temporary_file(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20), "b": counted(9)}, SECONDS)
    (tmp_path / "temporary").mkdir()

    def cut_up(limit: int) -> Clips:
        return cut(
            dataset(features), Clipping(10, 10), keep_empty=True, memory_limit=limit, folder=tmp_path / "temporary"
        )

    mapped, packed = cut_up(10), cut_up(10**6)
    assert isinstance(mapped.values, np.memmap)
    assert not isinstance(packed.values, np.memmap)
    np.testing.assert_array_equal(mapped.values, packed.values)
    assert list((tmp_path / "temporary").iterdir()) == []
    for index in (2, 0):
        first, second = (clips.example(index).tensor(torch.device("cpu")) for clips in (mapped, packed))
        assert torch.equal(first, second)


def test_float16_values_become_float32_tensors_with_channels_first(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(20, dtype=np.float16)}, SECONDS)
    clips = cut(dataset(features), Clipping(10, 10), keep_empty=True)
    assert clips.values.dtype == np.float16
    tensor = clips.example(1).tensor(torch.device("cpu"))
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (4, 10))
    assert tensor[2].tolist() == list(range(5, 15))


@pytest.mark.parametrize("wide", ["a", "b"])
def test_float32_is_used_if_one_video_has_it(tmp_path: Path, wide: str) -> None:
    """70,000 is out of range for float16. The order of the files does not matter."""
    arrays = {video: counted(10, dtype=np.float32 if video == wide else np.float16) for video in "ab"}
    arrays[wide] += 70000
    clips = cut(dataset(written(tmp_path / "f", arrays, SECONDS)), Clipping(10), keep_empty=True)
    np.testing.assert_array_equal(clips.clip("ab".index(wide))[:, 0], 70000 + np.arange(10))


def test_progress_counts_videos(tmp_path: Path) -> None:
    features = written(tmp_path / "f", {"a": counted(30), "b": counted(30)}, SECONDS)
    calls: list[tuple[int, int]] = []
    cut(
        dataset(features), Clipping(10, 10), keep_empty=True,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(1, 2), (2, 2)]
