"""Validation of user-supplied values: each check raises a SolaError that names the first bad value.

Pass values as keyword arguments, so the message can name them. None means that the option was not given and passes
every check. NaN and infinity always fail.

>>> at_least(1, epochs=30, window=None)
>>> fraction("[0, 1)", dropout=1.0)
Traceback (most recent call last):
    ...
sola.core.errors.SolaError: dropout=1.0: expected a number in [0, 1)
"""

import math
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Literal, get_args

from sola.core.errors import SolaError

Bounds = Literal["[0, 1]", "[0, 1)", "(0, 1]", "(0, 1)"]
"""An interval from 0 to 1; a parenthesis excludes the end."""


def at_least(low: int, /, **values: int | None) -> None:
    """Raise SolaError unless every value is an integer of at least `low`."""
    _check(values, lambda value: isinstance(value, Integral) and int(value) >= low, f"a whole number of at least {low}")


def odd(**values: int | None) -> None:
    """Raise SolaError unless every value is a positive odd number, such as the size of a centered window."""
    expected = "an odd number (1, 3, 5, …)"
    _check(values, lambda value: isinstance(value, Integral) and int(value) > 0 and int(value) % 2 == 1, expected)


def positive(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number above 0."""
    _check(values, lambda value: 0 < value < math.inf, "a number above 0")


def not_negative(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number of at least 0."""
    _check(values, lambda value: 0 <= value < math.inf, "a number of at least 0")


def finite(**values: float | None) -> None:
    """Raise SolaError unless every value is a finite number."""
    _check(values, math.isfinite, "a finite number")


def fraction(bounds: Bounds, /, **values: float | None) -> None:
    """Raise SolaError unless every value is in the interval `bounds`."""
    ends = [float(end) for end, bracket in ((0, bounds[0]), (1, bounds[-1])) if bracket in "[]"]
    _check(values, lambda value: 0 < value < 1 or value in ends, f"a number in {bounds}")


def one_of(allowed: Any, /, **values: object) -> None:
    """Raise SolaError unless every value is in `allowed`, a Literal type or a collection."""
    choices = get_args(allowed) or tuple(allowed)
    for name, value in values.items():
        if value is not None and value not in choices:
            raise SolaError(f"{name}={value!r}: expected one of {', '.join(map(str, choices))}")


def _check(values: Mapping[str, Any], accepts: Callable[[Any], bool], expected: str) -> None:
    for name, value in values.items():
        if value is not None and not accepts(value):
            raise SolaError(f"{name}={value}: expected {expected}")
