"""Checks of values given by the user: each raises a SolaError that names the first bad value.

Values are keyword arguments, so that the message names them: `at_least(1, epochs=0)` raises
"epochs=0: expected a whole number of at least 1". A value of None passes every check: it is an option that was not
given. NaN and infinity pass none.

>>> at_least(1, epochs=30, window=None)
>>> fraction("[0, 1)", dropout=1.0)
Traceback (most recent call last):
    ...
sola.core.errors.SolaError: dropout=1.0: expected a number in [0, 1)
"""

import math
from numbers import Integral
from typing import Any, Literal, get_args

from sola.core.errors import SolaError

Bounds = Literal["[0, 1]", "[0, 1)", "(0, 1]", "(0, 1)"]
"""An interval from 0 to 1; a parenthesis excludes the end."""


def at_least(low: int, /, **values: int | None) -> None:
    """Raise SolaError unless every value is a whole number of at least `low`."""
    for name, value in values.items():
        if value is not None and not (isinstance(value, Integral) and value >= low):
            raise SolaError(f"{name}={value}: expected a whole number of at least {low}")


def odd(**values: int | None) -> None:
    """Raise SolaError unless every value is a positive odd number, such as the size of a centered window."""
    for name, value in values.items():
        if value is not None and not (isinstance(value, Integral) and value >= 1 and value % 2 == 1):
            raise SolaError(f"{name}={value}: expected an odd number (1, 3, 5, …)")


def positive(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number above 0."""
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise SolaError(f"{name}={value}: expected a number above 0")


def not_negative(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number of at least 0."""
    for name, value in values.items():
        if value is not None and not 0 <= value < math.inf:
            raise SolaError(f"{name}={value}: expected a number of at least 0")


def finite(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number."""
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise SolaError(f"{name}={value}: expected a finite number")


def fraction(bounds: Bounds, /, **values: float | None) -> None:
    """Raise SolaError unless every value lies between 0 and 1, within `bounds`."""
    for name, value in values.items():
        if value is None:
            continue
        above = value > 0 or (value == 0 and bounds[0] == "[")
        below = value < 1 or (value == 1 and bounds[-1] == "]")
        if not (above and below):
            raise SolaError(f"{name}={value}: expected a number in {bounds}")


def one_of(allowed: Any, /, **values: object) -> None:
    """Raise SolaError unless every value is in `allowed`: a Literal type, or a collection such as a table."""
    choices = get_args(allowed) or tuple(allowed)
    for name, value in values.items():
        if value is not None and value not in choices:
            raise SolaError(f"{name}={value!r}: expected one of {', '.join(map(str, choices))}")
