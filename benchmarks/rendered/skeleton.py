"""A human body: proportions, joint angles, and vectorized forward kinematics."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SIDES = ("left", "right")
ARM, LEG = ("raise", "spread", "inward", "elbow"), ("thigh", "splay", "knee", "toe")
ANGLES = (
    *("pitch", "roll", "bend", "lean", "twist", "nod", "look"),
    *(f"{side}_{name}" for side in SIDES for name in ARM + LEG),
)
"""Whole body (forward, sideways), spine (forward, sideways, turn), head (down, turn); then, for each side, the arm
(forward, outward, turn of the upper arm that brings the hand inward, elbow) and the leg (forward, outward, knee, and
the foot's slope against the floor, 0 when it is flat)."""
POSE = (*ANGLES, "lift", "planted")
"""Components of a pose: angles (radians), height of a jump (meters), and degree (0 to 1) to which a foot is planted."""
PLACE = {name: index for index, name in enumerate(POSE)}
JOINTS = (
    *("pelvis", "waist", "neck", "head", "nose", "hair"),
    *(f"{side}_{name}" for side in SIDES for name in ("shoulder", "elbow", "wrist", "hand")),
    *(f"{side}_{name}" for side in SIDES for name in ("hip", "knee", "ankle", "toe")),
)
JOINT = {name: index for index, name in enumerate(JOINTS)}


@dataclass(frozen=True)
class Body:
    """Proportions of one person."""

    stature: float = 1.72
    """Height from floor to crown (meters)."""
    legs: float = 0.49
    """Length of thigh and shin, as a fraction of the stature."""
    shoulders: float = 0.225
    """Distance between the shoulder joints, as a fraction of the stature."""
    hips: float = 0.11
    """Distance between the hip joints, as a fraction of the stature."""
    girth: float = 1.0
    """Thickness of the limbs, relative to the average."""
    head: float = 0.068
    """Radius of the head, as a fraction of the stature."""


def angles(**degrees: float) -> Float[np.ndarray, " pose"]:
    """Return a pose from angles in degrees (`lift` in meters, `planted` from 0 to 1). Omitted values are 0.

    A name without a side ("raise_", "knee") sets both sides, except a side that is given separately.
    """
    values = np.zeros(len(POSE))
    for key, value in sorted(degrees.items(), key=lambda item: item[0] in PLACE):
        name = key.rstrip("_")
        amount = value if name in ("lift", "planted") else np.radians(value)
        for whole in [name] if name in PLACE else [f"{side}_{name}" for side in SIDES]:
            values[PLACE[whole]] = amount
    return values


def mirrored(pose: Float[np.ndarray, "*batch pose"]) -> Float[np.ndarray, "*batch pose"]:
    """Return the mirrored pose: left and right exchanged, rotations reversed."""
    order = [PLACE[_other_side(name)] for name in POSE]
    sign = [-1.0 if name in ("roll", "lean", "twist", "look") else 1.0 for name in POSE]
    return pose[..., order] * np.array(sign)


def joints(pose: Float[np.ndarray, "frames pose"], body: Body) -> Float[np.ndarray, "frames joints 3"]:
    """Return joint positions (meters): x forward, y to the figure's left, z up from the floor.

    The lowest part of the body touches the floor (plus `lift`), so that no pose floats or sinks. If `planted` is 1,
    the lower foot stays below the origin; if 0, the pelvis stays above it.
    """
    length = body.stature
    places = np.empty((len(pose), len(JOINTS), 3))

    def put(name: str, parent: str, frame: Float[np.ndarray, "frames 3 3"], *offset: float) -> None:
        places[:, JOINT[name]] = places[:, JOINT[parent]] + frame @ (length * np.array(offset))

    def angle(name: str) -> Float[np.ndarray, " frames"]:
        return pose[:, PLACE[name]]

    places[:, JOINT["pelvis"]] = 0.0
    trunk = _about_y(angle("pitch")) @ _about_x(angle("roll"))
    chest = trunk @ _about_z(angle("twist")) @ _about_y(angle("bend")) @ _about_x(angle("lean"))
    skull = chest @ _about_z(angle("look")) @ _about_y(angle("nod"))
    put("waist", "pelvis", trunk, 0, 0, 0.09)
    put("neck", "waist", chest, 0, 0, 0.225)
    put("head", "neck", skull, 0.012, 0, 0.035 + body.head)
    put("nose", "head", skull, body.head, 0, -0.1 * body.head)
    put("hair", "head", skull, -0.32 * body.head, 0, 0.3 * body.head)
    leg = body.legs / 2
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        put(f"{side}_shoulder", "waist", chest, 0, sign * body.shoulders / 2, 0.195)
        upper = chest @ _about_y(-angle(f"{side}_raise")) @ _about_x(sign * angle(f"{side}_spread"))
        upper = upper @ _about_z(-sign * angle(f"{side}_inward"))
        fore = upper @ _about_y(-angle(f"{side}_elbow"))
        put(f"{side}_elbow", f"{side}_shoulder", upper, 0, 0, -0.17)
        put(f"{side}_wrist", f"{side}_elbow", fore, 0, 0, -0.145)
        put(f"{side}_hand", f"{side}_wrist", fore, 0, 0, -0.045)
        put(f"{side}_hip", "pelvis", trunk, 0, sign * body.hips / 2, 0)
        thigh = trunk @ _about_y(-angle(f"{side}_thigh")) @ _about_x(sign * angle(f"{side}_splay"))
        put(f"{side}_knee", f"{side}_hip", thigh, 0, 0, -leg)
        put(f"{side}_ankle", f"{side}_knee", thigh @ _about_y(angle(f"{side}_knee")), 0, 0, -leg)
        put(f"{side}_toe", f"{side}_ankle", _about_y(angle(f"{side}_toe")), 0.105, sign * 0.02, -0.012)

    ankles = places[:, [JOINT["left_ankle"], JOINT["right_ankle"]]]
    lower = np.exp(-(ankles[..., 2] - ankles[..., 2].min(axis=1, keepdims=True)) / 0.05)
    standing = (ankles * (lower / lower.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)
    places[..., :2] -= (angle("planted")[:, None] * standing[:, :2])[:, None]
    floor = np.min([places[:, JOINT[name], 2] - length * thick for name, thick in _TOUCHING.items()], axis=0)
    places[..., 2] += (angle("lift") - floor)[:, None]
    return places


_TOUCHING = {
    **{"pelvis": 0.06, "neck": 0.05, "head": 0.06},
    **{f"{side}_{name}": 0.03 for side in SIDES for name in ("knee", "ankle")},
    **{f"{side}_{name}": 0.018 for side in SIDES for name in ("toe", "hand", "elbow")},
}
"""Parts that can touch the floor, with their thickness as a fraction of the stature."""


def _other_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return f"{SIDES[1 - SIDES.index(side)]}_{rest}" if side in SIDES else name


def _rotation(angle: Float[np.ndarray, " frames"], first: int, second: int) -> Float[np.ndarray, "frames 3 3"]:
    """Return rotations in the plane of two axes, from the first toward the second."""
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, 3 - first - second, 3 - first - second] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
    matrix[:, second, first] = np.sin(angle)
    matrix[:, first, second] = -np.sin(angle)
    return matrix


def _about_x(angle: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 3 3"]:
    return _rotation(angle, 1, 2)


def _about_y(angle: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 3 3"]:
    return _rotation(angle, 2, 0)


def _about_z(angle: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 3 3"]:
    return _rotation(angle, 0, 1)
