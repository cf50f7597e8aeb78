"""Saving of plots as files and as inline SVG."""

import hashlib
import io
import re
from html import escape
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.report.plots import GRAY, INK, KIND_COLORS, PALETTE

FORMATS = (".png", ".svg", ".pdf")

VARIABLES = {color: f"--hue{number}" for number, color in enumerate(PALETTE)} | {
    INK: "--ink",
    GRAY: "--gray",
    KIND_COLORS["control"]: "--control",
}
"""CSS variables of the page, by plot color."""

FAMILY = re.compile(r"font-family: [^;\"]*;? ?| transform=\"rotate\(-0 [^\"]*\"")
"""Attributes to remove: the font family, since text uses the font of the page, and rotations by zero."""
UNUSED = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>| xmlns(?::xlink)?=\"[^\"]*\"",
    re.DOTALL,
)


def write_plot(path: Path, plot: Figure, dpi: int = 160) -> None:
    """Write the plot atomically, in the format of the file suffix. Raises SolaError for an unknown format."""
    if path.suffix.lower() not in FORMATS:
        raise SolaError(f"{path}: unknown plot format; expected a file name ending in {', '.join(FORMATS)}")
    with replacing(path) as aside:
        plot.savefig(aside, format=path.suffix[1:].lower(), dpi=dpi)


def inline_svg(plot: Figure, description: str) -> str:
    """Return the plot as an `<svg>` element; `description` is the text alternative.

    Text is kept as text in the font of the page. Colors are CSS variables, so they follow light and dark mode. The
    output is deterministic, and its ids are unique to the plot and description.
    """
    buffer = io.StringIO()
    salt = hashlib.sha256(description.encode()).hexdigest()[:8]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        plot.savefig(buffer, format="svg", transparent=True, metadata=none)
    svg = UNUSED.sub("", buffer.getvalue()).strip()
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg))

    def clean(tag: re.Match[str]) -> str:
        """Clean the attributes of one tag; text between tags is unchanged."""
        text = re.sub(r' id="([^"]*)"', lambda id_: f' id="{salt}-{id_[1]}"' if id_[1] in used else "", tag[0])
        text = FAMILY.sub("", re.sub(r'(href="|url\()#', rf"\1#{salt}-", text))
        for color, variable in VARIABLES.items():
            text = text.replace(f": {color}", f": var({variable})")
        return re.sub(r"\s*\n", " ", text)

    svg = re.sub(r"<[^>]*>", clean, svg)
    svg = re.sub(r">\n\s*<", ">\n<", svg)
    width = 72 * plot.get_figwidth()
    size = f'style="min-width: {0.75 * width:.0f}px; max-width: {1.5 * width:.0f}px"'  # text stays readable
    label = f'{size} role="img" aria-label="{escape(description)}"'
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', lambda match: f"<svg {match[1]} {label}>", svg, count=1)
