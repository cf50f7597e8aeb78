"""Temporal action detectors: one folder each, one line each in `DETECTORS`, and what they share.

Importing this package imports no detector: `detector_family` imports the one that is asked for.
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
"""The package of each detector, by name. The package's `FAMILY` is its `DetectorFamily`."""


def detector_family(name: str) -> "sola.detectors.base.DetectorFamily":
    """Import a detector and return its config class and recipes.

    Raises SolaError for a name that is not in `DETECTORS`.
    """
    one_of(DETECTORS, model=name)
    family: sola.detectors.base.DetectorFamily = import_module(DETECTORS[name]).FAMILY
    return family
