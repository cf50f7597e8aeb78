"""Data of the explorer: annotated segments, detections and similarity maps of a few videos."""

import base64
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.dataset_video import Video
from sola.data.detections import Detections
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.evaluation.similarity import cosine_map
from sola.report.material import FeatureView, Material

MOST_DETECTIONS = 100
"""Maximum number of detections per run and video; the highest scores are shown."""
MOST_CELLS = 200
"""Maximum number of rows of a similarity map; snippets of longer videos are averaged."""
FEWEST_CELLS = 48
"""Minimum number of rows to which maps are shrunk to fit `MAP_BYTES`."""
MAP_BYTES = 2_500_000
"""Target total size of all maps (bytes), before base64 encoding."""


@dataclass(frozen=True)
class Explorer:
    """Data for the explorer on the page."""

    data: Mapping[str, Any]
    """JSON-serializable content."""
    left_out: int
    """Number of videos that are not on the page."""

    @property
    def cut_at(self) -> int | None:
        """`MOST_DETECTIONS` if any run has more detections than that in a video, else None."""
        detections = [table for video in self.data["videos"] for table in video["found"] if table is not None]
        return MOST_DETECTIONS if any(table["left_out"] for table in detections) else None

    @property
    def shown(self) -> int:
        """Number of videos on the page."""
        return len(self.data["videos"])


def explore(material: Material, *, videos: int) -> Explorer:
    """Collect the data of up to `videos` videos, evenly spaced over the sorted ids.

    Uses videos present in all sources, or in any source if there are none. Raises SolaError if detections or features
    have no video in common with the annotations, or a feature file is bad.
    """
    at_least(1, videos=videos)
    annotations = material.annotations
    records = {} if annotations is None else dict(annotations.subset(material.subset).videos)
    detections = {
        name: _by_video(each, annotations, material.id_prefix, f"detections of {name}")
        for name, each in material.detections.items()
    }
    data = {}
    for name, view in material.views.items():
        try:
            data[name] = Dataset.open(view.features, annotations, id_prefix=material.id_prefix)
        except SolaError as error:
            raise SolaError(f"{name}: {error}") from None
        material.notes += [f"{name}: {finding}." for finding in data[name].findings]
    features = {name: {video.id: video for video in each.videos} for name, each in data.items()}
    sources = [each.keys() for each in detections.values()] + [each.keys() for each in features.values()]
    candidates = _candidates(sources, records.keys() if annotations is not None else None)
    if not candidates:
        raise SolaError(
            f"subset {material.subset!r}: detections and features have none of its videos; "
            "choose another subset with --test-subset"
        )
    chosen = spread(candidates, videos)
    classes = {} if annotations is None else {name: index for index, name in enumerate(annotations.classes)}
    side = cells_a_map(len(chosen) * max(1, len(features)))
    shown = []
    for video in chosen:
        record = records.get(video)
        maps = [_map(view, data[name], features[name].get(video), side) for name, view in material.views.items()]
        detected = [
            _best(by_video.get(video), material.detections[name].classes, classes)
            for name, by_video in detections.items()
        ]
        shown.append(
            {
                "id": video,
                "duration": _duration(record, maps, detected),
                "truth": None if record is None else _segments(record.segments, annotations.classes, classes),  # type: ignore[union-attr]
                "found": detected,
                "maps": maps,
            }
        )
    content = {
        "runs": list(material.detections),
        "features": list(material.views),
        "classes": list(classes),
        "colors": _base64((255 * np.array(matplotlib.colormaps["magma"].colors)).round().astype(np.uint8)),  # type: ignore[attr-defined]
        "videos": shown,
    }
    return Explorer(content, len(candidates) - len(chosen))


def cells_a_map(maps: int) -> int:
    """Return the maximum number of rows per map, given the number of maps."""
    return max(FEWEST_CELLS, min(MOST_CELLS, math.isqrt(2 * MAP_BYTES // max(1, maps))))


def spread(videos: Sequence[str], count: int) -> list[str]:
    """Return at most `count` of the videos, evenly spaced.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    positions = np.linspace(0, len(videos) - 1, min(count, len(videos))).round().astype(int)
    return [videos[position] for position in np.unique(positions)]


def _candidates(sources: Sequence[Collection[str]], allowed: Collection[str] | None) -> list[str]:
    """Return the sorted ids of videos in all sources, or in any source if there are none."""
    sets = [set(source) if allowed is None else set(source) & set(allowed) for source in sources]
    return sorted(set.intersection(*sets) or set.union(*sets)) if sets else []


def _by_video(
    detections: Detections, annotations: Annotations | None, id_prefix: str | None, what: str
) -> dict[str, Segments]:
    """Return each video's detections sorted by descending score, by annotated id if there are annotations."""
    table = detections.table
    order = np.lexsort((-table.score, table.video))
    bounds = np.searchsorted(table.video[order], np.arange(1, len(detections.videos)))
    videos = dict(zip(detections.videos, map(table.take, np.split(order, bounds)), strict=False))
    if annotations is None:
        return dict(videos)
    matched = match_videos(detections.videos, annotations.videos, id_prefix, what).videos
    return {annotated: videos[detected] for detected, annotated in matched.items()}


def _best(segments: Segments | None, names: Sequence[str], classes: dict[str, int]) -> dict[str, Any] | None:
    """Return the detections of one run in a video with the highest scores, or None if the run lacks the video."""
    if segments is None:
        return None
    best = segments.take(slice(0, MOST_DETECTIONS))
    scores = [float(f"{score:.4g}") for score in best.score.tolist()]
    return _segments(best, names, classes) | {"score": scores, "left_out": len(segments) - len(best)}


def _segments(segments: Segments, names: Sequence[str], classes: dict[str, int]) -> dict[str, Any]:
    """Return segments as columns. Adds new class names to `classes`, which maps names to indices."""
    return {
        "start": segments.start.round(2).tolist(),
        "end": segments.end.round(2).tolist(),
        "label": [classes.setdefault(names[label], len(classes)) for label in segments.label.tolist()],
    }


def _map(view: FeatureView, data: Dataset, video: Video | None, side: int) -> dict[str, Any] | None:
    """Return a video's similarity map and its start and end (seconds, 0 without timing); None without features."""
    if video is None:
        return None
    array = np.asarray(view.through(data.read(video)))
    begin, end = (0.0, 0.0) if video.timing is None else (video.timing.edge(0), video.timing.edge(video.length))
    return {"begin": round(begin, 3), "end": round(end, 3), "snippets": len(array), **packed(cosine_map(array, side))}


def packed(values: Float[np.ndarray, "side side"]) -> dict[str, Any]:
    """Encode the upper triangle of a map, row by row, in 256 levels between its minimum and maximum.

    `dark` and `bright` are the ends of the color scale: the 1st and 99th percentile off the diagonal.
    """
    side = len(values)
    least, greatest = float(values.min()), float(values.max())
    scale = 255 / (greatest - least) if greatest > least else 0.0
    levels = ((values[np.triu_indices(side)] - least) * scale).round().astype(np.uint8)
    off_diagonal = values[~np.eye(side, dtype=bool)]
    dark, bright = np.percentile(off_diagonal, [1, 99]) if side > 1 else (least, greatest)
    return {
        "side": side,
        "least": round(least, 5),
        "greatest": round(greatest, 5),
        "dark": round(float(dark), 5),
        "bright": round(float(bright), 5),
        "cells": _base64(levels),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _duration(
    record: VideoAnnotation | None, maps: Sequence[dict[str, Any] | None], detected: Sequence[dict[str, Any] | None]
) -> float:
    """Return the length of the time axis (seconds): the video duration if known, else the last end of its content."""
    if record is not None and record.duration is not None:
        return round(record.duration, 2)
    ends = [similarity["end"] for similarity in maps if similarity is not None]
    ends += [max(detections["end"], default=0.0) for detections in detected if detections is not None]
    ends += record.segments.end.tolist() if record is not None else []
    return round(max(ends, default=0.0), 2) or 1.0
