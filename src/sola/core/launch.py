"""Rank of this process, from the environment variables that a launcher such as `torchrun` sets."""

import os

from sola.core.errors import SolaError


def leads() -> bool:
    """Return True if this process reports to the user: the only process, or rank 0."""
    try:
        return rank_and_count()[0] == 0
    except SolaError:  # only training needs valid values, and reports invalid ones
        return True


def rank_and_count() -> tuple[int, int]:
    """Return the rank of this process and the number of processes. Raises SolaError if the variables are invalid."""
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise SolaError(f"RANK={rank}, WORLD_SIZE={count}: expected the values that torchrun sets, or neither")
    return int(rank), int(count)
