"""`sola detect` on features."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sola.cli.detect import FeatureOptions
from sola.cli.options import Execution, Reading, Timing, place_of, report_skipped
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.core.progress import progress_bar
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.class_scores import VideoScores, read_scores
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, write_detections
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.detectors.detect import detect, name_proposals
from sola.detectors.trained import TrainedDetector
from sola.pipeline.predicting import Predicting, load_detector, predict_on_cluster
from sola.pipeline.staging import StoredFeatures, fetched_file, stored_file
from sola.pipeline.storage import Storage

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
    resources = execution.resources(run, *sources, out, options.proposals, options.annotations, options.classifier)
    for path in filter(None, (out, options.proposals)):
        if Storage.of(path.parent).has(path.name) and not overwrite:
            raise SolaError(f"{place_of(path)}: exists already; choose another file, or pass --overwrite")
    stored_run = Storage.of(run)
    detector = load_detector(stored_run)
    must_know_classes(run, detector, options.classifier)
    annotations, prefix = annotations_of(options), reading.id_prefix
    data: Dataset | StoredFeatures
    if resources is None:
        data = Dataset.open(reading.open(sources), annotations, id_prefix=prefix, timing=timing.given())
        videos = [video.id for video in data.videos]
    else:
        data = StoredFeatures.of(sources, channels_first=reading.channels_first)
        records = videos_of(data.videos, annotations, prefix)
        videos = [id_ if record is None else record.video for id_, record in records.items()]
    scores = scores_of(videos, detector, options.classifier)
    with progress_bar("detect", total=len(videos), quiet=quiet) as bar:
        if isinstance(data, Dataset):
            bad: dict[str, str] = {}
            found = detections = detect(detector, data, device=device, skipped=bad, progress=bar.update)
            if not detector.config.predicts_classes:
                detections = name_proposals(detector, data, found, scores=scores, combine=options.combine)
            skipped = {**data.features.unreadable, **bad}
        else:
            assert resources is not None
            found, detections, skipped = predict_on_cluster(
                stored_run,
                data,
                Predicting(records, timing.given(), scores, options.combine, device, prefix),
                resources=resources,
                skip_bad=reading.skip_bad,
                progress=bar.update,
            )
    with stored_file(out) as path:
        write_detections(path, detections, detector.classes)
    if options.proposals is not None:
        with stored_file(options.proposals) as path:
            write_detections(path, {video: unlabeled(segments) for video, segments in found.items()}, (UNLABELED,))
    report_skipped(skipped)
    log.info("%s: %d detections in %d videos", place_of(out), sum(map(len, detections.values())), len(detections))


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
    if options.annotations is None:
        return None
    with fetched_file(options.annotations) as path:
        return read_annotations(path, options.label_key).subset(options.test_subset or "validation")


def videos_of(
    videos: Sequence[str], annotations: Annotations | None, id_prefix: str | None
) -> Mapping[str, VideoAnnotation | None]:
    """Return the videos to detect in on a cluster, by their id in the features, which are not local."""
    if annotations is None:
        return dict.fromkeys(videos)
    matched = match_videos(videos, annotations.videos, id_prefix).videos
    return {feature_id: annotations.videos[annotated_id] for feature_id, annotated_id in matched.items()}


def scores_of(videos: Sequence[str], detector: TrainedDetector, classifier: Path | None) -> VideoScores | None:
    """Return the class scores of these videos by an external classifier, if there is one."""
    if classifier is None:
        return None
    with fetched_file(classifier) as path:
        return read_scores(path, videos, detector.classes)
