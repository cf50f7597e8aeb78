"""Metrics of detector runs on the test videos and on bootstrap draws; summaries and comparisons of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from sola.data.detections import read_detections
from sola.data.source import DataSource
from sola.evaluation.detections import threshold_name
from sola.evaluation.joining import join
from sola.evaluation.metrics.average_precision import of_matching
from sola.evaluation.metrics.average_recall import average_recall, retrieval
from sola.evaluation.metrics.matching import match
from sola.evaluation.metrics.protocol import ACTIVITYNET
from sola.evaluation.metrics.resampling import resampled_average_precision, resampled_average_recall
from sola.evaluation.results import Comparison, Metric, Row, compare_rows
from sola.evaluation.statistics import Resampled, Summary, summarize
from sola.report.sources import DETECTIONS
from sola.studies.runs import PROPOSALS

RECALL_AT = (1, 10, 100)
"""Average numbers of proposals per video at which average recall is reported."""
DRAWS = 2000
"""Number of bootstrap draws of the test videos."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Metrics of one run (fractions) by key, on all test videos and on each bootstrap draw."""

    values: Mapping[str, float]
    draws: Mapping[str, Float[np.ndarray, " draws"]]


def metrics(tiou: Sequence[float]) -> tuple[Metric, ...]:
    """Return the columns: mAP at the first, middle and last threshold, average mAP, average recalls, AUC."""
    shown = sorted({tiou[0], tiou[len(tiou) // 2], tiou[-1]})
    precision = [*(f"mAP@{threshold_name(threshold)}" for threshold in shown), "average_mAP"]
    recall = [*(f"AR@{count}" for count in RECALL_AT), "AUC"]
    return tuple(Metric(key, key.replace("_", " ")) for key in (*precision, *recall))


def video_draws(videos: int) -> Int[np.ndarray, "draws videos"]:
    """Return how often each test video is drawn; deterministic."""
    drawn: Int[np.ndarray, "draws videos"]
    drawn = np.random.default_rng(0).multinomial(videos, np.full(videos, 1 / videos), size=DRAWS)
    return drawn


def measure(data: DataSource, run: Path, tiou: Sequence[float]) -> Measured:
    """Evaluate the detections and proposals of a finished run on the test videos.

    mAP is computed at the thresholds `tiou`, average recall at tIoU .5 to .95, both as ActivityNet does.
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

    figures = {
        f"mAP@{threshold_name(threshold)}": (float(precision[i]), resampled[:, i]) for i, threshold in enumerate(tiou)
    }
    figures["average_mAP"] = (float(precision.mean()), resampled.mean(axis=1))
    figures |= {f"AR@{count}": (curve.at(count), recalls[:, count - 1]) for count in RECALL_AT}
    figures["AUC"] = (curve.auc, np.trapezoid(recalls, curve.number, axis=1) / curve.number[-1])
    shown = [metric.key for metric in metrics(tiou)]
    return Measured({key: figures[key][0] for key in shown}, {key: figures[key][1] for key in shown})


def summaries(seeds: Sequence[Measured], metrics: Sequence[Metric]) -> dict[str, Summary]:
    """Return the summary of every metric over seeds, with its confidence interval over test videos."""
    return {
        metric.key: summarize([seed.values[metric.key] for seed in seeds], _resampled(seeds, metric).replicates)
        for metric in metrics
    }


def comparisons(
    rows: Sequence[Row], measured: Mapping[str, Sequence[Measured]], metrics: Sequence[Metric], videos: int
) -> tuple[Comparison, ...]:
    """Compare the rows within each group in every metric.

    Args:
        rows: rows to compare.
        measured: measurements of all seeds, by row name.
        metrics: metrics to compare.
        videos: number of test videos.
    """
    return tuple(
        comparison
        for metric in metrics
        for group in dict.fromkeys(row.group for row in rows)
        for comparison in compare_rows(
            [(row.name, row.kind, _resampled(measured[row.name], metric)) for row in rows if row.group == group],
            metric.key,
            videos,
        )
    )


def _resampled(seeds: Sequence[Measured], metric: Metric) -> Resampled:
    """Return the mean of a metric over seeds, on all test videos and on each draw."""
    mean = float(np.mean([seed.values[metric.key] for seed in seeds]))
    return Resampled(mean, np.mean([seed.draws[metric.key] for seed in seeds], axis=0))
