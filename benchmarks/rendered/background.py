"""Motions between actions: standing, with short gestures that resemble actions, and walking."""

import numpy as np
from jaxtyping import Float

from rendered.actions import GUARD, HANDS_ON_HIPS, STAND
from rendered.curves import Cycle, Noise, shares
from rendered.skeleton import PLACE, POSE, angles, mirrored

STANCES = {
    "relaxed": angles(**STAND),
    "weight_on_one_leg": angles(**{**STAND, "roll": 5, "lean": -7, "right_knee": 20, "right_thigh": 14}),
    "hands_on_hips": angles(**{**STAND, **HANDS_ON_HIPS}),
    "arms_crossed": angles(**{**STAND, "raise_": 28, "spread": 6, "inward": 68, "elbow": 100}),
    "hands_behind": angles(**{**STAND, "raise_": -28, "inward": 55, "elbow": 45}),
    "hand_on_chin": angles(
        **{**STAND, "right_raise": 45, "right_elbow": 138, "right_inward": 30, "left_raise": 28, "left_elbow": 95,
           "left_inward": 65, "nod": 8}
    ),
    "phone": angles(**{**STAND, "right_raise": 35, "right_elbow": 95, "right_inward": 25, "nod": 28}),
    "hands_on_knees": angles(**{**STAND, "pitch": 42, "thigh": 72, "knee": 38, "bend": 18, "raise_": 55, "elbow": 10}),
    "sitting": angles(**{**STAND, "pitch": -12, "thigh": 118, "knee": 100, "splay": 14, "raise_": 45, "elbow": 35,
                         "bend": 22, "planted": 1}),
    "kneeling": angles(**{**STAND, "right_thigh": 2, "right_knee": 92, "right_toe": 75, "left_thigh": 90,
                          "left_knee": 90, "left_raise": 45, "left_elbow": 40}),
}  # fmt: skip
"""Poses that are held for a few seconds."""
_RARE = ("hands_on_knees", "sitting", "kneeling")

_SCRATCH = {**STAND, "right_spread": 70, "right_inward": 20, "right_raise": 55, "nod": 6}
_BRUSH = {**STAND, "left_raise": 45, "left_elbow": 60, "left_inward": 15, "right_raise": 50, "right_inward": 50}
GESTURES = {
    "scratch_head": (
        Cycle({0.0: angles(**{**_SCRATCH, "right_elbow": 138}), 0.5: angles(**{**_SCRATCH, "right_elbow": 120})}),
        0.4,
    ),
    "brush_sleeve": (
        Cycle({0.0: angles(**{**_BRUSH, "right_elbow": 60}), 0.5: angles(**{**_BRUSH, "right_elbow": 100})}),
        0.6,
    ),
    "look_at_watch": (
        Cycle({0.0: angles(**{**STAND, "left_raise": 50, "left_elbow": 95, "left_inward": 50, "nod": 25})}),
        1.0,
    ),
    "stretch": (
        Cycle({0.0: angles(**{**STAND, "raise_": 150, "spread": 20, "elbow": 40, "nod": -15, "bend": -8}),
               0.5: angles(**{**STAND, "raise_": 168, "spread": 25, "elbow": 20, "nod": -20, "bend": -12})}),
        1.6,
    ),
    "point": (Cycle({0.0: angles(**{**STAND, "right_raise": 80, "right_elbow": 5, "right_spread": 25})}), 1.0),
    "shade_eyes": (Cycle({0.0: angles(**{**STAND, "right_raise": 75, "right_spread": 35, "right_elbow": 135})}), 1.0),
    "shake_arms": (
        Cycle({0.0: angles(**{**STAND, "spread": 12, "elbow": 10}),
               0.5: angles(**{**STAND, "spread": 34, "elbow": 30})}),
        0.45,
    ),
    "step": (
        Cycle({0.0: angles(**STAND), 0.25: angles(**{**STAND, "left_thigh": 34, "left_knee": 50}), 0.5: angles(**STAND),
               0.75: angles(**{**STAND, "right_thigh": 34, "right_knee": 50})}),
        1.2,
    ),
    "tie_shoe": (
        Cycle({0.0: angles(**{**STAND, "right_thigh": 35, "right_knee": 95, "right_toe": 60, "left_thigh": 125,
                              "left_knee": 105, "pitch": 30, "bend": 40, "raise_": 70, "elbow": 20})}),
        1.0,
    ),
    "rub_hands": (
        Cycle({0.0: angles(**{**GUARD, "raise_": 38, "elbow": 78, "inward": 36, "left_raise": 46}),
               0.5: angles(**{**GUARD, "raise_": 38, "elbow": 78, "inward": 36, "right_raise": 46})}),
        0.5,
    ),
}  # fmt: skip
"""Short gestures: a cycle and its duration (seconds). They are too short or too small to be actions."""

WALK = Cycle({
    0.00: angles(**{**STAND, "left_thigh": 26, "left_knee": 4, "left_toe": -18, "right_thigh": -20, "right_knee": 14,
                    "right_toe": 35, "left_raise": -22, "right_raise": 24, "twist": -6, "planted": 0}),
    0.13: angles(**{**STAND, "left_thigh": 16, "left_knee": 12, "right_thigh": -6, "right_knee": 52, "right_toe": 45,
                    "left_raise": -15, "right_raise": 15, "twist": -3, "planted": 0}),
    0.30: angles(**{**STAND, "left_thigh": -4, "left_knee": 3, "right_thigh": 26, "right_knee": 45,
                    "left_raise": 5, "right_raise": -5, "twist": 2, "planted": 0}),
    0.50: angles(**{**STAND, "right_thigh": 26, "right_knee": 4, "right_toe": -18, "left_thigh": -20, "left_knee": 14,
                    "left_toe": 35, "right_raise": -22, "left_raise": 24, "twist": 6, "planted": 0}),
    0.63: angles(**{**STAND, "right_thigh": 16, "right_knee": 12, "left_thigh": -6, "left_knee": 52, "left_toe": 45,
                    "right_raise": -15, "left_raise": 15, "twist": 3, "planted": 0}),
    0.80: angles(**{**STAND, "right_thigh": -4, "right_knee": 3, "left_thigh": 26, "left_knee": 45,
                    "right_raise": 5, "left_raise": -5, "twist": -2, "planted": 0}),
})  # fmt: skip
"""One stride (two steps)."""
WALKING_SPEED, STRIDE = 0.8, 1.25
"""Walking speed at tempo 1 (meters per second), and length of one stride (meters)."""


class Idle:
    """Standing: a sequence of stances, with gestures, breathing, swaying and looking around."""

    def __init__(self, duration: float, tempo: float, generator: np.random.Generator) -> None:
        self._stances, self._changes = [self._stance(generator)], []
        time = generator.uniform(1.0, 7.0)
        while time < duration:
            self._changes.append(time)
            self._stances.append(self._stance(generator))
            time += generator.uniform(2.5, 9.0)
        self._gestures = []
        time = generator.uniform(-1.0, 3.0)
        while time < duration - 0.5:
            name = str(generator.choice(list(GESTURES)))
            length = generator.uniform(1.0, 2.6)
            self._gestures.append((time, time + length, name, bool(generator.random() < 0.5)))
            time += length + generator.exponential(2.5)
        self._tempo = tempo
        self._sway = Noise(len(POSE), 0.08, 0.5, generator)
        self._breath = generator.uniform(0.22, 0.35)
        self._strength = np.radians(2.5) * np.array([name not in ("lift", "planted") for name in POSE])
        self._strength[PLACE["look"]], self._strength[PLACE["nod"]] = np.radians(18), np.radians(6)
        for side in ("left", "right"):
            self._strength[PLACE[f"{side}_splay"]] = np.radians(1)
            self._strength[PLACE[f"{side}_toe"]] = 0.0

    def __call__(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames pose"]:
        """Return the poses at times since the start of the piece (seconds)."""
        held = shares(seconds, self._changes, [0.8] * len(self._changes))
        pose = held @ np.stack(self._stances)
        for start, end, name, mirror in self._gestures:
            shown = shares(seconds, [start, end], [0.45, 0.45])[:, 1:2]
            if not shown.any():
                continue
            cycle, period = GESTURES[name]
            gesture = cycle((seconds - start) * self._tempo / period)
            pose = pose + shown * ((mirrored(gesture) if mirror else gesture) - pose)
        pose = pose + self._strength * self._sway(seconds)
        pose[:, PLACE["bend"]] += np.radians(1.5) * np.sin(2 * np.pi * self._breath * seconds)
        return pose

    @staticmethod
    def _stance(generator: np.random.Generator) -> Float[np.ndarray, " pose"]:
        common = [name for name in STANCES if name not in _RARE]
        name = str(generator.choice(_RARE if generator.random() < 0.12 else common))
        return mirrored(STANCES[name]) if generator.random() < 0.5 else STANCES[name]
