"""Temporal action detectors and the code they share; each detector has a package and an entry in `DETECTORS`.

Importing this package does not import any detector. `detector_family` imports a detector on request.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from sola.core.checks import one_of

if TYPE_CHECKING:
    import sola.detectors.base

DETECTORS: Mapping[str, str] = {
    "actionformer": "sola.detectors.actionformer",
    "bmn": "sola.detectors.bmn",
    "gtad": "sola.detectors.gtad",
    "temporalmaxer": "sola.detectors.temporalmaxer",
    "tridet": "sola.detectors.tridet",
}
"""Package of each detector, by name. Each package defines a `DetectorFamily` named `FAMILY`.

Examples:
    >>> import sola
    >>> list(sola.DETECTORS)
    ['actionformer', 'bmn', 'gtad', 'temporalmaxer', 'tridet']
"""


def detector_family(name: str) -> "sola.detectors.base.DetectorFamily":
    """Import a detector and return its config class and recipes.

    Args:
        name: a name in `DETECTORS`.

    Raises:
        SolaError: if the name is not in `DETECTORS`.

    Examples:
        >>> import sola
        >>> family = sola.detector_family("actionformer")
        >>> list(family.recipes)
        ['anet', 'hacs', 'thumos', 'epic-verb', 'epic-noun', 'gtea', 'quick']
        >>> family.recipe("thumos").epochs
        35
    """
    one_of(DETECTORS, model=name)
    family: sola.detectors.base.DetectorFamily = import_module(DETECTORS[name]).FAMILY
    return family
