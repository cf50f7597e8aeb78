"""Random crops of training clips in time."""

import numpy as np

from sola.detectors.clips import INSIDE, Example

TRIES = 200
"""Maximum number of random positions to try for a crop that holds an action."""


def random_crop(example: Example, longest: int, crop: float, generator: np.random.Generator) -> Example:
    """Return a random piece of a clip, with an action in it.

    A clip of more than `longest` units is cut to that length, a shorter one to a random share of its length, at least
    `crop`; 1 keeps it whole. Instances of which less than half is inside are left out; the others are cut at the ends.
    """
    values, instances, labels = example
    length = len(values)
    kept = longest
    if length <= longest:
        shortest = max(round(crop * length), 1)
        kept = int(generator.integers(shortest, length + 1)) if crop < 1 else length
    if kept >= length:
        return example
    for _ in range(TRIES):
        first = int(generator.integers(0, length - kept + 1))
        inside = instances.clamp(first, first + kept)
        share = (inside[:, 1] - inside[:, 0]) / (instances[:, 1] - instances[:, 0]).clamp(min=1e-8)
        chosen = share >= INSIDE
        if chosen.any():
            break
    return Example(values[first : first + kept], inside[chosen] - first, labels[chosen])
