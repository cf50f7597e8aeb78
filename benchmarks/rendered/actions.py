"""The action classes: key poses over one cycle (degrees) of a right-handed person, written for this project."""

from dataclasses import dataclass

from rendered.curves import Cycle
from rendered.skeleton import angles

STAND = {"spread": 8, "elbow": 15, "inward": 10, "thigh": 3, "knee": 5, "splay": 3, "planted": 1.0}
"""Standing pose: the defaults of key poses."""
GUARD = {
    **STAND,
    **{"raise_": 35, "elbow": 125, "inward": 15, "bend": 8},
    **{"left_thigh": 20, "right_thigh": -12, "knee": 18},
}
PRONE = {**STAND, "toe": 75, "thigh": 0, "knee": 0, "nod": -35, "inward": 0, "planted": 0.0}
SUPINE = {**STAND, "knee": 90, "spread": 35, "inward": 40, "planted": 0.0}
ON_FOURS = {**STAND, "pitch": 66, "knee": 95, "toe": 172, "nod": -45, "planted": 0.0, "elbow": 5, "inward": 0}
HANDS_ON_HIPS = {"spread": 48, "raise_": -20, "elbow": 100, "inward": 75}


@dataclass(frozen=True)
class Action:
    """An action class: the cycle and its duration."""

    cycle: Cycle
    period: float
    """Duration of one cycle at tempo 1 (seconds)."""
    blend: float = 0.3
    """Blending time with adjacent pieces (seconds); half of it is inside the instance."""
    travel: float = 0.0
    """Speed on the floor (meters per second)."""
    turn: float = 0.0
    """Full turns per cycle."""


def _keys(base: dict[str, float], *keys: tuple[float, dict[str, float]]) -> Cycle:
    return Cycle({phase: angles(**{**base, **key}) for phase, key in keys})


_COCKED = {"right_raise": 0, "right_spread": 95, "right_inward": -85, "right_elbow": 105}
_STEP_LEFT = {"left_thigh": 85, "left_knee": 90, "right_thigh": -25, "right_knee": 75, "right_toe": 60}
_STEP_RIGHT = {"right_thigh": 85, "right_knee": 90, "left_thigh": -25, "left_knee": 75, "left_toe": 60}

ACTIONS = {
    "arm_circles": Action(
        _keys(
            STAND,
            (0.00, {"spread": 10, "raise_": 0, "elbow": 4}),
            (0.25, {"spread": 30, "raise_": 85, "elbow": 4}),
            (0.50, {"spread": 160, "raise_": 20, "elbow": 4}),
            (0.75, {"spread": 95, "raise_": -25, "elbow": 4}),
        ),
        period=1.2,
    ),
    "bow": Action(
        _keys(
            STAND,
            (0.00, {}),
            (0.35, {"pitch": 55, "thigh": 58, "bend": 30, "nod": 15, "raise_": 5, "spread": 4}),
            (0.60, {"pitch": 55, "thigh": 58, "bend": 30, "nod": 15, "raise_": 5, "spread": 4}),
            (0.90, {}),
        ),
        period=2.4,
    ),
    "clap": Action(
        _keys(
            {**STAND, "raise_": 55, "elbow": 70},
            (0.00, {"spread": 6, "inward": 50}),
            (0.50, {"spread": 45, "inward": 5}),
        ),
        period=0.6,
    ),
    "crawl": Action(
        _keys(
            ON_FOURS,
            (0.00, {"left_thigh": 92, "right_thigh": 46, "left_raise": 46, "right_raise": 90, "left_elbow": 12}),
            (0.50, {"left_thigh": 46, "right_thigh": 92, "left_raise": 90, "right_raise": 46, "right_elbow": 12}),
        ),
        period=1.2,
        blend=0.8,
        travel=0.35,
    ),
    "jumping_jack": Action(
        _keys(
            {**STAND, "elbow": 8, "inward": -60},
            (0.00, {"knee": 16, "thigh": 10, "splay": 2}),
            (0.25, {"spread": 80, "splay": 15, "lift": 0.14, "toe": 30}),
            (0.50, {"spread": 165, "splay": 27, "knee": 14, "thigh": 8}),
            (0.75, {"spread": 80, "splay": 15, "lift": 0.14, "toe": 30}),
        ),
        period=1.1,
    ),
    "kick": Action(
        _keys(
            {**GUARD, "left_thigh": 6, "right_thigh": -8},
            (0.00, {}),
            (0.28, {"right_thigh": 85, "right_knee": 105, "right_toe": 40}),
            (0.45, {"right_thigh": 112, "right_knee": 8, "right_toe": -50, "pitch": -16, "left_thigh": -12}),
            (0.62, {"right_thigh": 80, "right_knee": 100, "right_toe": 40}),
            (0.88, {}),
        ),
        period=1.5,
    ),
    "lunge": Action(
        _keys(
            {**STAND, **HANDS_ON_HIPS},
            (0.00, {}),
            (0.20, _STEP_LEFT),
            (0.30, _STEP_LEFT),
            (0.50, {}),
            (0.70, _STEP_RIGHT),
            (0.80, _STEP_RIGHT),
        ),
        period=3.2,
    ),
    "pick_up": Action(
        _keys(
            STAND,
            (0.00, {}),
            (0.25, {"pitch": 58, "thigh": 118, "knee": 85, "bend": 35, "raise_": 92, "elbow": 5, "nod": -20}),
            (0.33, {"pitch": 58, "thigh": 118, "knee": 85, "bend": 35, "raise_": 92, "elbow": 5, "nod": -20}),
            (0.52, {"raise_": 40, "elbow": 85, "inward": 12}),
            (0.70, {"raise_": 150, "elbow": 20, "inward": 12, "nod": -20}),
            (0.78, {"raise_": 150, "elbow": 20, "inward": 12, "nod": -20}),
        ),
        period=3.0,
    ),
    "punch": Action(
        _keys(
            GUARD,
            (0.00, {}),
            (0.15, {"left_raise": 88, "left_elbow": 5, "twist": -25}),
            (0.35, {}),
            (0.50, {"twist": -8}),
            (0.65, {"right_raise": 88, "right_elbow": 5, "twist": 35, "bend": 14}),
            (0.85, {}),
        ),
        period=1.1,
    ),
    "push_up": Action(
        _keys(
            PRONE,
            (0.00, {"pitch": 66, "raise_": 66, "elbow": 4, "spread": 12}),
            (0.50, {"pitch": 83, "raise_": 5, "elbow": 88, "spread": 30}),
        ),
        period=1.8,
        blend=0.8,
    ),
    "sit_up": Action(
        _keys(
            SUPINE,
            (0.00, {"pitch": -88, "thigh": 47, "raise_": 120, "elbow": 140}),
            (0.45, {"pitch": -22, "thigh": 113, "raise_": 95, "elbow": 140, "bend": 32}),
            (0.60, {"pitch": -22, "thigh": 113, "raise_": 95, "elbow": 140, "bend": 32}),
        ),
        period=2.2,
        blend=0.8,
    ),
    "spin": Action(
        _keys(
            {**STAND, "spread": 88, "elbow": 5},
            (0.00, {"left_thigh": 12, "left_knee": 20, "lean": 4}),
            (0.50, {"right_thigh": 12, "right_knee": 20, "lean": -4}),
        ),
        period=1.5,
        turn=1.0,
    ),
    "squat": Action(
        _keys(
            {**STAND, "splay": 9, "elbow": 5, "inward": 0},
            (0.00, {"raise_": 10}),
            (0.45, {"pitch": 36, "thigh": 122, "knee": 112, "raise_": 118}),
            (0.55, {"pitch": 36, "thigh": 122, "knee": 112, "raise_": 118}),
        ),
        period=2.0,
    ),
    "swing": Action(
        _keys(
            {**STAND, "splay": 14, "knee": 25, "thigh": 25, "pitch": 14, "bend": 10, "elbow": 10, "inward": 5},
            (0.00, {"raise_": 45, "spread": -12, "twist": 0}),
            (
                0.35,
                {
                    "left_raise": 95,
                    "left_spread": -45,
                    "right_raise": 75,
                    "right_spread": 35,
                    "right_elbow": 85,
                    "twist": -55,
                },
            ),
            (
                0.45,
                {
                    "left_raise": 95,
                    "left_spread": -45,
                    "right_raise": 75,
                    "right_spread": 35,
                    "right_elbow": 85,
                    "twist": -55,
                },
            ),
            (0.58, {"raise_": 45, "spread": -12, "twist": 10}),
            (
                0.72,
                {
                    "right_raise": 95,
                    "right_spread": -45,
                    "left_raise": 75,
                    "left_spread": 35,
                    "left_elbow": 85,
                    "twist": 60,
                },
            ),
        ),
        period=2.2,
    ),
    "throw": Action(
        _keys(
            STAND,
            (0.00, {"raise_": 40, "elbow": 90}),
            (
                0.35,
                {
                    **_COCKED,
                    "twist": -40,
                    "left_raise": 75,
                    "left_elbow": 15,
                    "left_thigh": 45,
                    "left_knee": 55,
                    "pitch": -8,
                },
            ),
            (
                0.50,
                {
                    "right_raise": 135,
                    "right_spread": 15,
                    "right_elbow": 25,
                    "twist": 20,
                    "bend": 10,
                    "left_thigh": 28,
                    "left_knee": 15,
                    "right_thigh": -20,
                    "right_toe": 25,
                    "left_elbow": 60,
                },
            ),
            (
                0.65,
                {
                    "right_raise": 35,
                    "right_spread": -25,
                    "right_elbow": 10,
                    "twist": 40,
                    "bend": 35,
                    "left_thigh": 30,
                    "left_knee": 20,
                    "right_thigh": -25,
                    "right_toe": 35,
                    "left_raise": -25,
                },
            ),
        ),
        period=2.0,
    ),
    "wave": Action(
        _keys(
            STAND,
            (0.00, {"right_spread": 112, "right_inward": -90, "right_elbow": 30, "lean": -3}),
            (0.50, {"right_spread": 112, "right_inward": -90, "right_elbow": 100, "lean": 3}),
        ),
        period=0.8,
    ),
}
"""All classes by name, in label order."""
