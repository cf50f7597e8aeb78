"""Annotation formats, one module per format, and the table of all formats."""

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
"""All formats, in the order in which detection tries them."""
WRITTEN: Mapping[str, Format] = {form.name: form for form in FORMATS if form.write is not None}
"""Formats that can be written, by name."""


def format_of(text: str) -> Format | None:
    """Return the annotation format of a text, or None if no format matches."""
    return next((form for form in FORMATS if form.fits(text)), None)
