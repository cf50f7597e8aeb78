"""Parsing of decimals, fractions and clock times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.data.numbers import parsed


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_are_parsed(number: float) -> None:
    assert parsed(repr(number)) == number


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_fractions_are_parsed(numerator: int, denominator: int) -> None:
    assert parsed(f"{numerator}/{denominator}") == numerator / denominator


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999), st.sampled_from(".,"))
def test_clock_times_are_parsed_to_seconds(
    hours: int, minutes: int, seconds: int, thousandths: int, point: str
) -> None:
    expected = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    assert parsed(f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}") == pytest.approx(expected)


@given(st.integers(0, 200), st.integers(0, 59))
def test_minutes_and_seconds_are_parsed_to_seconds(minutes: int, seconds: int) -> None:
    assert parsed(f"{minutes}:{seconds:02}") == 60 * minutes + seconds


@pytest.mark.parametrize("text", ["", "fast", "1/0", "1/2/3", "1:2:3:4", "20s", "20,5"])
def test_other_text_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(text)
