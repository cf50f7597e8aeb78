"""The job of `sola detect` on features: detect actions with a trained detector."""

import hashlib
import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.torch import save

from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.class_scores import VideoScores
from sola.data.dataset import Dataset
from sola.data.dataset_video import Video
from sola.data.journal import JobFolder, Report, Row
from sola.data.segments import Segments
from sola.detectors.detect import VIDEOS_AT_A_TIME, classify_proposals, propose
from sola.detectors.trained import CONFIG, WEIGHTS, TrainedDetector
from sola.pipeline.executors import ONE_AT_A_TIME, Executor, Progress, Threads, VideoJob, no_progress, run_job
from sola.pipeline.stored_features import Data, StoredDataset
from sola.video.errors import BadVideo

Columns = list[list[float]]
"""Start, end, label and score of segments."""


@dataclass(frozen=True)
class VideoDetections:
    """Results by video id in the annotations, or in the features if there are no annotations."""

    detections: dict[str, Segments]
    """Detections with classes (seconds), sorted by descending score."""
    proposals: dict[str, Segments]
    """Proposals with label 0 (seconds); for a detector with classes, the detections."""
    skipped: dict[str, str]
    """Reason for each skipped video."""
    durations: dict[str, float] = field(default_factory=dict)
    """Duration of each video (seconds), if the input was video files."""


class DetectJob(VideoJob):
    """Detect actions in groups of videos; the journal has one row per group, with the id of its first video.

    Args:
        detector: trained detector.
        data: videos with features of the same kind as the training features.
        workspace: folder for the journal, from which a stopped job continues.
        scores: class scores of an external video classifier, for a detector without classes.
        combine: "product" multiplies the scores of proposal and class; "sqrt" takes the square root of the product.
        device: device to run on.
        executor: executor of the job.
    """

    def __init__(
        self,
        detector: TrainedDetector,
        data: Data,
        workspace: Path | str | Storage,
        *,
        scores: VideoScores | None = None,
        combine: Literal["product", "sqrt"] = "product",
        device: Device = "auto",
        executor: Executor = ONE_AT_A_TIME,
    ) -> None:
        if isinstance(data, Dataset):
            detector.check_compatible(data.features.manifest)
            detector.check_timing(data)
        self._detector, self._data, self._executor = detector, data, executor
        self._scores, self._combine, self._device = scores, combine, device
        self._feature_ids = {video.id: video.feature_id for video in data.videos}
        group = VIDEOS_AT_A_TIME if isinstance(executor, Threads) and isinstance(data, Dataset) else 1
        timing: object = [[video.duration, repr(video.timing)] for video in data.videos if isinstance(video, Video)]
        if isinstance(data, StoredDataset):
            timing = [dict(data.features.timing), repr(data.annotations)]
        ids = list(self._feature_ids)
        self._groups = {ids[start]: ids[start : start + group] for start in range(0, len(ids), group)}
        self.videos = tuple(self._groups)
        description = {
            "command": "sola detect",
            "detector": _fingerprint(detector),
            "features": data.features.locations,
            "videos": _digest([self._feature_ids, timing]),
            "scores": _digest(None if scores is None else [scores.videos, scores.classes, scores.scores.tolist()]),
            "combine": combine,
            "group": group,
        }
        self.folder = JobFolder.open(workspace, description, overwrite=True)

    def pending(self) -> list[str]:
        """Return the first video of each group that is not finished or has changed files."""
        return [first for first in self.videos if self.folder.rows.get(first, {}).get("read") != self._state(first)]

    def run(self, video: str, report: Report) -> Row:
        """Detect actions in the group that starts with `video`."""
        source, group = self._data, self._groups[video]
        try:
            with nullcontext(source.only(group)) if isinstance(source, Dataset) else source.fetched(video) as data:
                columns, skipped = self._detected(data)
        except SolaError as error:
            raise BadVideo(str(error)) if isinstance(source, StoredDataset) else error from None
        return {"video": video, "read": self._state(video), "detections": columns, "skipped": skipped}

    def detect(self, *, skip_bad: bool = False, progress: Progress = no_progress) -> VideoDetections:
        """Run the job and return the results of all videos, in the order of the data; see `run_job`.

        Raises:
            SolaError: if a video is bad, the features do not match the training features, or no video is left.
        """
        total = len(self._feature_ids)

        def in_videos(done: float, groups: int, snippets: int) -> None:
            progress(done * total / groups, total, snippets)

        skipped = run_job(self, self._executor, skip_bad=skip_bad, progress=in_videos)
        columns: dict[str, list[Columns]] = {}
        for first in self.videos:
            row = self.folder.rows[first]
            if "detections" in row:
                columns |= row["detections"]
                skipped |= row["skipped"]
        if self.videos and not columns:
            raise SolaError(f"{next(iter(skipped.values()))}; none of {total} videos is left")
        order = [video for video in self._feature_ids if video in columns]
        detections, proposals = ({video: _segments(columns[video][which]) for video in order} for which in (-1, 0))
        return VideoDetections(detections, proposals, skipped)

    def _detected(self, data: Dataset) -> tuple[dict[str, list[Columns]], dict[str, str]]:
        """Return proposals and detections by video, once if they are the same, and reasons for skipped videos."""
        bad: dict[str, str] = {}
        try:
            proposals = propose(self._detector, data, device=self._device, skipped=bad)
        except SolaError:
            if not data.features.skip_bad or len(bad) < len(data):
                raise
            proposals = {}  # other groups may have good videos
        detections = proposals
        if not self._detector.config.predicts_classes and (self._scores or self._detector.classifier):
            detections = classify_proposals(self._detector, data, proposals, scores=self._scores, combine=self._combine)
        kinds = (proposals,) if detections is proposals else (proposals, detections)
        return {video: [_columns(kind[video]) for kind in kinds] for video in proposals}, bad

    def _state(self, first: str) -> list[list[list[int]]]:
        return [self._data.features.state(self._feature_ids[video]) for video in self._groups[first]]


def load_detector(run: Path | str | Storage) -> TrainedDetector:
    """Load the detector of a local or stored run. Raises SolaError if it is not a finished run."""
    with Storage.of(run).fetched(CONFIG, WEIGHTS) as folder:
        return TrainedDetector.load(folder)


def _fingerprint(detector: TrainedDetector) -> str:
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.model.state_dict().items()}
    classifier = detector.classifier
    rest = [classifier.weight.tolist(), classifier.bias.tolist()] if classifier is not None else []
    return hashlib.sha256(save(weights) + _digest([repr(detector.config), detector.classes, rest]).encode()).hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _columns(segments: Segments) -> Columns:
    return [getattr(segments, name).tolist() for name in ("start", "end", "label", "score")]


def _segments(columns: Columns) -> Segments:
    start, end, label, score = columns
    return Segments(np.array(start, float), np.array(end, float), np.array(label, int), np.array(score, float))
