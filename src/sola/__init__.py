"""SoLa: label-free adaptation of frozen snippet features for temporal action localization.

All public names are in this one namespace. Each is imported from its module at first use, so `import sola` is fast. The
layers, from top to bottom: `cli`; `studies`; `report`, `pipeline` and `export`; `evaluation`; `softlanding` and
`detectors`; `training` and `video`; `data`; `core`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sola.core.errors import SolaError as SolaError
    from sola.data.annotations import Annotations as Annotations
    from sola.data.annotations import read_annotations as read_annotations
    from sola.data.dataset import Dataset as Dataset
    from sola.data.dataset_video import Video as Video
    from sola.data.detections import Detections as Detections
    from sola.data.detections import read_detections as read_detections
    from sola.data.detections import write_detections as write_detections
    from sola.data.features import FeatureSet as FeatureSet
    from sola.data.segments import Segments as Segments
    from sola.data.timing import SnippetGrid as SnippetGrid
    from sola.detectors import DETECTORS as DETECTORS
    from sola.detectors import detector_family as detector_family
    from sola.detectors.detect import classify_proposals as classify_proposals
    from sola.detectors.detect import detect as detect
    from sola.detectors.detect import propose as propose
    from sola.detectors.point_pyramid.pairing import pair_detectors as pair_detectors
    from sola.detectors.train import train_detector as train_detector
    from sola.detectors.trained import TrainedDetector as TrainedDetector
    from sola.evaluation.actions import evaluate_actions as evaluate_actions
    from sola.evaluation.detections import evaluate as evaluate
    from sola.evaluation.detections import evaluate_proposals as evaluate_proposals
    from sola.evaluation.frames import evaluate_frames as evaluate_frames
    from sola.evaluation.frames import evaluate_segmentation as evaluate_segmentation
    from sola.evaluation.probe import probe as probe
    from sola.evaluation.similarity import inspect as inspect
    from sola.export import export_dataset as export_dataset
    from sola.export import to_fiftyone as to_fiftyone
    from sola.pipeline.extract_job import extract as extract
    from sola.pipeline.pipeline import predict as predict
    from sola.pipeline.pipeline import rebuild_chain as rebuild_chain
    from sola.pipeline.transform_job import transform as transform
    from sola.softlanding.config import TrainingConfig as TrainingConfig
    from sola.softlanding.multiscale import MultiScaleSoLa as MultiScaleSoLa
    from sola.softlanding.multiscale_config import MultiScaleConfig as MultiScaleConfig
    from sola.softlanding.network import SoLa as SoLa
    from sola.softlanding.recipes import RECIPES as RECIPES
    from sola.softlanding.recipes import Recipe as Recipe
    from sola.softlanding.train import train as train
    from sola.softlanding.trained import TrainedModule as TrainedModule
    from sola.softlanding.transform import transform_array as transform_array
    from sola.video.encoders.loading import load_encoder as load_encoder
    from sola.video.files import find_videos as find_videos

_NAMES = {
    "core.errors": "SolaError",
    "data.annotations": "Annotations read_annotations",
    "data.dataset": "Dataset",
    "data.dataset_video": "Video",
    "data.detections": "Detections read_detections write_detections",
    "data.features": "FeatureSet",
    "data.segments": "Segments",
    "data.timing": "SnippetGrid",
    "detectors": "DETECTORS detector_family",
    "detectors.detect": "detect classify_proposals propose",
    "detectors.point_pyramid.pairing": "pair_detectors",
    "detectors.train": "train_detector",
    "detectors.trained": "TrainedDetector",
    "evaluation.actions": "evaluate_actions",
    "evaluation.detections": "evaluate evaluate_proposals",
    "evaluation.frames": "evaluate_frames evaluate_segmentation",
    "evaluation.probe": "probe",
    "evaluation.similarity": "inspect",
    "export": "to_fiftyone export_dataset",
    "pipeline.extract_job": "extract",
    "pipeline.pipeline": "predict rebuild_chain",
    "pipeline.transform_job": "transform",
    "softlanding.config": "TrainingConfig",
    "softlanding.multiscale": "MultiScaleSoLa",
    "softlanding.multiscale_config": "MultiScaleConfig",
    "softlanding.network": "SoLa",
    "softlanding.recipes": "RECIPES Recipe",
    "softlanding.train": "train",
    "softlanding.trained": "TrainedModule",
    "softlanding.transform": "transform_array",
    "video.encoders.loading": "load_encoder",
    "video.files": "find_videos",
}
"""Public names by their module."""
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'sola' has no attribute {name!r}")
    return getattr(import_module(f"sola.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
