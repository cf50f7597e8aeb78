"""A perspective camera, fixed or drifting, as a function of time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rendered.curves import Noise

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Views:
    """Camera parameters by frame; the rows of `axes` point right, down and forward."""

    center: Float[np.ndarray, "frames 3"]
    """Camera position (meters)."""
    axes: Float[np.ndarray, "frames 3 3"]
    focal: Float[np.ndarray, " frames"]
    """Focal length (image heights)."""

    def see(
        self, points: Float[np.ndarray, "frames points 3"]
    ) -> tuple[Float[np.ndarray, "frames points 2"], Float[np.ndarray, "frames points"]]:
        """Project points to the image (image heights from the center), and return their depth (meters)."""
        seen = (points - self.center[:, None]) @ self.axes.transpose(0, 2, 1)
        depth = np.maximum(seen[..., 2], 0.1)
        return self.focal[:, None, None] * seen[..., :2] / depth[..., None], depth

    def plane(
        self, frame: int, origin: Float[np.ndarray, " 3"], *spans: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "3 3"]:
        """Return the homography from (a, b, 1) to the projection of origin + a·spans[0] + b·spans[1]."""
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
        """Return the camera parameters at times in seconds."""
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
