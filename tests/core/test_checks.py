import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from sola.core.checks import at_least, finite, fraction, not_negative, odd, one_of, positive
from sola.core.errors import SolaError

Color = Literal["red", "green"]


@pytest.mark.parametrize(
    ("check", "first", "good", "bad", "expected"),
    [
        (at_least, (1,), (1, 7, True), (0, -1), "a whole number of at least 1"),
        (at_least, (0,), (0,), (-1,), "a whole number of at least 0"),
        (odd, (), (1, 3, 99), (0, 2, -1, -3), "an odd number (1, 3, 5, …)"),
        (positive, (), (1, 1e-9, np.float64(0.5)), (0, -1.0, math.nan, math.inf), "a number above 0"),
        (not_negative, (), (0, 0.0, 5), (-1e-9, math.nan, math.inf), "a number of at least 0"),
        (finite, (), (-5.0, 0), (math.nan, math.inf, -math.inf), "a finite number"),
        (fraction, ("[0, 1]",), (0, 0.5, 1), (-0.1, 1.1, math.nan), "a number in [0, 1]"),
        (fraction, ("[0, 1)",), (0, 0.5), (-0.1, 1, math.nan), "a number in [0, 1)"),
        (fraction, ("(0, 1]",), (0.5, 1), (0, 1.1, math.nan), "a number in (0, 1]"),
        (fraction, ("(0, 1)",), (0.5,), (0, 1, math.nan), "a number in (0, 1)"),
    ],
)
def test_numbers_out_of_range_are_refused(
    check: Callable[..., None], first: tuple[Any, ...], good: tuple[float, ...], bad: tuple[float, ...], expected: str
) -> None:
    for value in (*good, None):
        check(*first, x=value)
    for value in bad:
        with pytest.raises(SolaError) as caught:
            check(*first, fine=good[0], x=value)
        assert str(caught.value) == f"x={value}: expected {expected}"


def test_integers_of_any_type() -> None:
    # bypass the runtime type checks of the tests, which accept only int
    unchecked = at_least.__wrapped__
    unchecked(1, epochs=np.int64(3))
    for value in (1.5, math.nan, math.inf):
        with pytest.raises(SolaError, match=f"epochs={value}: expected a whole number"):
            unchecked(1, epochs=value)


def test_one_of_a_literal_type_or_a_collection() -> None:
    one_of(Color, color="red", other=None)
    one_of({1: "a", 2: "b"}, level=2)
    with pytest.raises(SolaError) as caught:
        one_of(Color, color="blue")
    assert str(caught.value) == "color='blue': expected one of red, green"
    with pytest.raises(SolaError) as caught:
        one_of({1: "a", 2: "b"}, level=3)
    assert str(caught.value) == "level=3: expected one of 1, 2"
