"""`sola detect` on features."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sola.cli.console import place_of, report_skipped, say, stderr_bar
from sola.cli.detect import FeatureOptions
from sola.cli.options import Execution, Reading, Timing
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.data.annotations import VideoAnnotation, read_annotations
from sola.data.class_scores import VideoScores, read_scores
from sola.data.detections import UNLABELED, write_detections
from sola.data.features import FeatureSet
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.detectors.detect import detect, name_proposals
from sola.detectors.trained import TrainedDetector
from sola.pipeline.predicting import Predicting, load_detector, predict_on_cluster
from sola.pipeline.staging import StoredFeatures, fetched_file, stored_file
from sola.pipeline.storage import Storage


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
    features: FeatureSet | StoredFeatures
    if resources is None:
        features = timing.fill(reading.open(sources))
    else:
        features = StoredFeatures.of(sources, channels_first=reading.channels_first)
    records = videos_of(features.videos, options, reading.id_prefix)
    scores = scores_of(records, detector, options.classifier)
    with stderr_bar(quiet) as bar:
        line = bar.add_task("detect", total=len(records))

        def progress(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)

        if isinstance(features, FeatureSet):
            found = detections = detect(detector, features, records, device=device, progress=progress)
            if not detector.config.knows_classes:
                detections = name_proposals(detector, features, records, found, scores=scores, combine=options.combine)
            skipped = features.skipped
        else:
            assert resources is not None
            found, detections, skipped = predict_on_cluster(
                stored_run,
                features,
                Predicting(records, timing.given(), scores, options.combine, device),
                resources=resources,
                skip_bad=reading.skip_bad,
                progress=progress,
            )
    with stored_file(out) as path:
        write_detections(path, detections, detector.classes)
    if options.proposals is not None:
        with stored_file(options.proposals) as path:
            write_detections(path, {video: unlabeled(segments) for video, segments in found.items()}, (UNLABELED,))
    report_skipped(skipped)
    if not quiet:
        say(f"{place_of(out)}: {sum(map(len, detections.values()))} detections in {len(detections)} videos")


def must_know_classes(run: Path, detector: TrainedDetector, classifier: Path | None) -> None:
    """Raise SolaError unless exactly one of detector and classifier gives the classes."""
    if classifier is not None and detector.config.knows_classes:
        raise SolaError(f"--classifier {classifier}: the detector of {run} predicts classes itself")
    if classifier is None and detector.classifier is None and not detector.config.knows_classes:
        raise SolaError(f"{run}: has no snippet classifier; name a file of class scores with --classifier")


def unlabeled(segments: Segments) -> Segments:
    """Return the same segments, all of class 0."""
    return dataclasses.replace(segments, label=np.zeros_like(segments.label))


def videos_of(
    videos: Sequence[str], options: FeatureOptions, id_prefix: str | None
) -> Mapping[str, VideoAnnotation | None]:
    """Return the videos to detect in, by their id in the features."""
    if options.annotations is None:
        return dict.fromkeys(videos)
    with fetched_file(options.annotations) as path:
        annotations = read_annotations(path, options.label_key).subset(options.test_subset or "validation")
    matched = match_videos(videos, annotations.videos, id_prefix).videos
    return {feature_id: annotations.videos[annotated_id] for feature_id, annotated_id in matched.items()}


def scores_of(
    records: Mapping[str, VideoAnnotation | None], detector: TrainedDetector, classifier: Path | None
) -> VideoScores | None:
    """Return the class scores of these videos by an external classifier, if there is one."""
    if classifier is None:
        return None
    videos = [video if record is None else record.video for video, record in records.items()]
    with fetched_file(classifier) as path:
        return read_scores(path, videos, detector.classes)
