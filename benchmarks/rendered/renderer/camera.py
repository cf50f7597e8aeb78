"""A perspective camera, still or drifting, as a function of time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rendered.renderer.curves import Noise

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Views:
    """What a camera sees at several times, one row a frame; rows of `axes` are right, down and ahead."""

    center: Float[np.ndarray, "frames 3"]
    """Where the camera is, in meters."""
    axes: Float[np.ndarray, "frames 3 3"]
    focal: Float[np.ndarray, " frames"]
    """Focal length, in heights of the picture."""

    def see(
        self, points: Float[np.ndarray, "frames points 3"]
    ) -> tuple[Float[np.ndarray, "frames points 2"], Float[np.ndarray, "frames points"]]:
        """Return where points appear, in heights of the picture from its middle, and their depth in meters."""
        seen = (points - self.center[:, None]) @ self.axes.transpose(0, 2, 1)
        depth = np.maximum(seen[..., 2], 0.1)
        return self.focal[:, None, None] * seen[..., :2] / depth[..., None], depth

    def plane(
        self, frame: int, origin: Float[np.ndarray, " 3"], *spans: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "3 3"]:
        """Return the homography that takes (a, b, 1) to where origin + a·spans[0] + b·spans[1] appears."""
        world = np.stack([*spans, origin - self.center[frame]], axis=1)
        return np.diag([self.focal[frame], self.focal[frame], 1.0]) @ self.axes[frame] @ world


class Camera:
    """A camera on a tripod, or one that sways, pans and zooms slowly."""

    def __init__(self, azimuth: float, height: float, moving: bool, generator: np.random.Generator) -> None:
        """Look at the origin from an azimuth (radians) and a height (meters); the rest is drawn."""
        distance, shown = generator.uniform(4.2, 6.0), generator.uniform(2.55, 3.5)
        self._center = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
        self._target = np.array([*generator.normal(0, 0.06, 2), generator.uniform(0.88, 1.0)])
        self._focal = float(np.linalg.norm(self._center - self._target)) / shown
        self._noise = Noise(8, 0.02, 0.25, generator)
        #           center (m)        target (m)         roll  log of the focal length
        amounts = [0.16, 0.16, 0.08, 0.10, 0.10, 0.06, 0.02, 0.09]
        self._strength = np.array(amounts) * (generator.uniform(0.6, 1.4) if moving else 0.0)

    def at(self, seconds: Float[np.ndarray, " frames"]) -> Views:
        """Return the views at times in seconds."""
        drift = self._strength * self._noise(seconds)
        center = self._center + drift[:, 0:3]
        ahead = _unit(self._target + drift[:, 3:6] - center)
        right = _unit(np.cross(ahead, UP))
        down = np.cross(ahead, right)
        cosine, sine = np.cos(drift[:, 6:7]), np.sin(drift[:, 6:7])
        axes = np.stack([cosine * right + sine * down, cosine * down - sine * right, ahead], axis=1)
        return Views(center, axes, self._focal * np.exp(drift[:, 7]))


def _unit(vectors: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
