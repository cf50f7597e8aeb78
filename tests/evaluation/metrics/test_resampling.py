"""Resampled metrics equal the metrics of tables with repeated videos."""

import numpy as np
import pytest

from sola.data.segments import Segments, SegmentTable
from sola.evaluation.metrics.average_precision import average_precision
from sola.evaluation.metrics.average_recall import average_recall, retrieval
from sola.evaluation.metrics.matching import match
from sola.evaluation.metrics.resampling import resampled_average_precision, resampled_average_recall

TIOU = (0.3, 0.5, 0.7)


def world(seed: int, videos: int = 6, proposals: int | None = None) -> tuple[list[Segments], list[Segments]]:
    generator = np.random.default_rng(seed)

    def segments(count: int, scored: bool) -> Segments:
        start = generator.uniform(0, 20, count)
        score = generator.permutation(count) / count + generator.uniform(0, 1e-3, count) if scored else np.ones(count)
        return Segments(start, start + generator.uniform(1, 8, count), generator.integers(0, 3, count), score)

    truth = [segments(int(generator.integers(1, 5)), False) for _ in range(videos)]
    counts = [int(generator.integers(0, 30)) if proposals is None else proposals for _ in range(videos)]
    return truth, [segments(count, True) for count in counts]


def draws(seed: int, videos: int, count: int = 8) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.multinomial(videos, np.full(videos, 1 / videos), size=count)


def repeated(videos: list[Segments], draw: np.ndarray) -> SegmentTable:
    return SegmentTable.joined([video for video, times in zip(videos, draw, strict=True) for _ in range(times)])


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_matches_repeated_videos(seed: int) -> None:
    truth, found = world(seed)
    predictions = SegmentTable.joined(found)
    matching = match(SegmentTable.joined(truth), predictions, TIOU, "official")
    drawn = draws(seed, len(truth))
    expected = [average_precision(repeated(truth, draw), repeated(found, draw), TIOU).by_tiou for draw in drawn]
    np.testing.assert_allclose(resampled_average_precision(matching, predictions, drawn), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_average_recall_matches_repeated_videos_with_equal_numbers_of_proposals(seed: int) -> None:
    truth, found = world(seed, proposals=100)
    drawn = draws(seed, len(truth))
    expected = [average_recall(repeated(truth, draw), repeated(found, draw), TIOU).average for draw in drawn]
    per_video = retrieval(SegmentTable.joined(truth), SegmentTable.joined(found), TIOU)
    np.testing.assert_allclose(resampled_average_recall(*per_video, drawn), expected, atol=1e-12)


def test_drawing_each_video_once_gives_the_metric() -> None:
    truth, found = world(9)
    once = np.ones((1, len(truth)), int)
    predictions, instances = SegmentTable.joined(found), SegmentTable.joined(truth)
    matching = match(instances, predictions, TIOU, "official")
    own = average_precision(instances, predictions, TIOU).by_tiou
    np.testing.assert_allclose(resampled_average_precision(matching, predictions, once)[0], own)
    curve = average_recall(instances, predictions, TIOU).average
    np.testing.assert_allclose(resampled_average_recall(*retrieval(instances, predictions, TIOU), once)[0], curve)


def test_videos_without_instances_do_not_change_recall() -> None:
    truth, found = world(5, proposals=100)
    truth[-1] = Segments.empty()
    drawn = draws(5, len(truth))
    kept = [draw[:-1] for draw in drawn]
    expected = [
        average_recall(repeated(truth[:-1], draw), repeated(found[:-1], draw), TIOU).average
        for draw in kept
        if draw.any()
    ]
    per_video = retrieval(SegmentTable.joined(truth), SegmentTable.joined(found[:-1]), TIOU)
    np.testing.assert_allclose(resampled_average_recall(*per_video, drawn), expected, atol=1e-12)


def test_predictions_of_unknown_videos_stay_false_positives() -> None:
    truth, found = world(3)
    stranger = world(4)[1][1]
    predictions = SegmentTable.joined([*found, stranger])
    matching = match(SegmentTable.joined(truth), predictions, TIOU, "official")
    once = np.ones((1, len(truth)), int)
    expected = average_precision(SegmentTable.joined(truth), predictions, TIOU).by_tiou
    np.testing.assert_allclose(resampled_average_precision(matching, predictions, once)[0], expected)
