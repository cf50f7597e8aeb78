"""Extract features in plain loops, and read the folders that an extraction writes."""

from pathlib import Path
from typing import Any

import numpy as np

from sola.data.journal import JOURNAL, read_rows
from sola.video.decoding import shown_frames
from sola.video.framing import Framing
from sola.video.snippets import offset_of
from support.places import QUADRANTS
from support.quadrants import Quadrants, by_definition

ENCODER = f"{QUADRANTS}:quick"


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the last row of each video in the journal of a folder."""
    return {row["video"]: row for row in read_rows(folder / JOURNAL) if "video" in row}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder except the journal, whose rows have no fixed order."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != JOURNAL}


def slowly(path: Path, encoder: Quadrants, fps: float, stride: int, framing: Framing) -> np.ndarray:
    """Decode all frames, pick those shown at (k + ½) / fps, cut windows, and encode each window separately."""
    shown = [(item.start, item.end, framing(item.frame)) for item in shown_frames(path)]
    frames = []
    while (time := (len(frames) + 0.5) / fps) < shown[-1][1]:
        frames.append(next(array for start, end, array in shown if start <= time < end))
    frames = frames or [shown[-1][2]]
    features = []
    for snippet in range(-(-len(frames) // stride)):
        begin = offset_of(encoder.window, stride) + snippet * stride
        window = [frames[min(max(k, 0), len(frames) - 1)] for k in range(begin, begin + encoder.window)]
        features.append(by_definition(np.stack(window)[None])[0])
    return np.stack(features)
