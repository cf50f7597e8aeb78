"""Pose and position of a figure at any time: motions of the pieces of a timeline, blended at their boundaries."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from rendered.actions import ACTIONS
from rendered.background import STRIDE, WALK, WALKING_SPEED, Idle
from rendered.curves import Noise, shares
from rendered.skeleton import PLACE, POSE, Body, joints, mirrored
from rendered.timeline import Piece

Motion = Callable[[Float[np.ndarray, " frames"]], Float[np.ndarray, "frames pose"]]
"""Function from times since the start of a piece (seconds) to poses."""
RATE = 30
"""Rate (Hz) of the table of positions on the floor, between which positions are interpolated."""


class Choreography:
    """Joint positions of a figure at any time of a video.

    Adjacent pieces are blended around their boundary, over 0.3 s, or 0.8 s if one of them is on the floor. At an
    annotated boundary both have equal weight; half a blend later, only the action is visible.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        body: Body,
        generator: np.random.Generator,
        *,
        left_handed: bool = False,
        room: float = 0.45,
        facing: float = 0.0,
    ) -> None:
        """Sample the performances. The figure stays within `room` meters of the origin and faces `facing` (radians)."""
        self._pieces, self._body = pieces, body
        self._habit = _habit(generator)
        self._motions = [_motion(piece, left_handed, generator) for piece in pieces]
        self._path = _path(pieces, generator, room, facing)
        self._borders = [piece.end for piece in pieces[:-1]]
        self._widths = [max(_blend(before), _blend(after)) for before, after in pairwise(pieces)]

    def pose(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames pose"]:
        """Return the poses at times of the video (seconds)."""
        shown = shares(seconds, self._borders, self._widths)
        pose = np.tile(self._habit, (len(seconds), 1))
        for index in np.flatnonzero(shown.any(axis=0)).tolist():
            part = shown[:, index] > 0
            moved = self._motions[index](seconds[part] - self._pieces[index].start)
            pose[part] += shown[part, index, None] * moved
        return pose

    def place(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 3"]:
        """Return the position on the floor (x, y in meters) and the heading (radians)."""
        step = np.arange(len(self._path)) / RATE
        return np.stack([np.interp(seconds, step, column) for column in self._path.T], axis=1)

    def joints(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames joints 3"]:
        """Return the joint positions in the world (meters)."""
        local = joints(self.pose(seconds), self._body)
        x, y, heading = (column[:, None] for column in self.place(seconds).T)
        turned_x = x + np.cos(heading) * local[..., 0] - np.sin(heading) * local[..., 1]
        turned_y = y + np.sin(heading) * local[..., 0] + np.cos(heading) * local[..., 1]
        return np.stack([turned_x, turned_y, local[..., 2]], axis=-1)


def _blend(piece: Piece) -> float:
    """Return the blending time of a piece (seconds)."""
    return ACTIONS[piece.what].blend if piece.is_action else 0.3


def _habit(generator: np.random.Generator) -> Float[np.ndarray, " pose"]:
    """Sample a constant offset of all poses of a person (radians)."""
    habit = generator.normal(0, np.radians(2.5), len(POSE))
    habit[[PLACE[name] for name in ("pitch", "roll", "look", "lift", "planted", "left_toe", "right_toe")]] = 0
    return habit


def _motion(piece: Piece, left_handed: bool, generator: np.random.Generator) -> Motion:
    """Sample a performance of a piece."""
    if piece.what == "idle":
        return Idle(piece.end - piece.start, piece.tempo, generator)
    if piece.what == "walk":
        frequency, begin, noise = piece.tempo * WALKING_SPEED / STRIDE, generator.random(), _Restlessness(generator)
        return lambda seconds: WALK(begin + seconds * frequency) + noise(seconds)
    return performance(piece.what, piece.tempo, left_handed, generator)


class _Restlessness:
    """Random variation of a motion, so that no two cycles are the same. Lift, ground and feet are unchanged."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._noise = Noise(len(POSE), 0.1, 0.6, generator)
        self._strength = np.full(len(POSE), np.radians(2.0))
        self._strength[PLACE["look"]], self._strength[PLACE["nod"]] = np.radians(12), np.radians(5)
        for name in ("lift", "planted", "left_toe", "right_toe"):
            self._strength[PLACE[name]] = 0.0

    def __call__(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames pose"]:
        """Return the offsets of the poses at times in seconds."""
        return self._strength * self._noise(seconds)


def performance(what: str, tempo: float, left_handed: bool, generator: np.random.Generator) -> Motion:
    """Sample a performance of an action: amplitude, regularity, side and variation."""
    action = ACTIONS[what]
    frequency = tempo / action.period
    mirror = left_handed != bool(generator.random() < 0.15)
    amplitude = generator.uniform(0.82, 1.1)
    middle = action.cycle(np.arange(16) / 16).mean(axis=0)
    noise = _Restlessness(generator)
    wobble, unevenness = Noise(1, 0.1, 0.4, generator), generator.uniform(0.0, 0.02)
    calm = np.full(len(POSE), amplitude)
    calm[PLACE["planted"]] = 1.0

    def perform(seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames pose"]:
        pose = action.cycle(seconds * frequency + unevenness * wobble(seconds)[:, 0])
        pose = middle + calm * (pose - middle) + noise(seconds)
        return mirrored(pose) if mirror else pose

    return perform


def _path(
    pieces: Sequence[Piece], generator: np.random.Generator, room: float, facing: float
) -> Float[np.ndarray, "steps 3"]:
    """Sample x, y (meters) and heading (radians) over the whole video, at a rate of `RATE`."""
    clock = np.arange(int(pieces[-1].end * RATE) + RATE) / RATE
    path = np.empty((len(clock), 3))
    place, heading = _within(room, generator), facing + generator.normal(0, 0.3)
    for index, piece in enumerate(pieces):
        inside = (clock >= piece.start) & ((clock < piece.end) | (index == len(pieces) - 1))
        since = clock[inside] - piece.start
        action = ACTIONS.get(piece.what)
        speed = piece.tempo * (WALKING_SPEED if piece.what == "walk" else action.travel if action else 0.0)
        if speed > 0:
            path[inside] = _wandering(since, place, heading, speed, room, generator)
        else:
            # turn by at most a third of a turn: most actions roughly face `facing`
            heading = _nearest(facing + generator.normal(0, 0.35 if action else 0.6), heading)
            turns = action.turn * piece.tempo / action.period * since if action else np.zeros_like(since)
            path[inside, :2] = place
            path[inside, 2] = heading + 2 * np.pi * turns
        if inside.any():
            place, heading = path[inside][-1, :2], float(path[inside][-1, 2])
    return gaussian_filter1d(path, 0.15 * RATE, axis=0, mode="nearest")


def _wandering(
    since: Float[np.ndarray, " steps"],
    place: Float[np.ndarray, " 2"],
    heading: float,
    speed: float,
    room: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, "steps 3"]:
    """Walk from point to point in the room at constant speed, facing the direction of motion."""
    points, times = [place], [0.0]
    while times[-1] < since[-1] + 1.0:
        goal = _within(1.4 * room, generator)
        if (distance := float(np.hypot(*(goal - points[-1])))) > 0.8 * room:
            points.append(goal)
            times.append(times[-1] + distance / speed)
    track = PchipInterpolator(times, np.stack(points))
    walked = gaussian_filter1d(track(since), 0.2 * RATE, axis=0, mode="nearest")
    ahead = track(since + 0.3) - track(since)
    courses = np.unwrap(np.concatenate([[heading], np.arctan2(ahead[:, 1], ahead[:, 0])]))[1:]
    return np.concatenate([walked, courses[:, None]], axis=1)


def _within(room: float, generator: np.random.Generator) -> Float[np.ndarray, " 2"]:
    angle, radius = generator.uniform(0, 2 * np.pi), room * np.sqrt(generator.random())
    return np.array([radius * np.cos(angle), radius * np.sin(angle)])


def _nearest(wanted: float, heading: float) -> float:
    """Return the wanted heading plus whole turns, as close as possible to the current heading."""
    return wanted + 2 * np.pi * round((heading - wanted) / (2 * np.pi))
