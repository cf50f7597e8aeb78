"""Figures equal to those of ActivityNet's evaluators, read from a local clone of its repository.

They are written for Python 2; the test translates what Python 3 and NumPy no longer have while it reads them.
"""

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.average_precision import average_precision
from sola.evaluation.metrics.average_recall import average_recall
from sola.evaluation.metrics.protocol import thresholds

TIOU = thresholds(0.5, 0.95, 0.05)
TRANSLATION = {
    "print '": "pass  # '",
    "import urllib2": "",
    "xrange": "range",
    "np.int)": "int)",
    "np.float)": "float)",
}


@pytest.fixture
def evaluators(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    """ActivityNet's evaluation programs for detections and proposals."""
    clone = os.environ.get("SOLA_ACTIVITYNET_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_ACTIVITYNET_REFERENCE: name a clone of ActivityNet's repository to compare with it")
    pytest.importorskip("pandas", reason="ActivityNet's evaluators need pandas")
    parallel = types.ModuleType("joblib")  # imported, but not used by the tested functions
    parallel.Parallel = parallel.delayed = None
    monkeypatch.setitem(sys.modules, "joblib", parallel)
    modules = {}
    for name in ("utils", "eval_detection", "eval_proposal"):
        source = (Path(clone) / "Evaluation" / f"{name}.py").read_text()
        for old, new in TRANSLATION.items():
            source = source.replace(old, new)
        modules[name] = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[name])
        exec(compile(source, name, "exec"), modules[name].__dict__)
    return modules


def drawn(seed: int, scores: int, on_a_grid: bool) -> tuple[SegmentTable, SegmentTable]:
    """Instances of 30 videos and 3 classes, and 900 predictions with as many different scores as `scores` says.

    On a grid of whole seconds, overlaps are equal too.
    """
    rng = np.random.default_rng(seed)
    start, length = rng.uniform(0, 60, 90), rng.uniform(1, 20, 90)
    video, label = np.sort(rng.permutation(np.arange(90) % 30)), rng.integers(0, 3, 90)
    near = rng.integers(0, 90, 900)
    edges = np.stack([start[near], start[near] + length[near]]) + rng.normal(0, 2, (2, 900))
    edges.sort(axis=0)
    if on_a_grid:
        start, length, edges = start.round(), length.round() + 1, edges.round()
        edges[1] += edges[1] == edges[0]
    score = (1 + rng.integers(0, scores, 900)) / scores
    truth = SegmentTable(start, start + length, label, np.ones(90), video)
    return truth, SegmentTable(edges[0], edges[1], label[near], score, video[near])


@pytest.mark.parametrize("on_a_grid", [False, True], ids=["anywhere", "on-a-grid"])
@pytest.mark.parametrize("scores", [1, 2, 5, 40])
def test_values_match_activitynet_with_equal_scores(evaluators, scores, on_a_grid):
    import pandas as pd

    def frame(table: SegmentTable) -> "pd.DataFrame":
        names = [f"v{video:02d}" for video in table.video]
        columns = {"video-id": names, "t-start": table.start, "t-end": table.end, "label": table.label}
        return pd.DataFrame({**columns, "score": table.score})

    for seed in range(3):
        truth, predictions = drawn(seed, scores, on_a_grid)
        instances, found = frame(truth), frame(predictions)
        ap = [
            evaluators["eval_detection"].compute_average_precision_detection(
                instances[instances["label"] == label].reset_index(drop=True),
                found[found["label"] == label].reset_index(drop=True),
                np.array(TIOU),
            )
            for label in range(3)
        ]
        result = average_precision(truth, predictions, TIOU)
        np.testing.assert_allclose(result.ap.T, ap, atol=1e-12)
        # fewer proposals per video than available, so the order decides which are retrieved
        recall, _, number = evaluators["eval_proposal"].average_recall_vs_avg_nr_proposals(
            instances, found, 10, np.array(TIOU)
        )
        curve = average_recall(truth, predictions, TIOU, maximum=10)
        np.testing.assert_allclose(curve.recall, recall, atol=1e-12)
        np.testing.assert_allclose(curve.number, number, rtol=1e-12)
