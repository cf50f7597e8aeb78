"""Metrics of a detector's run on the test videos, and the same under resampled test videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from sola.data.detections import read_detections
from sola.data.source import DataSource
from sola.evaluation.detections import join, threshold_name
from sola.evaluation.metrics.average_precision import of_matching
from sola.evaluation.metrics.average_recall import average_recall, retrieval
from sola.evaluation.metrics.matching import match
from sola.evaluation.metrics.protocol import ACTIVITYNET
from sola.evaluation.metrics.resampling import resampled_average_precision, resampled_average_recall
from sola.evaluation.results import Metric
from sola.studies.work import DETECTIONS, PROPOSALS

RECALL_AT = (1, 10, 100)
"""Proposals per video of the average recalls."""
DRAWS = 2000
"""Bootstrap replicates of the test videos."""


def metrics(tiou: Sequence[float]) -> tuple[Metric, ...]:
    """The columns: mAP at the first, the middle and the last threshold, their average, and average recall."""
    shown = sorted({tiou[0], tiou[len(tiou) // 2], tiou[-1]})
    at = [Metric(f"mAP@{threshold_name(one)}", f"mAP@{threshold_name(one)}") for one in shown]
    recall = [Metric(f"AR@{count}", f"AR@{count}") for count in RECALL_AT]
    return (*at, Metric("average_mAP", "average mAP"), *recall, Metric("AUC", "AUC"))


@dataclass(frozen=True, eq=False)
class Measured:
    """Every metric of one run as a fraction, and under each draw of the test videos."""

    values: Mapping[str, float]
    draws: Mapping[str, Float[np.ndarray, " draws"]]


def video_draws(videos: int) -> Int[np.ndarray, "draws videos"]:
    """How often each test video is drawn, the same for every run and every call."""
    drawn: Int[np.ndarray, "draws videos"]
    drawn = np.random.default_rng(0).multinomial(videos, np.full(videos, 1 / videos), size=DRAWS)
    return drawn


def measure(data: DataSource, run: Path, tiou: Sequence[float]) -> Measured:
    """Measure the detections and proposals of a finished run against the test videos; thresholds of mAP are `tiou`.

    mAP is ActivityNet's; average recall is taken at its thresholds, .5 to .95. The draws are the same for every run.
    """
    annotations = data.open_annotations().subset(data.test_subset)
    detections = join(read_detections(run / DETECTIONS), annotations, labeled=True, id_prefix=data.id_prefix)
    proposals = join(read_detections(run / PROPOSALS), annotations, labeled=False, id_prefix=data.id_prefix)
    drawn = video_draws(len(annotations.videos))

    matching = match(detections.truth, detections.predictions, tiou, "official")
    precision = of_matching(matching, detections.predictions).by_tiou
    resampled = resampled_average_precision(matching, detections.predictions, drawn)
    curve = average_recall(proposals.truth, proposals.predictions)
    per_video = retrieval(proposals.truth, proposals.predictions, ACTIVITYNET.tiou)
    recalls = resampled_average_recall(*per_video, drawn)

    values, draws = {"average_mAP": float(precision.mean())}, {"average_mAP": resampled.mean(axis=1)}
    for i, threshold in enumerate(tiou):
        values[f"mAP@{threshold_name(threshold)}"] = float(precision[i])
        draws[f"mAP@{threshold_name(threshold)}"] = resampled[:, i]
    for count in RECALL_AT:
        values[f"AR@{count}"] = curve.at(count)
        draws[f"AR@{count}"] = recalls[:, count - 1]
    values["AUC"] = curve.auc
    draws["AUC"] = np.trapezoid(recalls, curve.number, axis=1) / curve.number[-1]
    shown = [metric.key for metric in metrics(tiou)]
    return Measured({key: values[key] for key in shown}, {key: draws[key] for key in shown})
