"""`sola localize predict` over many machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from sola.core.device import Device
from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.class_scores import VideoScores
from sola.data.dataset import Dataset
from sola.data.segments import Segments
from sola.detectors.detect import detect, name_proposals
from sola.detectors.trained import CONFIG, WEIGHTS, TrainedDetector
from sola.pipeline.ray import Progress, Resources, Work, spread
from sola.pipeline.staging import StoredFeatures, fetched_run
from sola.pipeline.storage import Storage


@dataclass(frozen=True)
class Predicting:
    """What a worker needs to know besides the run and the features."""

    records: Mapping[str, VideoAnnotation | None]
    """The videos by their id in the features."""
    timing: Mapping[str, float]
    """Of features whose manifest does not say when snippets are."""
    scores: VideoScores | None = None
    """Of an external classifier."""
    combine: Literal["product", "sqrt"] = "product"
    device: Device = "auto"
    id_prefix: str | None = None
    """Prefix of the ids on one side only."""


def load_detector(run: Storage) -> TrainedDetector:
    """The detector of a run, here or in an object store. Raises SolaError when it is no finished run."""
    with fetched_run(run, (CONFIG, WEIGHTS)) as folder:
        return TrainedDetector.load(folder)


def predict_on_cluster(
    run: Storage,
    features: StoredFeatures,
    given: Predicting,
    *,
    resources: Resources,
    skip_bad: bool = False,
    progress: Progress = lambda done, total: None,
) -> tuple[dict[str, Segments], dict[str, Segments], dict[str, str]]:
    """Return what the head finds in each video, its detections with classes, and why videos were left out, by id.

    What `detect` and `name_proposals` give. Raises SolaError when a video is bad and `skip_bad` is not set.
    """
    found: dict[str, Segments] = {}
    detections: dict[str, Segments] = {}
    bad: dict[str, str] = {}
    total = len(given.records)
    for one in spread(list(given.records), partial(_worker, run, features, given), resources):
        if one.error is None:
            video = _video(one.video, given.records)
            found[video], detections[video] = (_segments(columns) for columns in one.result)
        elif skip_bad:
            bad[one.video] = one.error
        else:
            raise SolaError(one.error)
        progress(len(found) + len(bad), total)
    if bad and not found:
        raise SolaError(f"{next(iter(bad.values()))}; none of {total} videos is left")
    order = [video for id_ in given.records if (video := _video(id_, given.records)) in found]
    return {video: found[video] for video in order}, {video: detections[video] for video in order}, bad


def _worker(run: Storage, features: StoredFeatures, given: Predicting) -> Work:
    detector = load_detector(run)

    def work(video: str) -> Any:
        record, name = given.records[video], _video(video, given.records)
        annotations = None if record is None else Annotations({name: record}, ())
        with features.fetched(video) as read:
            data = Dataset.open(read, annotations, id_prefix=given.id_prefix, timing=given.timing)
            found = detect(detector, data, device=given.device)
            named = found
            if not detector.config.predicts_classes:
                named = name_proposals(detector, data, found, scores=given.scores, combine=given.combine)
            return [_columns(found[name]), _columns(named[name])]

    return work


def _video(id_: str, records: Mapping[str, VideoAnnotation | None]) -> str:
    """What a video is called in detections."""
    record = records[id_]
    return id_ if record is None else record.video


def _columns(segments: Segments) -> list[list[float]]:
    return [getattr(segments, name).tolist() for name in ("start", "end", "label", "score")]


def _segments(columns: list[list[float]]) -> Segments:
    start, end, label, score = columns
    return Segments(np.array(start, float), np.array(end, float), np.array(label, int), np.array(score, float))
