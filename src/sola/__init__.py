"""SoLa: label-free soft landing of frozen snippet features for temporal action localisation.

Data flows one way, and the files are read in that order: `data.features` (arrays on disk) → `module` (what they go
through) → `objective` (what it is trained on) → `matching`, `engine`, `training` → `transformation` (better features) →
`linear_evaluation`, `inspection` (what they are worth) → `heads` (features to segments) → `postprocess` →
`metrics`, `evaluation` (what the segments are worth) → `report`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sola.data.annotations import Annotations, read_annotations
    from sola.data.detections import read_detections, write_detections
    from sola.data.features import FeatureSet
    from sola.data.synthetic import SyntheticWorld
    from sola.errors import SolaError
    from sola.evaluation import evaluate_detections, evaluate_proposals
    from sola.grid import SnippetGrid
    from sola.inspection import inspect
    from sola.linear_evaluation import probe
    from sola.module import SoLa
    from sola.recipes import RECIPES, settle
    from sola.segments import Segments
    from sola.suggestion import suggest
    from sola.training import train
    from sola.training_config import TrainingConfig
    from sola.transformation import transform, transform_array

__all__ = [
    "RECIPES",
    "Annotations",
    "FeatureSet",
    "Segments",
    "SnippetGrid",
    "SoLa",
    "SolaError",
    "SyntheticWorld",
    "TrainingConfig",
    "evaluate_detections",
    "evaluate_proposals",
    "inspect",
    "probe",
    "read_annotations",
    "read_detections",
    "settle",
    "suggest",
    "train",
    "transform",
    "transform_array",
    "write_detections",
]

_HOME = {
    "RECIPES": "recipes",
    "Annotations": "data.annotations",
    "FeatureSet": "data.features",
    "Segments": "segments",
    "SnippetGrid": "grid",
    "SoLa": "module",
    "SolaError": "errors",
    "SyntheticWorld": "data.synthetic",
    "TrainingConfig": "training_config",
    "evaluate_detections": "evaluation",
    "evaluate_proposals": "evaluation",
    "inspect": "inspection",
    "probe": "linear_evaluation",
    "read_annotations": "data.annotations",
    "read_detections": "data.detections",
    "settle": "recipes",
    "suggest": "suggestion",
    "train": "training",
    "transform": "transformation",
    "transform_array": "transformation",
    "write_detections": "data.detections",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `sola --help` and `sola.SolaError` need no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'sola' has no attribute {name!r}")
    return getattr(import_module(f"sola.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
