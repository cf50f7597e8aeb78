"""mAP and AR on ActivityNet-1.3's validation videos, compared with plain loops.

4,728 videos, 7,293 instances, 100 synthetic predictions per video, ten thresholds. The plain loops follow the
definitions: over predictions for mAP, over videos for AR.

    python benchmarks/speed/metrics.py ANNOTATIONS.json [--rounds 5]
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sola.data.annotations import Annotations, read_annotations
from sola.data.segments import SegmentTable
from sola.evaluation.metrics.average_precision import average_precision
from sola.evaluation.metrics.average_recall import average_recall
from sola.evaluation.metrics.protocol import DATASETS

TIOU = DATASETS["activitynet"].tiou
PER_VIDEO = 100


def made_up(annotations: Annotations) -> tuple[SegmentTable, SegmentTable]:
    """Return the instances and random predictions near them: 70 % with the correct class, uninformative scores."""
    rng = np.random.default_rng(0)
    truth = SegmentTable.joined([video.segments for video in annotations.videos.values()])
    count = np.bincount(truth.video, minlength=len(annotations.videos))
    video = np.repeat(np.arange(len(count)), PER_VIDEO)
    near = (np.cumsum(count) - count)[video] + rng.integers(0, np.maximum(count, 1)[video])
    near = np.minimum(near, len(truth) - 1)
    edges = np.stack([truth.start[near], truth.end[near]])
    edges = np.sort(edges + rng.normal(0, 0.25, edges.shape) * (edges[1] - edges[0]), axis=0)
    label = np.where(
        rng.random(len(near)) < 0.7, truth.label[near], rng.integers(0, len(annotations.classes), len(near))
    )
    return truth, SegmentTable(edges[0], edges[1], label, rng.random(len(near)), video)


def tiou_with(start: np.ndarray, end: np.ndarray, one_start: float, one_end: float) -> np.ndarray:
    """Return the tIoU of one segment with several segments."""
    intersection = np.clip(np.minimum(end, one_end) - np.maximum(start, one_start), 0, None)
    with np.errstate(invalid="ignore"):
        return intersection / ((end - start) + (one_end - one_start) - intersection)


def plain_map(truth: SegmentTable, predictions: SegmentTable) -> float:
    """Compute average mAP in a loop over predictions."""
    instances = defaultdict(list)
    for index, key in enumerate(zip(truth.video.tolist(), truth.label.tolist(), strict=True)):
        instances[key].append(index)
    ap = []
    for label in np.unique(truth.label):
        ranked = np.flatnonzero(predictions.label == label)
        ranked = ranked[np.argsort(-predictions.score[ranked], kind="stable")]
        hit = np.zeros((len(TIOU), len(ranked)))
        taken: set[tuple[int, int]] = set()
        for place, index in enumerate(ranked):
            candidates = instances.get((int(predictions.video[index]), int(label)))
            if candidates is None:
                continue
            segments = truth.start[candidates], truth.end[candidates]
            tiou = tiou_with(*segments, predictions.start[index], predictions.end[index])
            for i, threshold in enumerate(TIOU):
                for j in np.argsort(tiou)[::-1]:  # NaN (0/0) is first and not below any threshold
                    if tiou[j] < threshold:
                        break
                    if (i, candidates[j]) not in taken:
                        taken.add((i, candidates[j]))
                        hit[i, place] = 1
                        break
        total = int((truth.label == label).sum())
        for row in hit:
            true = np.cumsum(row)
            precision = np.concatenate(([0], true / np.arange(1, len(ranked) + 1), [0]))
            recall = np.concatenate(([0], true / total, [1]))
            best = np.maximum.accumulate(precision[::-1])[::-1]
            ap.append(((recall[1:] - recall[:-1]) * best[1:]).sum())
    return float(np.mean(ap))


def plain_auc(truth: SegmentTable, predictions: SegmentTable) -> float:
    """Compute the AUC of average recall in a loop over videos and numbers of proposals."""
    videos = np.unique(truth.video)
    retrieved = min(int(PER_VIDEO * (100.0 * len(videos) / len(predictions))), PER_VIDEO)
    shares = np.arange(1, 101) / 100.0 * (100.0 * len(videos) / (retrieved * len(videos)))
    matches = np.zeros((len(TIOU), 100))
    for video in videos:
        instances = np.flatnonzero(truth.video == video)
        ranked = np.flatnonzero(predictions.video == video)
        ranked = ranked[np.argsort(-predictions.score[ranked], kind="stable")][:retrieved]
        segments = predictions.start[ranked], predictions.end[ranked]
        tiou = np.stack([tiou_with(*segments, truth.start[i], truth.end[i]) for i in instances])
        for i, threshold in enumerate(TIOU):
            reached = tiou >= threshold
            for j, share in enumerate(shares):
                matches[i, j] += np.count_nonzero(reached[:, : int(retrieved * share)].sum(axis=1))
    average = (matches / len(truth)).mean(axis=0)
    return float(np.trapezoid(average, shares * retrieved) / (shares * retrieved)[-1])


def timed(function: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the shortest time of several rounds (seconds), and the result."""
    best, value = np.inf, 0.0
    for _ in range(rounds):
        began = time.perf_counter()
        value = function()
        best = min(best, time.perf_counter() - began)
    return best, value


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    truth, predictions = made_up(read_annotations(options.annotations).subset("validation"))
    figures: dict[str, object] = {"predictions": len(predictions), "instances": len(truth), "thresholds": len(TIOU)}
    for name, plain, fast in (
        ("mAP", lambda: plain_map(truth, predictions), lambda: average_precision(truth, predictions, TIOU).mean),
        ("AUC", lambda: plain_auc(truth, predictions), lambda: average_recall(truth, predictions).auc),
    ):
        seconds, value = timed(fast, options.rounds)
        plain_seconds, expected = timed(plain, 1)
        assert abs(value - expected) < 1e-9, (value, expected)
        ratio = round(plain_seconds / seconds)
        figures[name] = {"seconds": seconds, "plain_seconds": plain_seconds, "times_faster": ratio}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
