"""Formats of annotations: one file each, and the table of all."""

from collections.abc import Mapping, Sequence

from sola.data.annotation_formats import (
    action_lists,
    activitynet,
    audacity,
    boris,
    cvat,
    ego4d,
    elan,
    epic_kitchens,
    frames,
    label_studio,
    subtitles,
    table,
    via,
)
from sola.data.annotation_formats.base import Format

FORMATS: Sequence[Format] = (
    activitynet.FORMAT,
    via.PROJECT,
    boris.PROJECT,
    label_studio.FORMAT,
    ego4d.FORMAT,
    action_lists.FORMAT,
    elan.FORMAT,
    cvat.FORMAT,
    subtitles.VTT,
    subtitles.SRT,
    epic_kitchens.FORMAT,
    boris.TABLE,
    via.TABLE,
    audacity.FORMAT,
    table.FORMAT,
    frames.FORMAT,
)
"""All formats, in the order in which they are tried."""
WRITTEN: Mapping[str, Format] = {one.name: one for one in FORMATS if one.write is not None}
"""Formats that are written, by name."""


def format_of(text: str) -> Format | None:
    """Return the format of a text; None if it is of none."""
    return next((one for one in FORMATS if one.fits(text)), None)
