"""The explorer's data: annotated segments, detections and similarity maps of a few videos, small enough for a page."""

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
from sola.data.annotations import VideoAnnotation
from sola.data.dataset import Dataset, Video
from sola.data.detections import Detections
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.evaluation.similarity import cosine_map
from sola.report.material import FeatureView, Material

MOST_DETECTIONS = 100
"""Of a run in a video, the best; how many are left out is said."""
MOST_CELLS = 200
"""Rows of a similarity map; of longer videos stretches of snippets are averaged."""
FEWEST_CELLS = 48
MAP_BYTES = 2_500_000
"""What all maps together may take, before they are written as base64."""


@dataclass(frozen=True)
class Explorer:
    """What the page's explorer reads."""

    data: Mapping[str, Any]
    """Plain values for JSON."""
    left_out: int
    """Videos that there is something of and that are not on the page."""

    @property
    def cut_at(self) -> int | None:
        """How many detections of a run in a video are on the page, where there are more of them."""
        found = [one for video in self.data["videos"] for one in video["found"] if one is not None]
        return MOST_DETECTIONS if any(one["left_out"] for one in found) else None

    @property
    def shown(self) -> int:
        """Videos on the page."""
        return len(self.data["videos"])


def explore(material: Material, *, videos: int) -> Explorer:
    """Choose up to `videos` videos, evenly over the sorted ids, and gather what there is of each.

    Preferred are those of which every source has something.

    Raises:
        SolaError: when detections or features and annotations have no video in common, or a feature file is bad.
    """
    at_least(1, videos=videos)
    annotations = material.annotations
    records = {} if annotations is None else dict(annotations.subset(material.subset).videos)
    everything = None if annotations is None else annotations.videos
    detections = {
        name: _matched(one.videos, everything, material.id_prefix, f"detections of {name}")
        for name, one in material.detections.items()
    }
    data = {name: _dataset(name, view, material) for name, view in material.views.items()}
    features = {name: {video.id: video for video in one.videos} for name, one in data.items()}
    sources = [own.keys() for own in detections.values()] + [own.keys() for own in features.values()]
    candidates = _candidates(sources, records.keys() if annotations is not None else None)
    if not candidates:
        raise SolaError(
            f"subset {material.subset!r}: neither detections nor features have a video of it; "
            "name another with --test-subset"
        )
    chosen = spread(candidates, videos)
    classes = _Classes(() if annotations is None else annotations.classes)
    tables = {name: _by_video(one) for name, one in material.detections.items()}
    side = cells_a_map(len(chosen) * max(1, len(features)))
    shown = []
    for video in chosen:
        record = records.get(video)
        maps = [_map(view, data[name], features[name].get(video), side) for name, view in material.views.items()]
        found = [
            _found(material.detections[name], tables[name].get(detections[name].get(video, "")), classes)
            for name in material.detections
        ]
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
        "classes": classes.names,
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


class _Classes:
    """Names of classes in the order in which they come; the page knows them by number."""

    def __init__(self, names: Sequence[str]) -> None:
        self._index = {name: index for index, name in enumerate(names)}

    @property
    def names(self) -> list[str]:
        return list(self._index)

    def index(self, name: str) -> int:
        return self._index.setdefault(name, len(self._index))


def _matched(
    videos: Collection[str], annotated: Mapping[str, VideoAnnotation] | None, id_prefix: str | None, what: str
) -> dict[str, str]:
    """The ids of one source by those that the page calls videos by: the annotated ones, where there are any."""
    if annotated is None:
        return {video: video for video in videos}
    matched = match_videos(videos, annotated, id_prefix, what).videos
    return {theirs: ours for ours, theirs in matched.items()}


def _candidates(sources: Sequence[Collection[str]], allowed: Collection[str] | None) -> list[str]:
    """Sorted ids of the videos of which every source has something, or else of those of which any has."""
    sets = [set(source) if allowed is None else set(source) & set(allowed) for source in sources]
    return sorted(set.intersection(*sets) or set.union(*sets)) if sets else []


def _by_video(detections: Detections) -> dict[str, Segments]:
    """Each video's detections, best first."""
    table = detections.table
    order = np.lexsort((-table.score, table.video))
    bounds = np.searchsorted(table.video[order], np.arange(len(detections.videos) + 1))
    split = zip(detections.videos, bounds, bounds[1:], strict=False)
    return {video: table.take(order[begin:end]) for video, begin, end in split}


def _found(detections: Detections, segments: Segments | None, classes: _Classes) -> dict[str, Any] | None:
    """One run's best detections in a video; None where it has none to tell."""
    if segments is None:
        return None
    best = segments.take(slice(0, MOST_DETECTIONS))
    scores = [float(f"{score:.4g}") for score in best.score.tolist()]
    return _segments(best, detections.classes, classes) | {"score": scores, "left_out": len(segments) - len(best)}


def _segments(segments: Segments, names: Sequence[str], classes: _Classes) -> dict[str, Any]:
    """Segments as columns; seconds to a hundredth."""
    return {
        "start": segments.start.round(2).tolist(),
        "end": segments.end.round(2).tolist(),
        "label": [classes.index(names[label]) for label in segments.label.tolist()],
    }


def _dataset(name: str, view: FeatureView, material: Material) -> Dataset:
    """The features of a view, matched with the annotations where there are some."""
    try:
        return Dataset.open(view.features, material.annotations, id_prefix=material.id_prefix)
    except SolaError as error:
        raise SolaError(f"{name}: {error}") from None


def _map(view: FeatureView, data: Dataset, video: Video | None, side: int) -> dict[str, Any] | None:
    """A video's similarity map and the seconds that it spans; None where there are no features of it.

    Where nothing says when the snippets are, it spans 0 to 0, which the page takes for the whole video.
    """
    if video is None:
        return None
    array = np.asarray(view.through(data.read(video)))
    begin, end = (0.0, 0.0) if video.timing is None else (video.timing.edge(0), video.timing.edge(video.length))
    return {"begin": round(begin, 3), "end": round(end, 3), "snippets": len(array), **packed(cosine_map(array, side))}


def packed(values: Float[np.ndarray, "side side"]) -> dict[str, Any]:
    """A map's upper half, row by row, in 256 levels between its least and its greatest value.

    `dark` and `bright` are the values that the colors go between: the 1st and the 99th percentile off the diagonal.
    Where all is alike, small differences are all there is to see.
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
    """Seconds that the time axis spans: the video's, or as far as anything on it reaches."""
    if record is not None and record.duration is not None:
        return round(record.duration, 2)
    ends = [one["end"] for one in maps if one is not None]
    ends += [max(one["end"], default=0.0) for one in found if one is not None]
    ends += record.segments.end.tolist() if record is not None else []
    return round(max(ends, default=0.0), 2) or 1.0
