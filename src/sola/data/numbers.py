"""Parse decimals, fractions and clock times."""

import re

CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
"""Hours, minutes and seconds."""


def parsed(text: str) -> float:
    """Return the number in a text: a decimal, a fraction, or a clock time (as seconds).

    >>> parsed("1.5"), parsed("30000/1001"), parsed("1:02"), parsed("00:01:20,5")
    (1.5, 29.97002997002997, 62.0, 80.5)

    Raises ValueError for other text and for a zero denominator.
    """
    if clock := CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    numerator, fraction, denominator = text.partition("/")
    try:
        return float(numerator) / (float(denominator) if fraction else 1.0)
    except ZeroDivisionError:
        raise ValueError(f"{text!r}: zero denominator") from None


def is_number(text: str) -> bool:
    """Return True if the text is a decimal number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
