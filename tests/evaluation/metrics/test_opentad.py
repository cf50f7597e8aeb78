"""Metrics equal those of OpenTAD's evaluators, called from a local clone of its repository."""

import importlib
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
from sola.evaluation.metrics.top_recall import top_recall

TIOU = thresholds(0.5, 0.95, 0.05)


@pytest.fixture
def evaluators(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    """OpenTAD's evaluation modules, with a stub registry."""
    clone = os.environ.get("SOLA_OPENTAD_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_OPENTAD_REFERENCE: name a clone of OpenTAD to compare with it")
    pytest.importorskip("pandas", reason="OpenTAD's evaluators need pandas")

    class Registry:
        def __init__(self, name: str) -> None:
            pass

        def register_module(self):
            return lambda kind: kind

    registry = types.ModuleType("mmengine.registry")
    registry.Registry = Registry
    monkeypatch.setitem(sys.modules, "mmengine", types.ModuleType("mmengine"))
    monkeypatch.setitem(sys.modules, "mmengine.registry", registry)
    monkeypatch.setattr(np, "int", int, raising=False)  # removed from NumPy
    monkeypatch.syspath_prepend(str(Path(clone) / "opentad"))
    return {name: importlib.import_module(f"evaluations.{name}") for name in ("mAP", "recall", "builder")}


def drawn() -> tuple[SegmentTable, SegmentTable]:
    """Instances of 40 videos, some duplicate or zero-length, and predictions near them with distinct scores."""
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 80, 90)
    length = rng.uniform(2, 40, 90)
    length[::17] = 0.0
    video, label = rng.integers(0, 40, 90), rng.integers(0, 4, 90)
    start[1::9], length[1::9], video[1::9], label[1::9] = start[::9], length[::9], video[::9], label[::9]
    truth = SegmentTable(start, start + length, label, np.ones(90), video)
    near = rng.integers(0, 90, 2500)
    edges = np.stack([start[near], start[near] + length[near]]) + rng.normal(0, 3, (2, 2500))
    edges.sort(axis=0)
    right = rng.random(2500) < 0.8
    found = np.where(right, label[near], rng.integers(0, 4, 2500))
    return truth, SegmentTable(edges[0], edges[1], found, rng.permutation(2500) / 2500, video[near])


def test_filtered_values_match_opentad(evaluators):
    import pandas as pd

    truth, predictions = drawn()

    def frame(table: SegmentTable) -> "pd.DataFrame":
        names = [f"v{video:02d}" for video in table.video]
        columns = {"video-id": names, "t-start": table.start, "t-end": table.end, "label": table.label}
        return pd.DataFrame({**columns, "score": table.score})

    kept = []
    for video in sorted(set(truth.video.tolist())):
        mine = frame(truth.take(truth.video == video))
        events = [{"segment": [row["t-start"], row["t-end"]], "label": row["label"]} for row in mine.to_dict("records")]
        for event in evaluators["builder"].remove_duplicate_annotations(events):
            kept.append((f"v{video:02d}", *event["segment"], event["label"]))
    instances = pd.DataFrame(kept, columns=["video-id", "t-start", "t-end", "label"])
    assert 0 < len(instances) < len(truth)
    found = frame(predictions)

    def of_class(function, *more):
        return [
            function(
                instances[instances["label"] == label].reset_index(drop=True),
                found[found["label"] == label].reset_index(drop=True),
                np.array(TIOU),
                *more,
            )
            for label in range(4)
        ]

    ap = np.mean(of_class(evaluators["mAP"].compute_average_precision_detection), axis=0)
    np.testing.assert_allclose(average_precision(truth, predictions, TIOU, "filtered").by_tiou, ap, atol=1e-12)
    top = np.mean(of_class(evaluators["mAP"].compute_topkx_recall_detection, (1, 5)), axis=0)
    np.testing.assert_allclose(top_recall(truth, predictions, TIOU, (1, 5), "filtered").recall, top, atol=1e-12)
    recall, _, number = evaluators["recall"].average_recall_vs_avg_nr_proposals(instances, found, 100, np.array(TIOU))
    curve = average_recall(truth, predictions, TIOU, "filtered")
    np.testing.assert_allclose(curve.recall, recall, atol=1e-12)
    np.testing.assert_allclose(curve.number, number, rtol=1e-12)
