"""Class numbers and names in THUMOS14's official files."""

from collections.abc import Mapping, Sequence

NUMBERS: Mapping[int, str] = {
    7: "BaseballPitch",
    9: "BasketballDunk",
    12: "Billiards",
    21: "CleanAndJerk",
    22: "CliffDiving",
    23: "CricketBowling",
    24: "CricketShot",
    26: "Diving",
    31: "FrisbeeCatch",
    33: "GolfSwing",
    36: "HammerThrow",
    40: "HighJump",
    45: "JavelinThrow",
    51: "LongJump",
    68: "PoleVault",
    79: "Shotput",
    85: "SoccerPenalty",
    92: "TennisSwing",
    93: "ThrowDiscus",
    97: "VolleyballSpiking",
}
"""The twenty THUMOS14 action classes by their number among the 101 UCF-101 classes, from 1 (detclasslist.txt)."""


def named(labels: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Replace THUMOS14 numbers by names found in `classes`, unless a class of `classes` is a number.

    >>> named(["7", "12"], ["BaseballPitch", "Billiards"]), named(["7"], ["7", "Billiards"]), named(["7"], ["jump"])
    (('BaseballPitch', 'Billiards'), ('7',), ('7',))
    """
    if any(name.isdecimal() for name in classes):
        return tuple(labels)
    names = {str(number): name for number, name in NUMBERS.items() if name in classes}
    return tuple(names.get(label, label) for label in labels)
