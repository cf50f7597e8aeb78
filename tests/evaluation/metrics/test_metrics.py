"""Metrics compared with reference implementations in plain loops, on hundreds of small cases."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.segments import SegmentTable
from sola.evaluation.metrics.average_precision import average_precision, average_precision_by_length
from sola.evaluation.metrics.average_recall import average_recall
from sola.evaluation.metrics.diagnosis import diagnose
from sola.evaluation.metrics.matching import match
from sola.evaluation.metrics.protocol import DATASETS, counted, thresholds
from sola.evaluation.metrics.top_recall import top_recall

# few distinct times and scores, so that ties, duplicates and zero-length segments are common
times = st.one_of(st.integers(-2, 12).map(float), st.floats(0, 10, allow_nan=False))
row = st.tuples(times, times, st.integers(0, 2), st.sampled_from([0.1, 0.5, 0.5, 0.9, 1.0]), st.integers(0, 3))
predicted = st.lists(row, max_size=14)
annotated = st.lists(row.map(lambda r: (min(r[:2]), max(r[:2]), *r[2:])), min_size=1, max_size=8)
tious = st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.6000000000000001, 0.75, 1.0]), min_size=1, max_size=4, unique=True)
many = settings(max_examples=1500 if "SOLA_LONG" in os.environ else 200, deadline=None)

Row = tuple[float, float, int, float, int]


def table(rows: list[Row]) -> SegmentTable:
    start, end, label, score, video = zip(*rows, strict=True) if rows else ((),) * 5
    return SegmentTable(
        np.array(start, float), np.array(end, float), np.array(label, int), np.array(score, float), np.array(video, int)
    )


# reference implementations


def tiou_of(a: Row, b: Row) -> float:
    """Return the intersection over union; NaN for 0/0, as in ActivityNet's evaluator."""
    intersection = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (b[1] - b[0]) + (a[1] - a[0]) - intersection
    if union == 0:
        return math.nan
    return intersection / union


def filtered(truth: list[Row]) -> list[Row]:
    remaining: list[Row] = []
    for row in truth:
        twin = any(
            abs(row[0] - k[0]) <= 1e-3 and abs(row[1] - k[1]) <= 1e-3 and (row[2], row[4]) == (k[2], k[4])
            for k in remaining
        )
        if row[1] - row[0] > 0 and not twin:
            remaining.append(row)
    return remaining


def by_score(predictions: list[Row]) -> list[Row]:
    """Sort by descending score, with ties as in ActivityNet's evaluator, which reverses NumPy's sort."""
    return [predictions[i] for i in np.argsort([row[3] for row in predictions])[::-1]]


def true_positives(truth: list[Row], predictions: list[Row], threshold: float, protocol: str) -> list[bool]:
    """Return whether each prediction of one class is a true positive, in descending order of score."""
    used: set[int] = set()
    hits = []
    for prediction in by_score(predictions):
        own = [index for index, instance in enumerate(truth) if instance[4] == prediction[4]]
        tiou = np.array([tiou_of(prediction, truth[index]) for index in own])
        tiou[np.isnan(tiou)] = math.inf if protocol == "official" else 0.0
        free = [own[i] for i in np.argsort(tiou)[::-1] if tiou[i] >= threshold and own[i] not in used]
        used.update(free[:1])
        hits.append(bool(free))
    return hits


def ap_of(truth: list[Row], predictions: list[Row], threshold: float, protocol: str) -> float:
    hits = true_positives(truth, predictions, threshold, protocol)
    precision, recall, true = [0.0], [0.0], 0
    for count, hit in enumerate(hits, 1):
        true += hit
        precision.append(true / count)
        recall.append(true / len(truth))
    precision.append(0.0)
    recall.append(1.0)
    area = 0.0
    for i in range(1, len(recall)):
        area += (recall[i] - recall[i - 1]) * max(precision[i:])
    return area


def mean_ap(truth: list[Row], predictions: list[Row], threshold: float, protocol: str) -> float:
    truth = filtered(truth) if protocol == "filtered" else truth
    classes = sorted({one[2] for one in truth})
    return float(
        np.mean(
            [
                ap_of([t for t in truth if t[2] == c], [p for p in predictions if p[2] == c], threshold, protocol)
                for c in classes
            ]
        )
    )


def recall_curve(truth: list[Row], proposals: list[Row], tiou: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the average number of proposals and the recall [thresholds, 100], as in ActivityNet's evaluator."""
    videos = sorted({one[4] for one in truth})
    ratio = 100.0 * len(videos) / len(proposals)
    retrieved = {}
    for video in videos:
        own = by_score([p for p in proposals if p[4] == video])
        retrieved[video] = own[: min(int(len(own) * ratio), len(own))]
    total = sum(map(len, retrieved.values()))
    share = np.arange(1, 101) / 100.0 * (100.0 * len(videos) / total)
    recall = np.zeros((len(tiou), 100))
    for i, threshold in enumerate(tiou):
        for j in range(100):
            found = 0
            for instance in truth:
                own = retrieved[instance[4]]
                own = own[: min(int(len(own) * share[j]), len(own))]
                found += any(tiou_of(p, instance) >= threshold for p in own)  # nan is not
            recall[i, j] = found / len(truth)
    return share * (total / len(videos)), recall


# equal to them


@many
@given(annotated, predicted, tious, st.sampled_from(["official", "filtered"]))
def test_map_matches_the_definition(truth, predictions, tiou, protocol):
    if protocol == "filtered" and not filtered(truth):
        with pytest.raises(SolaError, match="no ground truth"):
            average_precision(table(truth), table(predictions), tiou, protocol)
        return
    result = average_precision(table(truth), table(predictions), tiou, protocol)
    expected = [mean_ap(truth, predictions, threshold, protocol) for threshold in tiou]
    np.testing.assert_allclose(result.by_tiou, expected, atol=1e-12)
    assert result.mean == pytest.approx(np.mean(expected), abs=1e-12)


@many
@given(annotated, st.lists(row, min_size=1, max_size=14), tious)
def test_recall_and_auc_match_the_definition(truth, proposals, tiou):
    result = average_recall(table(truth), table(proposals), tiou)
    if not {p[4] for p in proposals} & {t[4] for t in truth}:
        assert result.auc == 0
        return
    number, recall = recall_curve(truth, proposals, tiou)
    np.testing.assert_allclose(result.number, number, rtol=1e-12)
    np.testing.assert_array_equal(result.recall, recall)
    average = recall.mean(axis=0)
    area = sum((average[i] + average[i - 1]) / 2 * (number[i] - number[i - 1]) for i in range(1, 100))
    assert result.auc == pytest.approx(area / number[-1], abs=1e-12)


@many
@given(annotated, predicted, tious, st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_top_recall_matches_the_definition(truth, predictions, tiou, ks):
    result = top_recall(table(truth), table(predictions), tiou, ks)
    for i, threshold in enumerate(tiou):
        for j, k in enumerate(ks):
            per_class = []
            for label in sorted({one[2] for one in truth}):
                found = total = 0
                for video in {one[4] for one in truth}:
                    instances = [t for t in truth if (t[2], t[4]) == (label, video)]
                    best = by_score([p for p in predictions if (p[2], p[4]) == (label, video)])[: k * len(instances)]
                    found += sum(any(tiou_of(p, t) >= threshold for p in best) for t in instances)
                    total += len(instances)
                per_class.append(found / total)
            assert result.recall[i, j] == pytest.approx(np.mean(per_class), abs=1e-12)


@many
@given(annotated)
def test_filtered_drops_duplicates_and_zero_length_instances_in_order(truth):
    kept = counted(table(truth), "filtered")
    expected = table(filtered(truth))
    for column in ("start", "end", "label", "video", "score"):
        np.testing.assert_array_equal(getattr(kept, column), getattr(expected, column))


@pytest.mark.parametrize(("gap", "kept"), [(0.0009, 1), (0.0011, 2)])
def test_filtered_drops_duplicates_within_a_millisecond(gap, kept):
    assert len(counted(table([(0, 5, 0, 1, 0), (gap, 5 + gap, 0, 1, 0)]), "filtered")) == kept


def test_duplicates_are_compared_with_remaining_instances_only():
    chain = [(0.0008 * i, 5.0, 0, 1.0, 0) for i in range(4)]
    assert counted(table(chain), "filtered").start.tolist() == [0.0, 0.0016]


@given(annotated, predicted, tious)
def test_a_single_length_bin_gives_the_overall_map(truth, predictions, tiou):
    matching = match(table(truth), table(predictions), tiou, "official")
    (one,) = average_precision_by_length(matching, table(predictions), ())
    assert one.mean == pytest.approx(average_precision(table(truth), table(predictions), tiou).mean, abs=1e-12)
    assert one.instances == len(truth)


def test_map_by_length_ignores_matches_of_other_lengths():
    truth = table([(0, 1, 0, 1, 0), (10, 20, 0, 1, 0)])
    # by score: a match of the long instance, a long false positive, a match of the short instance
    found = table([(10, 20, 0, 0.9, 0), (30, 40, 0, 0.8, 0), (0, 1, 0, 0.7, 0)])
    short, long = average_precision_by_length(match(truth, found, [0.5], "official"), found, (5.0,))
    assert (short.mean, short.instances) == (1.0, 1)
    assert (long.mean, long.instances) == (1.0, 1)
    late = table([(10, 20, 0, 0.5, 0), (30, 40, 0, 0.8, 0), (0, 1, 0, 0.7, 0)])
    short, long = average_precision_by_length(match(truth, late, [0.5], "official"), late, (5.0,))
    assert (short.mean, long.mean) == (1.0, 0.5)


def test_a_bin_without_instances_has_no_map():
    truth = table([(0, 1, 0, 1, 0)])
    bins = average_precision_by_length(match(truth, truth, [0.5], "official"), truth, DATASETS["thumos14"].lengths)
    assert [one.name for one in bins] == ["XS", "S", "M", "L", "XL"]
    assert [one.mean for one in bins] == [1.0, None, None, None, None]


# diagnosis


def test_error_types_are_distinguished():
    truth = table([(0, 10, 0, 1, 0), (20, 30, 1, 1, 0), (50, 60, 0, 1, 0)])
    found = table(
        [
            (0, 10, 0, 0.99, 0),  # correct
            (0, 9, 0, 0.9, 0),  # double
            (20, 30, 0, 0.8, 0),  # confusion: another class, well placed
            (22, 40, 1, 0.7, 0),  # localization: tIoU .4
            (25, 45, 2, 0.6, 0),  # confusion: tIoU .2
            (70, 80, 0, 0.5, 0),  # background
            (0, 10, 0, 0.4, 1),  # background: another video
        ]
    )
    diagnosis = diagnose(match(truth, found, [0.5], "official"), found)
    assert dict(diagnosis.count) == {"localization": 1, "confusion": 2, "double": 1, "background": 2, "misses": 2}
    assert sum(diagnosis.share.values()) == pytest.approx(1)


@given(annotated, predicted, st.sampled_from([0.3, 0.5, 0.75]))
def test_gain_of_an_error_type_is_the_map_without_it(truth, predictions, threshold):
    matching = match(table(truth), table(predictions), [threshold], "official")
    diagnosis = diagnose(matching, table(predictions))
    assert diagnosis.mean_ap == pytest.approx(mean_ap(truth, predictions, threshold, "official"), abs=1e-12)
    found = len(matching.predictions[0])
    assert sum(diagnosis.count.values()) - diagnosis.count["misses"] + found == len(predictions)
    assert diagnosis.count["misses"] + found == len(truth)
    assert all(gain >= -1e-12 for gain in diagnosis.gain.values())


# quirks and known values


def test_zero_length_segments_match_in_official_but_not_in_filtered():
    truth, found = table([(3, 3, 0, 1, 0), (0, 5, 0, 1, 0)]), table([(9, 9, 0, 0.9, 0)])
    assert average_precision(truth, found, [0.5]).mean == 0.5
    assert average_precision(truth, found, [0.5], "filtered").mean == 0.0


def test_predictions_in_videos_without_ground_truth_are_false_positives():
    truth = table([(0, 5, 0, 1, 0)])
    found = table([(0, 5, 0, 0.9, 7), (0, 5, 0, 0.8, 0)])
    assert average_precision(truth, found, [0.5], "official").mean == 0.5
    assert average_precision(truth, found, [0.5], "filtered").mean == 0.5


def test_the_later_of_equal_scores_is_first():
    truth = table([(0, 5, 0, 1, 0)])
    right, wrong = (0, 5, 0, 1, 0), (8, 9, 0, 1, 0)
    for metric, of_both in ((average_precision, 1 / 2), (top_recall, 0.0)):

        def first(rows, metric=metric):
            result = metric(truth, table(rows), [0.5])
            return result.mean if metric is average_precision else result.recall[0, 0]

        assert first([wrong, right]) == 1.0
        assert first([right, wrong]) == of_both
        assert first([wrong, wrong, right]) == 1.0
    # at half of the curve, one of the two proposals is retrieved
    assert average_recall(truth, table([wrong, right]), [0.5], maximum=2).at(50) == 1.0
    assert average_recall(truth, table([right, wrong]), [0.5], maximum=2).at(50) == 0.0


def test_the_later_of_equal_overlaps_is_first():
    truth = table([(0, 4, 0, 1, 0), (4, 8, 0, 1, 0)])
    both = (0, 8, 0, 0.9, 0)  # overlaps each by half
    assert average_precision(truth, table([both, (0, 4, 0, 0.8, 0)]), [0.5]).mean == 1.0
    assert average_precision(truth, table([both, (4, 8, 0, 0.8, 0)]), [0.5]).mean == 0.5


def test_a_class_without_predictions_counts_as_zero_and_unknown_labels_are_ignored():
    truth = table([(0, 5, 0, 1, 0), (0, 5, 1, 1, 0)])
    assert average_precision(truth, table([(0, 5, 0, 0.9, 0)]), [0.5]).mean == 0.5
    assert average_precision(truth, table([(0, 5, -1, 1.0, 0), (0, 5, 0, 0.9, 0)]), [0.5]).mean == 0.5


def test_no_predictions_give_a_map_and_recall_of_zero():
    truth = table([(0, 5, 0, 1, 0)])
    assert average_precision(truth, table([]), [0.5]).mean == 0.0
    assert average_recall(truth, table([])).auc == 0.0
    assert top_recall(truth, table([]), [0.5]).recall.sum() == 0.0


def test_no_instances_are_an_error():
    for metric in (average_precision, average_recall, top_recall):
        with pytest.raises(SolaError, match="no ground truth"):
            metric(table([]), table([(0, 5, 0, 1, 0)]), [0.5])


def test_average_recall_matches_known_values(shared_data):
    folder = shared_data / "golden" / "average_recall"
    annotated = json.loads((folder / "gt.json").read_text())
    found = json.loads((folder / "result.json").read_text())["results"]
    ids = [video.removeprefix("v_") for video in annotated]
    truth = [
        (*a["segment"], 0, 1.0, ids.index(v.removeprefix("v_"))) for v in annotated for a in annotated[v]["annotations"]
    ]
    proposals = [
        (*one["segment"], 0, one["score"], ids.index(video) if video in ids else len(ids))
        for video in found
        for one in found[video]
    ]
    result = average_recall(table(truth), table(proposals))
    assert 100 * result.auc == pytest.approx(72.525, abs=1e-9)
    assert [result.at(number) for number in (1, 5, 10, 100)] == pytest.approx([0, 0.6, 0.75, 0.75], abs=1e-12)


def test_thresholds_match_the_official_evaluator():
    assert DATASETS["activitynet"].tiou == DATASETS["hacs"].tiou == tuple(np.linspace(0.5, 0.95, 10).tolist())
    assert DATASETS["thumos14"].tiou == tuple(np.linspace(0.3, 0.7, 5).tolist())
    assert thresholds(0.5, 0.5, 1) == (0.5,)


@pytest.mark.parametrize("bad", [(0, 0.5, 0.1), (0.5, 1.5, 0.1), (0.9, 0.5, 0.1), (0.5, 0.9, 0.3), (0.5, 0.9, 0)])
def test_invalid_threshold_ranges_are_refused(bad):
    with pytest.raises(SolaError, match=r"FIRST:LAST:STEP"):
        thresholds(*bad)


@pytest.mark.parametrize("tiou", [[], [0.0], [1.1], [float("nan")]])
def test_a_threshold_outside_its_range_is_refused(tiou):
    with pytest.raises(SolaError, match="at least one, each in"):
        average_precision(table([(0, 5, 0, 1, 0)]), table([]), tiou)


def test_pairs_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        (*sorted(rng.uniform(0, 9, 2)), int(rng.integers(3)), float(rng.random()), int(rng.integers(4)))
        for _ in range(90)
    ]
    whole = average_precision(table(rows[:20]), table(rows[20:]), [0.1, 0.5])
    monkeypatch.setattr("sola.evaluation.metrics.overlaps.BLOCK", 7)
    np.testing.assert_array_equal(whole.ap, average_precision(table(rows[:20]), table(rows[20:]), [0.1, 0.5]).ap)
