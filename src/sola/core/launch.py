"""Which process this is among those that a launcher such as `torchrun` started, by its environment variables."""

import os

from sola.core.errors import SolaError


def leads() -> bool:
    """Whether this process is the one that talks, by what its launcher says, before it has joined the others."""
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    # whoever trains is told what is wrong with them; whoever does not is not concerned
    return not (rank.isdecimal() and count.isdecimal() and 0 < int(rank) < int(count))


def rank_and_count() -> tuple[int, int]:
    """Rank and number of processes, as the launcher has them in the environment."""
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise SolaError(f"RANK={rank}, WORLD_SIZE={count}: expected what torchrun sets, or neither")
    return int(rank), int(count)
