"""A picture of the benchmark: every class at every level, and film strips of whole videos.

cd benchmarks && python -m rendered.renderer.contact_sheet OUT.png [--seed 0]    (or OUT.jpg, a fifth of the size)
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from rendered.renderer.actions import ACTIONS
from rendered.renderer.trimmed import CLASSES, clips
from rendered.renderer.video import LEVELS
from rendered.renderer.world import VideoSpec, videos
from sola.core.files import replacing

STRIP = 16
"""Pictures in a row."""
Picture = UInt8[np.ndarray, "height width 3"]


def labeled(picture: Picture, text: str, color: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Return the picture with a word in its corner."""
    marked = picture.copy()
    for thickness, shade in ((2, (0, 0, 0)), (1, color)):
        cv2.putText(marked, text, (3, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, shade, thickness, cv2.LINE_AA)
    return marked


def of_classes(seed: int) -> Picture:
    """Every class in a row: one clip at each level, five moments of one cycle."""
    rows = []
    drawn = list(clips(len(CLASSES) * len(LEVELS), seed))
    for label, name in enumerate(CLASSES):
        row: list[Picture] = []
        for clip in drawn[label :: len(CLASSES)]:
            frames = clip.frames(count=5, rate=5 * clip.tempo / ACTIONS[name].period)
            row += [labeled(frame, f"{name} {clip.level}") for frame in frames]
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def of_videos(seed: int) -> Picture:
    """One video of each timeline and level, its pictures evenly spaced over all of it."""
    rows = []
    for timeline in ("long", "short"):
        for level in LEVELS:
            spec = next(videos(level, timeline, {"training": 1}, seed))
            rows.append(strip(spec, np.linspace(0.5, spec.duration - 0.5, STRIP - 1)))
    return np.concatenate(rows)


def strip(spec: VideoSpec, seconds: np.ndarray) -> Picture:
    """A video's pictures at times in seconds, each with what happens in it."""
    row = []
    for second, frame in zip(seconds, spec.open().frames(seconds), strict=True):
        piece = next(piece for piece in spec.pieces if piece.start <= second <= piece.end)
        color = (120, 255, 120) if piece.is_action else (255, 255, 255)
        row.append(labeled(frame, f"{second:.0f}s {piece.what}", color))
    return np.concatenate(row, axis=1)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sheet = np.concatenate([of_classes(given.seed), of_videos(given.seed)])
    quality = (cv2.IMWRITE_JPEG_QUALITY, 70)  # other formats look past it
    encoded = cv2.imencode(given.out.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)[1]
    with replacing(given.out) as aside:
        aside.write_bytes(encoded.tobytes())


if __name__ == "__main__":
    main()
