"""SoLa: label-free soft landing of frozen snippet features for temporal action localization.

Data flows one way, and the files are read in that order: `video` (files in, features out) → `data.features` (arrays on
disk) → `module` (what they go through) → `objective` (what it is trained on) → `matching`, `engine`, `training` →
`transformation` (better features) → `linear_evaluation`, `inspection` (what they are worth) → `clips`, `heads`,
`localization` (a trained detector) → `postprocess`, `detection` (segments), `prediction` (from video) → `metrics`,
`evaluation` (what they are worth) → `report`, `handover`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sola.core.errors import SolaError
    from sola.data.annotations import Annotations, read_annotations
    from sola.data.dataset import Dataset
    from sola.data.detections import read_detections, write_detections
    from sola.data.features import FeatureSet
    from sola.data.segments import Segments
    from sola.data.synthetic import SyntheticWorld
    from sola.data.timing import SnippetGrid
    from sola.detectors import DETECTORS, detector_family
    from sola.detectors.detect import detect, name_proposals
    from sola.detectors.train import train_detector
    from sola.detectors.trained import TrainedDetector
    from sola.evaluation.detections import evaluate_detections, evaluate_proposals
    from sola.evaluation.probe import probe
    from sola.evaluation.similarity import inspect
    from sola.export import to_fiftyone, write_handover
    from sola.pipeline.extract_job import extract
    from sola.pipeline.pipeline import predict, rebuild_chain
    from sola.pipeline.transform_job import transform
    from sola.softlanding.auto import suggest
    from sola.softlanding.config import TrainingConfig
    from sola.softlanding.network import SoLa
    from sola.softlanding.recipes import RECIPES, settle
    from sola.softlanding.train import train
    from sola.softlanding.transform import transform_array
    from sola.video.encoders.loading import load_encoder
    from sola.video.files import find_videos

__all__ = [
    "DETECTORS",
    "RECIPES",
    "Annotations",
    "Dataset",
    "FeatureSet",
    "Segments",
    "SnippetGrid",
    "SoLa",
    "SolaError",
    "SyntheticWorld",
    "TrainedDetector",
    "TrainingConfig",
    "detect",
    "detector_family",
    "evaluate_detections",
    "evaluate_proposals",
    "extract",
    "find_videos",
    "inspect",
    "load_encoder",
    "name_proposals",
    "predict",
    "probe",
    "read_annotations",
    "read_detections",
    "rebuild_chain",
    "settle",
    "suggest",
    "to_fiftyone",
    "train",
    "train_detector",
    "transform",
    "transform_array",
    "write_detections",
    "write_handover",
]

_HOME = {
    "DETECTORS": "detectors",
    "RECIPES": "softlanding.recipes",
    "Annotations": "data.annotations",
    "Dataset": "data.dataset",
    "FeatureSet": "data.features",
    "TrainedDetector": "detectors.trained",
    "Segments": "data.segments",
    "SnippetGrid": "data.timing",
    "SoLa": "softlanding.network",
    "SolaError": "core.errors",
    "SyntheticWorld": "data.synthetic",
    "TrainingConfig": "softlanding.config",
    "detect": "detectors.detect",
    "detector_family": "detectors",
    "evaluate_detections": "evaluation.detections",
    "evaluate_proposals": "evaluation.detections",
    "extract": "pipeline.extract_job",
    "find_videos": "video.files",
    "inspect": "evaluation.similarity",
    "load_encoder": "video.encoders.loading",
    "name_proposals": "detectors.detect",
    "predict": "pipeline.pipeline",
    "probe": "evaluation.probe",
    "read_annotations": "data.annotations",
    "read_detections": "data.detections",
    "rebuild_chain": "pipeline.pipeline",
    "settle": "softlanding.recipes",
    "suggest": "softlanding.auto",
    "to_fiftyone": "export",
    "train": "softlanding.train",
    "train_detector": "detectors.train",
    "transform": "pipeline.transform_job",
    "transform_array": "softlanding.transform",
    "write_detections": "data.detections",
    "write_handover": "export",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `sola --help` and `sola.SolaError` need no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'sola' has no attribute {name!r}")
    return getattr(import_module(f"sola.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
