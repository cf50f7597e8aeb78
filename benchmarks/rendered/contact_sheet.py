"""Overview image of the benchmark: all classes at all levels, and film strips of whole videos.

cd benchmarks && python -m rendered.contact_sheet OUT.png [--seed 0]    (OUT.jpg is five times smaller)
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from rendered.actions import ACTIONS
from rendered.trimmed import CLASSES, clips
from rendered.video import LEVELS
from rendered.world import VideoSpec, videos
from sola.core.files import replacing

STRIP = 16
"""Frames per row."""
Picture = UInt8[np.ndarray, "height width 3"]


def labeled(picture: Picture, text: str, color: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Return the image with a caption in its corner."""
    marked = picture.copy()
    for thickness, shade in ((2, (0, 0, 0)), (1, color)):
        cv2.putText(marked, text, (3, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, shade, thickness, cv2.LINE_AA)
    return marked


def of_classes(seed: int) -> Picture:
    """Return one row per class: one clip per level, with five frames of one cycle."""
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
    """Return one row per timeline and level, with evenly spaced frames of one video."""
    rows = []
    for timeline in ("long", "short"):
        for level in LEVELS:
            spec = next(videos(level, timeline, {"training": 1}, seed))
            rows.append(strip(spec, np.linspace(0.5, spec.duration - 0.5, STRIP - 1)))
    return np.concatenate(rows)


def strip(spec: VideoSpec, seconds: np.ndarray) -> Picture:
    """Return the frames of a video at times in seconds, with captions."""
    row = []
    for second, frame in zip(seconds, spec.open().frames(seconds), strict=True):
        piece = next(piece for piece in spec.pieces if piece.start <= second <= piece.end)
        color = (120, 255, 120) if piece.is_action else (255, 255, 255)
        row.append(labeled(frame, f"{second:.0f}s {piece.what}", color))
    return np.concatenate(row, axis=1)


def main() -> None:
    """Write the image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sheet = np.concatenate([of_classes(given.seed), of_videos(given.seed)])
    quality = (cv2.IMWRITE_JPEG_QUALITY, 70)  # ignored by other formats
    encoded = cv2.imencode(given.out.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)[1]
    with replacing(given.out) as aside:
        aside.write_bytes(encoded.tobytes())


if __name__ == "__main__":
    main()
