"""SoLa: label-free soft landing of frozen snippet features for temporal action localisation.

Data flows one way, and the files are read in that order: `video` (files in, features out) → `data.features` (arrays on
disk) → `module` (what they go through) → `objective` (what it is trained on) → `matching`, `engine`, `training` →
`transformation` (better features) → `linear_evaluation`, `inspection` (what they are worth) → `clips`, `heads`,
`localization` (a trained localiser) → `postprocess`, `detection` (segments), `prediction` (from video) → `metrics`,
`evaluation` (what they are worth) → `report`, `handover`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sola.data.annotations import Annotations, read_annotations
    from sola.data.detections import read_detections, write_detections
    from sola.data.features import FeatureSet
    from sola.data.synthetic import SyntheticWorld
    from sola.detection import detect, name_proposals
    from sola.errors import SolaError
    from sola.evaluation import evaluate_detections, evaluate_proposals
    from sola.grid import SnippetGrid
    from sola.handover import to_fiftyone, write_handover
    from sola.inspection import inspect
    from sola.linear_evaluation import probe
    from sola.localization import train_localizer
    from sola.localizer import Localizer
    from sola.localizer_recipes import LOCALIZER_RECIPES
    from sola.module import SoLa
    from sola.prediction import predict, rebuild_chain
    from sola.recipes import RECIPES, settle
    from sola.segments import Segments
    from sola.suggestion import suggest
    from sola.training import train
    from sola.training_config import TrainingConfig
    from sola.transformation import transform, transform_array
    from sola.video.extraction import extract
    from sola.video.files import find_videos
    from sola.video.loading import load_encoder

__all__ = [
    "LOCALIZER_RECIPES",
    "RECIPES",
    "Annotations",
    "FeatureSet",
    "Localizer",
    "Segments",
    "SnippetGrid",
    "SoLa",
    "SolaError",
    "SyntheticWorld",
    "TrainingConfig",
    "detect",
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
    "train_localizer",
    "transform",
    "transform_array",
    "write_detections",
    "write_handover",
]

_HOME = {
    "LOCALIZER_RECIPES": "localizer_recipes",
    "RECIPES": "recipes",
    "Annotations": "data.annotations",
    "FeatureSet": "data.features",
    "Localizer": "localizer",
    "Segments": "segments",
    "SnippetGrid": "grid",
    "SoLa": "module",
    "SolaError": "errors",
    "SyntheticWorld": "data.synthetic",
    "TrainingConfig": "training_config",
    "detect": "detection",
    "evaluate_detections": "evaluation",
    "evaluate_proposals": "evaluation",
    "extract": "video.extraction",
    "find_videos": "video.files",
    "inspect": "inspection",
    "load_encoder": "video.loading",
    "name_proposals": "detection",
    "predict": "prediction",
    "probe": "linear_evaluation",
    "read_annotations": "data.annotations",
    "read_detections": "data.detections",
    "rebuild_chain": "prediction",
    "settle": "recipes",
    "suggest": "suggestion",
    "to_fiftyone": "handover",
    "train": "training",
    "train_localizer": "localization",
    "transform": "transformation",
    "transform_array": "transformation",
    "write_detections": "data.detections",
    "write_handover": "handover",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `sola --help` and `sola.SolaError` need no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'sola' has no attribute {name!r}")
    return getattr(import_module(f"sola.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
