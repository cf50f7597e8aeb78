"""Single runs: each function writes one folder of a workspace, and resumes an interrupted run."""

import dataclasses
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.data.class_scores import read_classifier
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, write_detections
from sola.data.features import FeatureSet
from sola.data.journal import is_finished
from sola.data.manifest import Manifest
from sola.data.source import DataSource
from sola.detectors.base import DetectorConfig
from sola.detectors.detect import classify_proposals, propose
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.evaluation.controls import Control, fit_controls
from sola.evaluation.untrained import Untrained, untrained_like
from sola.pipeline.executors import Threads, run_job
from sola.pipeline.transform_job import RewriteJob, transform
from sola.report.sources import DETECTIONS
from sola.softlanding.recipes import Recipe
from sola.softlanding.train import train

FEATURES, PROPOSALS = "features", "proposals.json"


def make_module(data: DataSource, recipe: Recipe, run: Path) -> None:
    """Train a module on the training videos without labels, and transform the training and test videos."""
    if is_finished(run / FEATURES):
        return
    everything = data.open()
    module = train(everything.subset(data.train_subset).features, recipe, run, resume=True, quiet=True)
    transform(module, _used_features(everything, data), run / FEATURES)


def make_controls(data: DataSource, folders: Mapping[str, Path], like: Path, seed: int) -> None:
    """Write the features of controls, given folders by name. `like` has the features of the module to imitate.

    Untrained controls have the configuration of that module.
    """
    missing = {name: folder for name, folder in folders.items() if not is_finished(folder)}
    if not missing:
        return
    everything = data.open()
    module = Manifest.read(like).sola
    for control in fitted(everything.subset(data.train_subset), None if module is None else untrained_like(module)):
        if control.name in missing:
            write_control(_used_features(everything, data), control, seed, missing[control.name])


def make_detector(data: DataSource, features: Path | None, config: DetectorConfig, run: Path) -> None:
    """Train a detector on the training videos, and write its detections on the test videos."""
    if (run / DETECTIONS).is_file():
        return
    base = data.open(features)
    detector = train_detector(base.subset(data.train_subset), config, out=run, resume=True, quiet=True)
    write_detector_output(data, detector, base, run)


def _used_features(everything: Dataset, data: DataSource) -> FeatureSet:
    """Return the features of the training and test videos."""
    parts = [everything.subset(name).features.videos for name in (data.train_subset, data.test_subset)]
    return everything.features.only(chain(*parts))


def fitted(training: Dataset, module: Untrained | None = None) -> tuple[Control, ...]:
    """Return all controls, fitted on the training videos. `module` defines the untrained controls."""
    videos = (training.features.read(video).astype(np.float32) for video in training.features.videos)
    return fit_controls(videos, {} if module is None else {"": (module,)})


def write_control(features: FeatureSet, control: Control, seed: int, out: Path) -> None:
    """Write features transformed by a control."""
    change = control.at_seed(seed)
    width = change(features.read(features.videos[0]).astype(np.float32)).shape[1]

    def changed(values: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time changed"]:
        return change(values.astype(np.float32)).astype(values.dtype)

    def manifest(read: FeatureSet) -> Manifest:
        return dataclasses.replace(read.manifest, dim=width)

    run_job(RewriteJob(features, out, lambda: changed, manifest, {"control": control.name, "seed": seed}), Threads())


def write_detector_output(data: DataSource, detector: TrainedDetector, base: Dataset, folder: Path) -> None:
    """Write proposals and detections for the test videos. Detections are written last and mark a finished run."""
    config, test = detector.config, base.subset(data.test_subset)
    proposals = detections = propose(detector, test, device=config.device)
    if not config.predicts_classes:
        scores = None
        if data.classifier is not None:
            scores = read_classifier(data.classifier, [video.id for video in test.videos], detector.classes)
        detections = classify_proposals(detector, test, proposals, scores=scores)
    write_detections(folder / PROPOSALS, proposals, base.classes if config.predicts_classes else (UNLABELED,))
    write_detections(folder / DETECTIONS, detections, base.classes)
