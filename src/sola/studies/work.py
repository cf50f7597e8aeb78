"""What one run does: each function makes one folder of a workspace, and goes on where it was stopped."""

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
from sola.detectors.detect import detect, name_proposals
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.evaluation.controls import Control, UntrainedModule, fit_controls
from sola.pipeline.executors import Threads, run_job
from sola.pipeline.transform_job import RewriteJob, transform
from sola.softlanding.recipes import Recipe
from sola.softlanding.train import train

FEATURES, DETECTIONS, PROPOSALS = "features", "detections.json", "proposals.json"


def make_module(data: DataSource, recipe: Recipe, run: Path) -> None:
    """Train a module on the training videos without their labels, and transform training and test videos."""
    if is_finished(run / FEATURES):
        return
    everything = data.open()
    module = train(everything.subset(data.train_subset).features, recipe, run, resume=True, quiet=True)
    transform(module, _measured(everything, data), run / FEATURES)


def make_controls(data: DataSource, folders: Mapping[str, Path], like: Path, seed: int) -> None:
    """Write the features of controls, by name; untrained ones resemble the module that made the features in `like`."""
    missing = {name: folder for name, folder in folders.items() if not is_finished(folder)}
    if not missing:
        return
    everything = data.open()
    training, chosen = everything.subset(data.train_subset).features, _measured(everything, data)
    for name, control in fitted(training, FeatureSet.open(like)).items():
        if name in missing:
            write_control(chosen, control, seed, missing[name])


def _measured(everything: Dataset, data: DataSource) -> FeatureSet:
    """The features of the training and test videos."""
    parts = [everything.subset(name).features.videos for name in (data.train_subset, data.test_subset)]
    return everything.features.only(chain(*parts))


def fitted(training: FeatureSet, like: FeatureSet | None) -> dict[str, Control]:
    """All controls by name, fitted on the features of the training videos."""
    untrained = {}
    if like is not None and like.manifest.sola is not None:
        untrained = {"": (UntrainedModule.like(like.manifest.sola),)}
    videos = (training.read(video).astype(np.float32) for video in training.videos)
    return {control.name: control for control in fit_controls(videos, untrained)}


def write_control(features: FeatureSet, control: Control, seed: int, out: Path) -> None:
    """Write features as a control makes them."""
    change = control.at_seed(seed)
    width = change(features.read(features.videos[0]).astype(np.float32)).shape[1]

    def changed(values: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time changed"]:
        return change(values.astype(np.float32)).astype(values.dtype)

    def manifest(read: FeatureSet) -> Manifest:
        return dataclasses.replace(read.manifest, dim=width)

    run_job(RewriteJob(features, out, lambda: changed, manifest, {"control": control.name, "seed": seed}), Threads())


def make_head(data: DataSource, features: Path | None, config: DetectorConfig, run: Path) -> None:
    """Train a head on the training videos, and write what it finds in the test videos."""
    if (run / DETECTIONS).is_file():
        return
    base = data.open(features)
    detector = train_detector(base.subset(data.train_subset), config, out=run, resume=True, quiet=True)
    write_found(data, detector, base, run)


def write_found(data: DataSource, detector: TrainedDetector, base: Dataset, folder: Path) -> None:
    """Write the proposals and detections of the test videos."""
    config, test = detector.config, base.subset(data.test_subset)
    proposals = detect(detector, test, device=config.device)
    detections = proposals
    if not config.predicts_classes:
        scores = None
        if data.classifier is not None:
            scores = read_classifier(data.classifier, [video.id for video in test.videos], detector.classes)
        detections = name_proposals(detector, test, proposals, scores=scores)
    write_detections(folder / PROPOSALS, proposals, base.classes if config.predicts_classes else (UNLABELED,))
    # last: a folder that has it is finished
    write_detections(folder / DETECTIONS, detections, base.classes)
