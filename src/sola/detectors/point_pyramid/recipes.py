"""Settings by data set that recipes of several detectors on a pyramid of points share."""

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]
"""Values of fields of `PointPyramidConfig`."""

THUMOS: Settings = {
    "warmup_epochs": 5,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "min_score": 0.001,
    "max_detections": 200,
    "voting_iou": 0.7,
}
"""Settings of ActionFormer and TemporalMaxer for THUMOS14."""
ANET: Settings = {
    "resize_length": 192,
    "crop_overhang": 0.5,
    "multi_class": False,
    "width": 256,
    "min_duration": 0.001,
    "regression_weight": 2.0,
    "label_smoothing": 0.1,
    "normalizer": 200.0,
    "epochs": 15,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "sigma": 0.75,
    "max_detections": 100,
    "voting_iou": 0.9,
}
"""Settings of ActionFormer for ActivityNet, also used for TemporalMaxer, which has no published settings."""
EPIC: Settings = {
    "overlapping_ranges": True,
    "candidates": 5000,
    "inside": 0.3,
    "normalizer": 250.0,
    "warmup_epochs": 5,
    "weight_decay": 0.05,
    "sigma": 0.4,
    "max_detections": 2000,
    "voting_iou": 0.75,
}
"""Settings of ActionFormer, TemporalMaxer and TriDet for EPIC-Kitchens."""
GTEA: Settings = {
    "snippets_per_unit": 4,
    "length": 512,
    "width": 128,
    "epochs": 30,
    "warmup_epochs": 10,
    "learning_rate": 1e-3,
    "ema_decay": 0.99,
    "max_detections": 200,
}
"""Settings of all three for GTEA (not published): a smaller network for 21 videos of 145 to 480 units, with units of
four snippets (0.27 s)."""
QUICK: Settings = {
    "snippets_per_unit": 2,
    "length": 192,
    "width": 32,
    "levels": 4,
    "epochs": 4,
    "warmup_epochs": 1,
    "batch_size": 4,
}
"""Settings of all three for quick checks, in addition to those for GTEA: a small network, trained briefly."""
