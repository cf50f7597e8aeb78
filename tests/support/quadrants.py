"""A cheap encoder: the mean color of each quadrant, averaged over the window."""

import threading
import time

import numpy as np

from sola.video.framing import Framing


class Quadrants:
    name = "quadrants"
    dim = 12
    license = "CC0-1.0"

    def __init__(
        self,
        *,
        window: int = 1,
        stride: int = 1,
        fps: float = 4.0,
        framing: Framing | None = None,
        identity: str = "quadrants",
        pause: float = 0.0,
    ) -> None:
        self.window, self.stride, self.fps, self.identity = window, stride, fps, identity
        self.framing = framing or Framing(16, 24)
        self.pause = pause
        self.batches: list[int] = []
        self.active_calls = 0
        self._lock = threading.Lock()

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        with self._lock:
            self.active_calls += 1
        assert self.active_calls == 1, "called from two threads at once"
        time.sleep(self.pause)
        self.batches.append(len(frames))
        features = by_definition(frames)
        with self._lock:
            self.active_calls -= 1
        return features


def by_definition(frames: np.ndarray) -> np.ndarray:
    """Map frames [batch, window, height, width, 3] to features [batch, 12]."""
    middle_row, middle_column = frames.shape[2] // 2, frames.shape[3] // 2
    parts = [(slice(0, middle_row), slice(0, middle_column)), (slice(0, middle_row), slice(middle_column, None))]
    parts += [(slice(middle_row, None), slice(0, middle_column)), (slice(middle_row, None), slice(middle_column, None))]
    means = [frames[:, :, rows, columns].mean(axis=(1, 2, 3), dtype=np.float64) for rows, columns in parts]
    return np.concatenate(means, axis=1).astype(np.float32)


def quick(device: object) -> Quadrants:
    return Quadrants()


def slow(device: object) -> Quadrants:
    return Quadrants(pause=0.03)
