"""`sola detect` on features."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sola.cli.detect import FeatureOptions
from sola.cli.options import Execution, Reading, Timing, place_of, report_skipped
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.core.progress import progress_bar
from sola.core.storage import Storage
from sola.data.annotations import Annotations, read_annotations
from sola.data.class_scores import VideoScores, read_classifier
from sola.data.detections import UNLABELED, write_detections
from sola.data.segments import Segments
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import DetectJob, load_detector
from sola.pipeline.stored_features import match_features

log = logging.getLogger(__name__)


def detect_in_features(
    run: Path,
    sources: tuple[Path, ...],
    out: Path,
    options: FeatureOptions,
    reading: Reading,
    timing: Timing,
    execution: Execution,
    *,
    device: Device,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Detect, here or on a cluster, and write detections and proposals."""
    show_log(quiet)
    if options.test_subset is not None and options.annotations is None:
        raise SolaError(f"--test-subset {options.test_subset}: needs --annotations, which list its videos")
    if options.proposals is not None and options.proposals.absolute() == out.absolute():
        raise SolaError(f"--proposals {options.proposals}: is --out too; name another file")
    executor = execution.executor_for(run, *sources, out, options.proposals, options.annotations, options.classifier)
    for path in filter(None, (out, options.proposals)):
        if not overwrite and Storage.of(path.parent).has(path.name):
            raise SolaError(f"{place_of(path)}: exists already; choose another file, or pass --overwrite")
    detector = load_detector(run)
    must_know_classes(run, detector, options.classifier)
    features = reading.open_stored(sources, timing.given())
    data = match_features(features, annotations_of(options), id_prefix=reading.id_prefix)
    scores = scores_of([video.id for video in data.videos], detector, options.classifier)
    folder = Storage.of(out.parent)
    workspace = folder / f".{out.name}.partial"
    job = DetectJob(detector, data, workspace, scores=scores, combine=options.combine, device=device, executor=executor)
    with progress_bar("detect", total=len(data.videos), quiet=quiet) as bar:
        found = job.detect(skip_bad=reading.skip_bad, progress=lambda done, total, snippets: bar.update(done, total))
    with folder.writing(out.name) as path:
        write_detections(path, found.detections, detector.classes)
    if options.proposals is not None:
        proposals = {video: unlabeled(segments) for video, segments in found.proposals.items()}
        with Storage.of(options.proposals.parent).writing(options.proposals.name) as path:
            write_detections(path, proposals, (UNLABELED,))
    workspace.delete()
    report_skipped(data.features.unreadable, found.skipped)
    count = sum(map(len, found.detections.values()))
    log.info("%s: %d detections in %d videos", place_of(out), count, len(found.detections))


def must_know_classes(run: Path, detector: TrainedDetector, classifier: Path | None) -> None:
    """Raise SolaError unless exactly one of detector and classifier gives the classes."""
    if classifier is not None and detector.config.predicts_classes:
        raise SolaError(f"--classifier {classifier}: the detector of {run} predicts classes itself")
    if classifier is None and detector.classifier is None and not detector.config.predicts_classes:
        raise SolaError(f"{run}: has no snippet classifier; name a file of class scores with --classifier")


def unlabeled(segments: Segments) -> Segments:
    """Return the same segments, all of class 0."""
    return dataclasses.replace(segments, label=np.zeros_like(segments.label))


def annotations_of(options: FeatureOptions) -> Annotations | None:
    """Return the annotations of the subset to detect in; None for all videos."""
    path = options.annotations
    if path is None:
        return None
    with Storage.of(path.parent).fetched(path.name) as folder:
        return read_annotations(folder / path.name, options.label_key).subset(options.test_subset or "validation")


def scores_of(videos: Sequence[str], detector: TrainedDetector, classifier: Path | None) -> VideoScores | None:
    """Return the class scores of these videos by an external classifier, if there is one."""
    if classifier is None:
        return None
    with Storage.of(classifier.parent).fetched(classifier.name) as folder:
        return read_classifier(folder / classifier.name, videos, detector.classes)
