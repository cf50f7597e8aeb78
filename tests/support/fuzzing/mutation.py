"""Files that are nearly valid.

Of JSON documents whose bytes are changed nearly all end in the parser; with other values they come further.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 0.5, -0.0, 1e308, 2**31, 2**63, 10**400, float("inf"), float("nan")),
    *("", "v1", "run", "0.5", "nan", "1e999", "\ud800", "\0", "two\nlines", "<script>", "../../v1", "/", "x" * 300),
    *([], {}, [[]], [None], [0.5, 1], [2, 1], ["run"], {"": {}}, {"v1": []}),
)
"""What stands where something else was expected."""


def places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a document, as what holds it and its key or position there."""
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from places(holder[key])


def change(root: list[Any], draw: random.Random) -> None:
    """Change one value of the document that is the only entry of `root`."""
    there = list(places(root))
    holder, key = draw.choice(there)
    value = holder[key]
    match draw.randrange(6):
        case 0:
            other, at = draw.choice(there)
            holder[key] = copy.deepcopy(other[at])
        case 1 if holder is not root:
            del holder[key]
        case 2 if isinstance(holder, dict):
            names = [other for within, other in there if isinstance(within, dict)]
            holder[draw.choice([*names, *(name for name in NASTY if isinstance(name, str))])] = holder.pop(key)
        case 3 if isinstance(value, list):
            value.insert(draw.randint(0, len(value)), copy.deepcopy(draw.choice([*value, *NASTY])))
        case 4:
            holder[key] = draw.choice([[value], {"v1": value}, str(value)])
        case _:
            holder[key] = copy.deepcopy(draw.choice(NASTY))


def values_changed(data: bytes, most: int, seed: int) -> bytes | None:
    """A JSON document with one to four values changed, in at most `most` bytes; None when that is not to be had."""
    draw = random.Random(seed)
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return None
    for _ in range(draw.randint(1, 4)):
        change(root, draw)
    changed = json.dumps(root[0]).encode()
    return changed if len(changed) <= most else None


def bytes_changed(data: bytes, seed: int) -> bytes:
    """A file with one to four places changed: bytes replaced, left out, put in, repeated, or all after them cut off."""
    draw = random.Random(seed)
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(found) + 1)
        until = min(len(found), at + draw.choice((1, 1, 2, 4, 8, 64)))
        match draw.randrange(6):
            case 0:
                found[at:until] = bytes([draw.choice((0, 1, 0x7F, 0x80, 0xFF))]) * (until - at)
            case 1:
                found[at:until] = draw.randbytes(until - at)
            case 2:
                del found[at:until]
            case 3:
                found[at:at] = draw.randbytes(until - at)
            case 4:
                found[at:at] = found[at:until] * draw.choice((1, 2, 100))
            case _:
                del found[draw.randrange(len(found) + 1) :]
    return bytes(found)
