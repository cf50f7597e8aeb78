"""The rank of this process, from the environment variables that a launcher such as `torchrun` sets."""

import os

from sola.core.errors import SolaError


def leads() -> bool:
    """Return whether this process reports to the user: the only one, or the one of rank 0."""
    try:
        return rank_and_count()[0] == 0
    except SolaError:  # invalid values matter to training only, which reports them
        return True


def rank_and_count() -> tuple[int, int]:
    """Return the rank of this process and the number of processes. Raises SolaError for invalid variables."""
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise SolaError(f"RANK={rank}, WORLD_SIZE={count}: expected what torchrun sets, or neither")
    return int(rank), int(count)
