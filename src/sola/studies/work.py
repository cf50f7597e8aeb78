"""What one run does: each function makes one folder of a workspace, and goes on where it was stopped."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.data.class_scores import read_scores
from sola.data.detections import UNLABELED, write_detections
from sola.data.features import FeatureSet
from sola.data.journal import is_finished
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.detectors.detect import detect, name_proposals
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.evaluation.controls import Control, UntrainedModule, fit_controls
from sola.pipeline.executors import Threads, run_job
from sola.pipeline.transform_job import RewriteJob, transform
from sola.softlanding.config import TrainingConfig
from sola.softlanding.recipes import settle
from sola.softlanding.train import train
from sola.studies.workspace import Data, HeadConfig

FEATURES, DETECTIONS, PROPOSALS = "features", "detections.json", "proposals.json"


def make_module(data: Data, config: TrainingConfig, run: Path) -> None:
    """Train a module on the training videos without their labels, and transform training and test videos."""
    if is_finished(run / FEATURES):
        return
    features = data.open_features()
    training = data.records(features, data.train_subset)
    learned = features.only(training)
    settled, reasons = settle(config, learned)
    requested = dataclasses.asdict(config)
    module = train(learned, settled, run, requested=requested, reasons=reasons, resume=True, quiet=True)
    transform(module, features.only({**training, **data.records(features, data.test_subset)}), run / FEATURES)


def make_controls(data: Data, folders: Mapping[str, Path], like: Path, seed: int) -> None:
    """Write the features of controls, by name; untrained ones resemble the module that made the features in `like`."""
    missing = {name: folder for name, folder in folders.items() if not is_finished(folder)}
    if not missing:
        return
    features = data.open_features()
    training = data.records(features, data.train_subset)
    chosen = features.only({**training, **data.records(features, data.test_subset)})
    for name, control in fitted(features, list(training), data.open_features(like)).items():
        if name in missing:
            write_control(chosen, control, seed, missing[name])


def fitted(features: FeatureSet, training: Sequence[str], like: FeatureSet | None) -> dict[str, Control]:
    """All controls by name, fitted on the training videos."""
    untrained = {}
    if like is not None and like.manifest.sola is not None:
        untrained = {"": (UntrainedModule.like(like.manifest.sola),)}
    videos = (features.read(video).astype(np.float32) for video in training)
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


def make_head(data: Data, features: Path | None, config: HeadConfig, run: Path) -> None:
    """Train a head on the training videos, and write what it finds in the test videos."""
    if (run / DETECTIONS).is_file():
        return
    stands_on = data.open_features(features)
    detector = train_detector(
        stands_on,
        data.open_annotations(),
        config,
        run,
        train_subset=data.train_subset,
        id_prefix=data.id_prefix,
        resume=True,
        quiet=True,
    )
    write_found(data, detector, stands_on, run)


def write_found(data: Data, detector: TrainedDetector, features: FeatureSet, folder: Path) -> None:
    """Write the proposals and detections of the test videos."""
    config, classes = detector.config, data.open_annotations().classes
    records = data.records(features, data.test_subset)
    proposals = detect(detector, features, records, device=config.device)
    detections = proposals
    if not config.knows_classes:
        scores = None
        if data.classifier is not None:
            scores = read_scores(data.classifier, [record.video for record in records.values()], detector.classes)
        detections = name_proposals(detector, features, records, proposals, scores=scores)

    def by_annotated_id(found: Mapping[str, Segments]) -> dict[str, Segments]:
        return {records[video].video: segments for video, segments in found.items()}

    write_detections(folder / PROPOSALS, by_annotated_id(proposals), classes if config.knows_classes else (UNLABELED,))
    # last: a folder that has it is finished
    write_detections(folder / DETECTIONS, by_annotated_id(detections), classes)
