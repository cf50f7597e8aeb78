"""Change files slightly.

Changed bytes make nearly every JSON document fail in the parser; changed values reach the code behind it.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

UNEXPECTED_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 0.5, -0.0, 1e308, 2**31, 2**63, 10**400, float("inf"), float("nan")),
    *("", "v1", "run", "0.5", "nan", "1e999", "\ud800", "\0", "two\nlines", "<script>", "../../v1", "/", "x" * 300),
    *([], {}, [[]], [None], [0.5, 1], [2, 1], ["run"], {"": {}}, {"v1": []}),
)
"""Unexpected values to insert into documents."""


def places(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key or index of every value in a document."""
    for key in list(container) if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from places(container[key])


def change(root: list[Any], rng: random.Random) -> None:
    """Change one value of a document in place; `root` is a list with the document as its only item."""
    targets = list(places(root))
    container, key = rng.choice(targets)
    value = container[key]
    match rng.randrange(6):
        case 0:
            other, other_key = rng.choice(targets)
            container[key] = copy.deepcopy(other[other_key])
        case 1 if container is not root:
            del container[key]
        case 2 if isinstance(container, dict):
            names = [other for within, other in targets if isinstance(within, dict)]
            container[rng.choice([*names, *(name for name in UNEXPECTED_VALUES if isinstance(name, str))])] = (
                container.pop(key)
            )
        case 3 if isinstance(value, list):
            value.insert(rng.randint(0, len(value)), copy.deepcopy(rng.choice([*value, *UNEXPECTED_VALUES])))
        case 4:
            container[key] = rng.choice([[value], {"v1": value}, str(value)])
        case _:
            container[key] = copy.deepcopy(rng.choice(UNEXPECTED_VALUES))


def values_changed(data: bytes, max_size: int, seed: int) -> bytes | None:
    """Change one to four values of a JSON document. Return None for invalid JSON or a result above `max_size` bytes."""
    rng = random.Random(seed)
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.randint(1, 4)):
        change(root, rng)
    changed = json.dumps(root[0]).encode()
    return changed if len(changed) <= max_size else None


def bytes_changed(data: bytes, seed: int) -> bytes:
    """Change a file in one to four places: replace, delete, insert or repeat bytes, or truncate the file."""
    rng = random.Random(seed)
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((1, 1, 2, 4, 8, 64)))
        match rng.randrange(6):
            case 0:
                content[start:end] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF))]) * (end - start)
            case 1:
                content[start:end] = rng.randbytes(end - start)
            case 2:
                del content[start:end]
            case 3:
                content[start:start] = rng.randbytes(end - start)
            case 4:
                content[start:start] = content[start:end] * rng.choice((1, 2, 100))
            case _:
                del content[rng.randrange(len(content) + 1) :]
    return bytes(content)
