"""Soft-NMS on a whole validation set compared with a plain loop over videos and picks.

4,728 videos (the size of ActivityNet-1.3's validation set), each with the 5,050 cells of a 100-unit start × duration
map, scaled to its duration. Gaussian decay with σ = .8, 100 detections per video. Scores are products cls·reg·p_s·p_e
of smooth maps around one to four instances ("smooth"), or uniform noise ("uniform"). "filtered" has a random quarter of
the candidates, as after filtering by boundary. The plain loop runs on a few videos and its time is extrapolated to all.
The picks of both are compared.

    python benchmarks/speed/suppression.py [--videos 4728] [--plain 48]
"""

import argparse
import json
import resource
import time

import numpy as np
from scipy.ndimage import gaussian_filter

from sola.data.segments import Segments, temporal_iou
from sola.detectors.postprocess.soft_nms import Gaussian, suppress

UNITS, KEEP, SIGMA = 100, 100, 0.8
STARTS, ENDS = np.array([(i, j) for i in range(UNITS) for j in range(i + 1, UNITS + 1)]).T


def smooth_scores(rng: np.random.Generator) -> np.ndarray:
    """Return scores for one video, like those of a detector with two maps and two boundary curves."""
    instances = int(rng.integers(1, 5))
    start = rng.uniform(0, 0.95, instances)
    end = np.minimum(start + rng.uniform(0.03, 0.8, instances), 1)
    iou = temporal_iou(STARTS / UNITS, ENDS / UNITS, start, end).max(1)
    noise = gaussian_filter(rng.standard_normal((UNITS + 1, UNITS + 1)), 3)[STARTS, ENDS] * 10
    regression = np.clip(0.9 * iou + 0.1 * noise, 0.01, 0.99)
    classification = 1 / (1 + np.exp(-(12 * (iou - 0.6) + noise)))
    at = np.arange(UNITS + 1)[:, None] / UNITS
    curves = [
        np.clip(
            0.7 * np.exp(-(((at - edge) / 0.03) ** 2)).max(1)
            + 0.2 * np.abs(gaussian_filter(rng.standard_normal(UNITS + 1), 2)),
            0.01,
            0.99,
        )
        for edge in (start, end)
    ]
    return classification * regression * curves[0][STARTS] * curves[1][ENDS]


def candidates(videos: int, kind: str) -> list[Segments]:
    rng = np.random.default_rng(0)
    label = np.zeros(len(STARTS), np.int64)
    segments = []
    for _ in range(videos):
        duration = rng.uniform(5, 240)
        score = rng.uniform(size=len(STARTS)) if kind == "uniform" else smooth_scores(rng)
        video = Segments(STARTS / UNITS * duration, ENDS / UNITS * duration, label, score)
        segments.append(video.take(rng.random(len(STARTS)) < 0.25) if kind == "filtered" else video)
    return segments


def plain(video: Segments) -> Segments:
    """Suppress as defined, with one NumPy pass per pick."""
    score = video.score.copy()
    picks, scores = [], []
    for _ in range(min(KEEP, len(video))):
        best = int(score.argmax())
        if score[best] <= 0:
            break
        picks.append(best)
        scores.append(score[best])
        iou = temporal_iou(video.start[[best]], video.end[[best]], video.start, video.end)[0]
        score *= np.exp(-(iou**2) / SIGMA)
        score[best] = 0
    chosen = video.take(np.array(picks, np.int64))
    return Segments(chosen.start, chosen.end, chosen.label, np.array(scores))


def peak() -> float:
    """Return the peak memory of this process so far (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=4728)
    parser.add_argument("--plain", type=int, default=48, help="number of videos for the plain loop")
    options = parser.parse_args()
    rows = {}
    for kind in ("filtered", "uniform", "smooth"):
        videos = candidates(options.videos, kind)
        few = videos[:: max(1, len(videos) // options.plain)][: options.plain]
        began = time.perf_counter()
        expected = [plain(video) for video in few]
        plain_seconds = (time.perf_counter() - began) / len(few) * len(videos)
        before = peak()
        began, began_cpu = time.perf_counter(), time.process_time()
        kept = suppress(videos, Gaussian(SIGMA), max_detections=KEEP, class_aware=False)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        sample = kept[:: max(1, len(videos) // options.plain)][: options.plain]
        rows[kind] = {
            "candidates a video": round(sum(map(len, videos)) / len(videos)),
            "plain seconds, extrapolated": round(plain_seconds, 2),
            "sola seconds": round(seconds, 2),
            "sola CPU seconds (one thread)": round(cpu_seconds, 2),
            "times faster": round(plain_seconds / seconds, 1),
            "largest difference of a score": max(
                float(np.abs(a.score - b.score).max()) for a, b in zip(expected, sample, strict=True)
            ),
            "same picks": all(np.array_equal(a.start, b.start) for a, b in zip(expected, sample, strict=True)),
            "peak MiB before, after": [round(before), round(peak())],
        }
        del videos, few, kept, sample
    note = f"plain ran on {options.plain} of {options.videos} videos"
    print(json.dumps({"videos": options.videos, "note": note, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
