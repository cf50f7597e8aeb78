"""Detection and proposal metrics: pure functions over `SegmentTable`, without a loop over predictions.

Read `protocol` (thresholds, which instances count) → `overlaps` (who meets whom, in which order) → `average_precision`,
`average_recall`, `top_recall` → `diagnosis` (where the error comes from).
"""

from sola.evaluation.metrics.average_precision import (
    AveragePrecision,
    LengthBin,
    average_precision,
    average_precision_by_length,
)
from sola.evaluation.metrics.average_recall import AverageRecall, average_recall
from sola.evaluation.metrics.diagnosis import Diagnosis, diagnose
from sola.evaluation.metrics.protocol import DATASETS, Dataset, Protocol, thresholds
from sola.evaluation.metrics.top_recall import TopRecall, top_recall

__all__ = [
    "DATASETS",
    "AveragePrecision",
    "AverageRecall",
    "Dataset",
    "Diagnosis",
    "LengthBin",
    "Protocol",
    "TopRecall",
    "average_precision",
    "average_precision_by_length",
    "average_recall",
    "diagnose",
    "thresholds",
    "top_recall",
]
