"""Compare suppression with its definition in plain loops, and check edge cases."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.postprocess.soft_nms import Decay, Gaussian, Hard, Linear, WidthAdaptive, suppress

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
DECAYS: list[Decay] = [Hard(0.5), Linear(0.3), Gaussian(0.8), WidthAdaptive(0.4, 0.5, 0.9)]
Pick = tuple[float, float, int, float]


def segments(*rows: tuple[float, float, float], labels: Sequence[int] | None = None) -> Segments:
    """Return segments from rows (start, end, score)."""
    start, end, score = np.array(rows, np.float64).reshape(-1, 3).T
    return Segments(start, end, np.array([0] * len(rows) if labels is None else labels, np.int64), score)


def picks(video: Segments) -> list[Pick]:
    return list(zip(video.start.tolist(), video.end.tolist(), video.label.tolist(), video.score.tolist(), strict=True))


def plain_iou(a: Pick, b: Pick) -> float:
    intersection = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - intersection
    return intersection / union if union > 0 else 0.0


def plain_factor(decay: Decay, iou: float, width: float) -> float:
    if isinstance(decay, Hard):
        return 0.0 if iou >= decay.threshold else 1.0
    if isinstance(decay, Linear):
        return 1 - iou if iou >= decay.threshold else 1.0
    if isinstance(decay, Gaussian):
        return math.exp(-(iou**2) / decay.sigma)
    return math.exp(-(iou**2) / decay.alpha) if iou > decay.low + (decay.high - decay.low) * width else 1.0


def plain(video: Segments, decay: Decay, keep: int, min_score: float, class_aware: bool, duration: float) -> list[Pick]:
    rest, chosen = picks(video), []
    while rest and len(chosen) < keep:
        best = rest.pop(max(range(len(rest)), key=lambda i: (rest[i][3], -i)))
        if best[3] <= min_score:
            break
        chosen.append(best)
        for i, other in enumerate(rest):
            if not class_aware or other[2] == best[2]:
                factor = plain_factor(decay, plain_iou(best, other), (best[1] - best[0]) / duration)
                rest[i] = (*other[:3], other[3] * factor)
    return chosen


def assert_same(got: list[Pick], expected: list[Pick]) -> None:
    assert [pick[:3] for pick in got] == [pick[:3] for pick in expected]
    assert [pick[3] for pick in got] == pytest.approx([pick[3] for pick in expected], rel=1e-9)


def random_video(seed: int, n: int, labels: int = 2, grid: int | None = None) -> Segments:
    """With `grid`, times are whole numbers and there are few scores, to get ties and empty segments."""
    rng = np.random.default_rng(seed)
    start, length, score = rng.uniform(0, 10, n), rng.uniform(0, 6, n), rng.uniform(0, 1, n)
    if grid is not None:
        start, length, score = np.floor(start), np.floor(length), np.round(score * grid) / grid
    return Segments(start, start + length, rng.integers(0, labels, n), score)


def boundary_map(scale: float, offset: float, units: int = 12) -> tuple[np.ndarray, np.ndarray]:
    cells = [(i, j) for i in range(units) for j in range(i + 1, units + 1)]
    start, end = np.array(cells, np.float64).T
    return offset + start / units * scale, offset + end / units * scale


def test_known_result_of_bmn() -> None:
    video = segments((0, 1, 0.5), (0, 0.4, 0.4), (0, 0.95, 0.6))
    [result] = suppress([video], WidthAdaptive(0.75, 0.65, 0.9), max_detections=2, durations=[1.0])
    assert [pick[:2] for pick in picks(result)] == [(0, 0.95), (0, 0.4)]
    assert result.score.tolist() == [0.6, 0.4]


@pytest.mark.parametrize("decay", DECAYS, ids=lambda decay: type(decay).__name__)
@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 30),
    keep=st.integers(1, 12),
    min_score=st.sampled_from([0.0, 0.1, 0.5]),
    class_aware=st.booleans(),
    grid=st.sampled_from([None, 4]),
)
def test_suppression_equals_a_plain_loop(
    decay: Decay, seed: int, n: int, keep: int, min_score: float, class_aware: bool, grid: int | None
) -> None:
    videos = [random_video(seed, n, grid=grid), random_video(seed + 1, n // 2, grid=grid)]
    got = suppress(
        videos, decay, max_detections=keep, min_score=min_score, class_aware=class_aware, durations=[16.0, 20.0]
    )
    for video, result, duration in zip(videos, got, [16.0, 20.0], strict=True):
        assert_same(picks(result), plain(video, decay, keep, min_score, class_aware, duration))


@pytest.mark.parametrize("decay", DECAYS, ids=lambda decay: type(decay).__name__)
@pytest.mark.parametrize("scaled", [False, True])
def test_videos_of_one_boundary_map_equal_a_plain_loop(decay: Decay, scaled: bool) -> None:
    """Factors are shared between videos. The durations differ even if the segments are equal."""
    rng = np.random.default_rng(0)
    durations = [10.0, 31.7, 4.1, 77.3]
    videos = []
    for duration in durations:
        start, end = boundary_map(duration, duration / 3) if scaled else boundary_map(4.0, 0.0)
        videos.append(Segments(start, end, np.zeros(len(start), np.int64), rng.uniform(0, 1, len(start))))
    got = suppress(videos, decay, max_detections=20, durations=durations)
    for video, result, duration in zip(videos, got, durations, strict=True):
        assert_same(picks(result), plain(video, decay, 20, 0.0, True, duration))


@pytest.mark.parametrize("change", ["start", "end", "label"])
def test_videos_that_differ_in_one_candidate_do_not_share_factors(change: str) -> None:
    start, end = boundary_map(1.0, 0.0)
    score = np.random.default_rng(1).uniform(0, 1, len(start))
    label = np.arange(len(start)) % 2
    first = Segments(start, end, label, score)
    best = int(score.argmax())
    moved = {"start": start.copy(), "end": end.copy(), "label": label.copy()}
    moved[change][best] = 1 - label[best] if change == "label" else moved[change][best] - 0.04
    second = Segments(moved["start"], moved["end"], moved["label"], score)
    got = suppress([first, second], Gaussian(0.8), max_detections=20)
    assert_same(picks(got[1]), plain(second, Gaussian(0.8), 20, 0.0, True, 1.0))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list that gets an entry for each pick whose factors are computed."""
    calls: list[float] = []
    factor = Gaussian.factor

    def counting(self: Gaussian, iou: np.ndarray, width: float) -> np.ndarray:
        calls.append(width)
        return factor(self, iou, width)

    monkeypatch.setattr(Gaussian, "factor", counting)
    return calls


def maps(*places: tuple[float, float]) -> list[Segments]:
    """Videos with the same scores on boundary maps with these scales and offsets."""
    score = np.random.default_rng(0).uniform(0, 1, 78)
    return [Segments(*boundary_map(*place), np.zeros(78, np.int64), score) for place in places]


def test_factors_are_computed_once_for_all_scales_and_offsets(computed: list[float]) -> None:
    suppress(maps((1.0, 7.0), (31.7, 0.0), (4.1, 250.3)), Gaussian(0.8), max_detections=20)
    assert len(computed) == 20


def test_factors_are_computed_again_if_the_cache_is_full(
    monkeypatch: pytest.MonkeyPatch, computed: list[float]
) -> None:
    monkeypatch.setattr("sola.detectors.postprocess.soft_nms.CACHE_BYTES", 8 * 78 * 3)
    videos = maps((1.0, 0.0), (1.0, 0.0))
    for video, result in zip(videos, suppress(videos, Gaussian(0.8), max_detections=20), strict=True):
        assert_same(picks(result), plain(video, Gaussian(0.8), 20, 0.0, True, 1.0))
    assert len(computed) == 20 + 17


def test_float32_scores_decay_in_float64() -> None:
    video = random_video(3, 20)
    single = Segments(*(array.astype(np.float32) for array in (video.start, video.end)), video.label,
                      video.score.astype(np.float32))  # fmt: skip
    [result] = suppress([single], Gaussian(0.8), max_detections=20)
    assert result.score.dtype == np.float64
    assert_same(picks(result), plain(single, Gaussian(0.8), 20, 0.0, True, 1.0))


def test_the_input_does_not_change() -> None:
    video = random_video(3, 20)
    before = video.score.copy()
    suppress([video], Gaussian(0.8), max_detections=20)
    assert np.array_equal(video.score, before)


def test_equal_scores_are_picked_in_input_order() -> None:
    video = segments((0, 1, 0.5), (5, 6, 0.5), (8, 9, 0.5))
    assert suppress([video], Hard(0.5), max_detections=2)[0].start.tolist() == [0, 5]


def test_a_decayed_score_ties_with_an_earlier_one() -> None:
    """The score of (0, 2) decays from .8 to .4, so the other .4, which comes first in the input, is picked next."""
    video = segments((5, 6, 0.4), (0, 2, 0.8), (0, 4, 0.9))
    assert suppress([video], Linear(0.3), max_detections=3)[0].start.tolist() == [0, 5, 0]


def test_hard_suppresses_at_the_threshold() -> None:
    assert len(suppress([segments((0, 4, 0.9), (0, 2, 0.8))], Hard(0.5), max_detections=2)[0]) == 1


def test_width_adaptive_does_not_decay_at_the_threshold() -> None:
    video = segments((0, 4, 0.9), (0, 2, 0.8))
    [result] = suppress([video], WidthAdaptive(0.75, 0.5, 0.5), max_detections=2, durations=[4.0])
    assert result.score.tolist() == [0.9, 0.8]


def test_a_score_equal_to_min_score_is_not_picked() -> None:
    video = segments((0, 1, 0.5), (5, 6, 0.25))
    assert suppress([video], Gaussian(0.5), max_detections=2, min_score=0.25)[0].score.tolist() == [0.5]


def test_max_detections_is_per_video_and_not_per_class() -> None:
    video = segments((0, 1, 0.5), (0, 1, 0.4), (0, 1, 0.3), labels=[0, 1, 2])
    assert suppress([video], Hard(0.5), max_detections=2)[0].label.tolist() == [0, 1]


def test_empty_videos_have_empty_results() -> None:
    got = suppress([segments((0, 1, 0.5)), Segments.empty(), segments((2, 3, 0.5))], Hard(0.5), max_detections=2)
    assert [result.start.tolist() for result in got] == [[0], [], [2]]


def test_no_videos_give_no_results() -> None:
    assert suppress([], Gaussian(0.8), max_detections=2) == []


VIDEO = segments((0, 1, 0.5))


@pytest.mark.parametrize(
    ("videos", "decay", "options", "message"),
    [
        ([VIDEO], Hard(0.5), {"max_detections": 0}, "max_detections=0: expected a whole number of at least 1"),
        ([VIDEO], Hard(0.5), {"max_detections": 1, "min_score": -0.1}, "min_score"),
        ([VIDEO], Hard(0.5), {"max_detections": 1, "min_score": math.nan}, "min_score"),
        ([VIDEO], WidthAdaptive(0.4, 0.5, 0.9), {"max_detections": 1}, "durations"),
        ([VIDEO], Hard(0.5), {"max_detections": 1, "durations": [1.0, 2.0]}, "2 durations for 1 videos"),
        ([VIDEO], Hard(0.5), {"max_detections": 1, "durations": [0.0]}, "duration must be a positive"),
        ([VIDEO, segments((0, 1, math.nan))], Hard(0.5), {"max_detections": 1}, "video 1 .*score is not finite"),
        ([segments((0, math.inf, 0.5))], Hard(0.5), {"max_detections": 1}, "video 0 .*end is not finite"),
    ],
)
def test_bad_input_is_reported(videos: list[Segments], decay: Decay, options: dict[str, object], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        suppress(videos, decay, **options)


@pytest.mark.parametrize(
    ("decay", "values"),
    [
        (Hard, [0.0]),
        (Linear, [1.5]),
        (Gaussian, [0.0]),
        (Gaussian, [math.nan]),
        (WidthAdaptive, [0.0, 0.5, 0.9]),
        (WidthAdaptive, [0.4, math.nan, 0.9]),
    ],
)
def test_bad_decays_are_reported(decay: type, values: list[float]) -> None:
    with pytest.raises(SolaError):
        decay(*values)
