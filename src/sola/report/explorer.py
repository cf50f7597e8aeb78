"""Data of the page's explorer: annotated segments, detections and similarity maps of a few videos."""

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
from sola.data.dataset import Dataset, Video
from sola.data.detections import Detections
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.evaluation.similarity import cosine_map
from sola.report.material import FeatureView, Material

MOST_DETECTIONS = 100
"""Detections of a run in a video; the best ones are shown."""
MOST_CELLS = 200
"""Rows of a similarity map; snippets of longer videos are averaged."""
FEWEST_CELLS = 48
MAP_BYTES = 2_500_000
"""Size of all maps together, before base64 encoding."""


@dataclass(frozen=True)
class Explorer:
    """What the page's explorer reads."""

    data: Mapping[str, Any]
    """Plain values for JSON."""
    left_out: int
    """Videos that are not on the page."""

    @property
    def cut_at(self) -> int | None:
        """`MOST_DETECTIONS` if a run has more than so many in a video."""
        found = [one for video in self.data["videos"] for one in video["found"] if one is not None]
        return MOST_DETECTIONS if any(one["left_out"] for one in found) else None

    @property
    def shown(self) -> int:
        """Videos on the page."""
        return len(self.data["videos"])


def explore(material: Material, *, videos: int) -> Explorer:
    """Gather the data of up to `videos` videos, evenly spaced over the sorted ids; those in every source come first.

    Raises SolaError if detections or features and annotations have no video in common, or a feature file is bad.
    """
    at_least(1, videos=videos)
    annotations = material.annotations
    records = {} if annotations is None else dict(annotations.subset(material.subset).videos)
    detections = {
        name: _by_video(one, annotations, material.id_prefix, f"detections of {name}")
        for name, one in material.detections.items()
    }
    data = {}
    for name, view in material.views.items():
        try:
            data[name] = Dataset.open(view.features, annotations, id_prefix=material.id_prefix)
        except SolaError as error:
            raise SolaError(f"{name}: {error}") from None
        material.notes += [f"{name}: {finding}." for finding in data[name].findings]
    features = {name: {video.id: video for video in one.videos} for name, one in data.items()}
    sources = [own.keys() for own in detections.values()] + [own.keys() for own in features.values()]
    candidates = _candidates(sources, records.keys() if annotations is not None else None)
    if not candidates:
        raise SolaError(
            f"subset {material.subset!r}: neither detections nor features have a video of it; "
            "name another with --test-subset"
        )
    chosen = spread(candidates, videos)
    classes = {} if annotations is None else {name: index for index, name in enumerate(annotations.classes)}
    side = cells_a_map(len(chosen) * max(1, len(features)))
    shown = []
    for video in chosen:
        record = records.get(video)
        maps = [_map(view, data[name], features[name].get(video), side) for name, view in material.views.items()]
        found = [_found(one.get(video), material.detections[name].classes, classes) for name, one in detections.items()]
        shown.append(
            {
                "id": video,
                "duration": _duration(record, maps, found),
                "truth": None if record is None else _segments(record.segments, annotations.classes, classes),  # type: ignore[union-attr]
                "found": found,
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
    """Rows that each of so many maps may have."""
    return max(FEWEST_CELLS, min(MOST_CELLS, math.isqrt(2 * MAP_BYTES // max(1, maps))))


def spread(videos: Sequence[str], count: int) -> list[str]:
    """At most `count` of the videos, evenly spaced.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    positions = np.linspace(0, len(videos) - 1, min(count, len(videos))).round().astype(int)
    return [videos[position] for position in np.unique(positions)]


def _candidates(sources: Sequence[Collection[str]], allowed: Collection[str] | None) -> list[str]:
    """Sorted ids of the videos in every source, or of those in any source if none is in all."""
    sets = [set(source) if allowed is None else set(source) & set(allowed) for source in sources]
    return sorted(set.intersection(*sets) or set.union(*sets)) if sets else []


def _by_video(
    detections: Detections, annotations: Annotations | None, id_prefix: str | None, what: str
) -> dict[str, Segments]:
    """Each video's detections, best first, by annotated id if there are annotations."""
    table = detections.table
    order = np.lexsort((-table.score, table.video))
    bounds = np.searchsorted(table.video[order], np.arange(1, len(detections.videos)))
    videos = dict(zip(detections.videos, map(table.take, np.split(order, bounds)), strict=False))
    if annotations is None:
        return dict(videos)
    matched = match_videos(detections.videos, annotations.videos, id_prefix, what).videos
    return {theirs: videos[ours] for ours, theirs in matched.items()}


def _found(segments: Segments | None, names: Sequence[str], classes: dict[str, int]) -> dict[str, Any] | None:
    """The best detections of one run in a video; None if it lacks the video."""
    if segments is None:
        return None
    best = segments.take(slice(0, MOST_DETECTIONS))
    scores = [float(f"{score:.4g}") for score in best.score.tolist()]
    return _segments(best, names, classes) | {"score": scores, "left_out": len(segments) - len(best)}


def _segments(segments: Segments, names: Sequence[str], classes: dict[str, int]) -> dict[str, Any]:
    """Segments as columns; new classes are added to `classes`, which numbers them."""
    return {
        "start": segments.start.round(2).tolist(),
        "end": segments.end.round(2).tolist(),
        "label": [classes.setdefault(names[label], len(classes)) for label in segments.label.tolist()],
    }


def _map(view: FeatureView, data: Dataset, video: Video | None, side: int) -> dict[str, Any] | None:
    """A video's similarity map and the seconds that it spans, or 0 to 0 without timing; None without features."""
    if video is None:
        return None
    array = np.asarray(view.through(data.read(video)))
    begin, end = (0.0, 0.0) if video.timing is None else (video.timing.edge(0), video.timing.edge(video.length))
    return {"begin": round(begin, 3), "end": round(end, 3), "snippets": len(array), **packed(cosine_map(array, side))}


def packed(values: Float[np.ndarray, "side side"]) -> dict[str, Any]:
    """A map's upper half, row by row, in 256 levels between its least and its greatest value.

    `dark` and `bright` are the ends of the color scale: the 1st and the 99th percentile off the diagonal.
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
    record: VideoAnnotation | None, maps: Sequence[dict[str, Any] | None], found: Sequence[dict[str, Any] | None]
) -> float:
    """Length of the time axis in seconds: the video's, or the last end of anything in it."""
    if record is not None and record.duration is not None:
        return round(record.duration, 2)
    ends = [one["end"] for one in maps if one is not None]
    ends += [max(one["end"], default=0.0) for one in found if one is not None]
    ends += record.segments.end.tolist() if record is not None else []
    return round(max(ends, default=0.0), 2) or 1.0
