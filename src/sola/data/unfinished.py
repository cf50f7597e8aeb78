"""The mark of a folder of features that several machines are still filling."""

from collections.abc import Collection

from sola.core.errors import SolaError

UNFINISHED = "unfinished.json"
"""There until every video is: what is being written, so that it can be gone on with."""


def must_be_finished(place: object, names: Collection[str]) -> None:
    """Raise SolaError when these names of the files in a folder say that it is still being filled."""
    if UNFINISHED in names:
        raise SolaError(f"{place}: is not finished; call the `sola transform` that writes it again, and it goes on")
