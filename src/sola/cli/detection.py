"""`sola detect` on features and on video files."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sola.cli import options
from sola.cli.detect import FeatureOptions, VideoOptions
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.log import counted
from sola.core.progress import progress_bar
from sola.core.storage import Storage, StoredFile
from sola.data.annotations import read_annotations
from sola.data.class_scores import read_classifier
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, write_detections
from sola.data.findings import unknown_classes
from sola.data.names import file_of
from sola.data.segments import Segments
from sola.detectors.point_pyramid.pairing import pair_detectors
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import DetectJob, VideoDetections, load_detector
from sola.pipeline.executors import Threads
from sola.pipeline.pipeline import predict, rebuild_chain
from sola.pipeline.stored_features import match_features
from sola.report.saving import write_plot
from sola.report.timeline import timeline
from sola.video.files import find_videos
from sola.video.key_frames import key_frames

log = logging.getLogger(__name__)

Runs = tuple[Path, Path | None]
"""Run of the detector, and of a detector of nouns if they are paired."""
KEY_FRAMES = 8
"""Number of frames in a timeline."""
KEY_FRAME_HEIGHT = 144
"""Height of a frame in a timeline (pixels)."""


@dataclasses.dataclass(frozen=True)
class Target:
    """The file of detections to write."""

    out: Path
    overwrite: bool
    quiet: bool

    @property
    def workspace(self) -> Storage:
        """Folder of intermediate results, from which a stopped command resumes."""
        return Storage.of(self.out.parent) / f".{self.out.name}.partial"

    def must_be_new(self, also: Path | None, kind: str) -> None:
        """Raise SolaError if an output exists and --overwrite was not passed."""
        for path in filter(None, (self.out, also)):
            if not self.overwrite and Storage.of(path.parent).has(path.name):
                place = options.place_of(path)
                raise SolaError(f"{place}: exists already; choose another {kind}, or pass --overwrite")

    def write(
        self, detected: VideoDetections, classes: tuple[str, ...], unreadable: Mapping[str, str], also: str = ""
    ) -> None:
        """Write the detections, delete the workspace, and log the counts."""
        write_segments(self.out, detected.detections, classes)
        self.workspace.delete()
        options.report_skipped(unreadable, detected.skipped)
        detections = counted(sum(map(len, detected.detections.values())), "detection")
        videos = counted(len(detected.detections), "video")
        log.info("%s: %s in %s%s", options.place_of(self.out), detections, videos, also)


def detect_in_features(
    runs: Runs,
    sources: tuple[Path, ...],
    target: Target,
    chosen: FeatureOptions,
    reading: options.Reading,
    timing: options.Timing,
    execution: options.Execution,
    device: Device,
) -> None:
    """Detect on this machine or a cluster, and write detections and proposals."""
    if chosen.test_subset is not None and chosen.annotations is None:
        raise SolaError(f"--test-subset {chosen.test_subset}: needs --annotations, which list its videos")
    if chosen.proposals is not None and chosen.proposals.absolute() == target.out.absolute():
        raise SolaError(f"--proposals {chosen.proposals}: is --out too; name another file")
    places = (*runs, *sources, target.out, chosen.proposals, chosen.annotations, chosen.classifier)
    executor = execution.executor_for(*places)
    target.must_be_new(chosen.proposals, "file")
    detector = load_detectors(runs)
    must_know_classes(runs[0], detector, chosen.classifier)
    features = reading.open_stored(sources, timing.given())
    annotations, scores = None, None
    if chosen.annotations is not None:
        with Storage.of(chosen.annotations.parent).fetched(chosen.annotations.name) as folder:
            annotations = read_annotations(folder / chosen.annotations.name, chosen.label_key)
    subset = None if annotations is None else chosen.test_subset or "validation"
    data = match_features(features, annotations, subset=subset, id_prefix=reading.id_prefix)
    if chosen.classifier is not None:
        ids = [video.id for video in data.videos]
        with Storage.of(chosen.classifier.parent).fetched(chosen.classifier.name) as folder:
            scores = read_classifier(folder / chosen.classifier.name, ids, detector.classes)
    workspace, combine = target.workspace, chosen.combine
    job = DetectJob(detector, data, workspace, scores=scores, combine=combine, device=device, executor=executor)
    if isinstance(data, Dataset):
        options.report_data(data.summary.plus(*unknown_classes(data, detector.trained_classes or detector.classes)))
    with progress_bar("detect", total=len(data.videos), quiet=target.quiet) as bar:
        detected = job.detect(skip_bad=reading.skip_bad, progress=lambda done, total, snippets: bar.update(done, total))
    if chosen.proposals is not None:
        unlabeled = {
            video: dataclasses.replace(segments, label=np.zeros_like(segments.label))
            for video, segments in detected.proposals.items()
        }
        write_segments(chosen.proposals, unlabeled, (UNLABELED,))
    target.write(detected, detector.classes, data.features.unreadable)


def load_detectors(runs: Runs) -> TrainedDetector:
    """Load the detector of a run, or the pair of two. Raises SolaError that names the runs if they do not fit."""
    run, nouns = runs
    detector = load_detector(run)
    if nouns is None:
        return detector
    other = load_detector(nouns)
    try:
        return pair_detectors(detector, other)
    except SolaError as error:
        raise SolaError(f"{run} --nouns {nouns}: {error}") from None


def must_know_classes(run: Path, detector: TrainedDetector, classifier: Path | None) -> None:
    """Raise SolaError unless exactly one of detector and classifier predicts the classes."""
    if classifier is not None and detector.config.predicts_classes:
        raise SolaError(f"--classifier {classifier}: the detector of {run} predicts classes itself")
    if classifier is None and detector.classifier is None and not detector.config.predicts_classes:
        raise SolaError(f"{run}: has no snippet classifier; name a file of class scores with --classifier")


def write_segments(place: Path, segments: Mapping[str, Segments], classes: tuple[str, ...]) -> None:
    """Write segments by video to a local path or an object store."""
    with Storage.of(place.parent).writing(place.name) as path:
        write_detections(path, segments, classes)


def detect_in_videos(
    runs: Runs,
    sources: tuple[Path, ...],
    target: Target,
    chosen: VideoOptions,
    decoding: options.Decoding,
    device: Device,
    reading: options.Reading,
) -> None:
    """Extract, transform and detect; write the detections, and a timeline of each video."""
    pictures = target.out.with_suffix("") if chosen.pictures else None
    if pictures == target.out:
        raise SolaError(f"--out {target.out}: needs a suffix, such as .json; its pictures go to the name without")
    target.must_be_new(pictures, "place")
    videos = find_videos(sources, reading.id_from)
    detector = load_detectors(runs)
    chain = rebuild_chain(detector, device, encoder=chosen.encoder, modules=chosen.modules)
    classes = detector.classes or (UNLABELED,)
    with progress_bar(quiet=target.quiet) as bar:
        detected = predict(
            videos,
            chain,
            target.workspace,
            batch=decoding.batch_size,
            skip_bad=reading.skip_bad,
            device=device,
            executor=Threads(decoding.jobs),
            progress=lambda step, done, total, snippets: bar.update(done, total, line=step),
        )
        if pictures is not None:
            draw(pictures, videos, detected, classes)
    target.write(detected, classes, {}, "" if pictures is None else f", pictures in {pictures}")


def draw(folder: Path, videos: Mapping[str, StoredFile], detected: VideoDetections, classes: tuple[str, ...]) -> None:
    """Draw the timeline of every video."""
    for video, detections in detected.detections.items():
        duration = detected.durations[video]
        middles = [(number + 0.5) * duration / KEY_FRAMES for number in range(KEY_FRAMES)]
        frames = key_frames(Path(videos[video].location), middles, KEY_FRAME_HEIGHT)
        write_plot(folder / file_of(video, ".png"), timeline(video, duration, frames, detections, classes), dpi=120)
