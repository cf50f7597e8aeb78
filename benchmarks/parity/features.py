"""Features and annotations for both programs."""

from pathlib import Path

import numpy as np

from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest

FEATURES, ANNOTATIONS = "features", "annotations.json"


def write(data: Dataset, snippets: int, folder: Path) -> Dataset:
    """Write float32 means of every `snippets` snippets, and annotations with class ids. Return the data set."""
    (folder / FEATURES).mkdir(parents=True)
    database = {}
    grid = data.videos[0].grid
    for video in data.videos:
        assert video.grid == grid, "the authors' programs need the same frame rate for all videos"
        values = data.read(video).astype(np.float32)
        length = len(values) // snippets
        means = values[: length * snippets].reshape(length, snippets, -1).mean(axis=1)
        np.save(folder / FEATURES / f"{video.id}.npy", means)
        database[video.id] = {
            "subset": video.subset,
            "fps": grid.fps,
            "duration": video.duration or video.grid.edge(video.length),
            "annotations": [
                {"segment": [start, end], "label": data.classes[label], "label_id": label}
                for start, end, label in zip(
                    *(column.tolist() for column in (video.segments.start, video.segments.end, video.segments.label)),
                    strict=True,
                )
            ],
        }
    stride, window = grid.stride * snippets, grid.stride * (snippets - 1) + grid.window
    Manifest(fps=grid.fps, stride=stride, window=window).write(folder / FEATURES)
    write_json(folder / ANNOTATIONS, {"database": database})
    return Dataset.open(folder / FEATURES, folder / ANNOTATIONS)
