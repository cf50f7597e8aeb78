"""The pages of the documentation: their commands parse, and the site leads to each of them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import shell_lines
from support.places import DOCS

from sola.cli.app import app

PARTS = ("tutorials", "datasets", "guides", "explanation", "results")
PAGES = sorted(path for folder in PARTS for path in (DOCS / folder).glob("*.md"))


def commands(page: Path) -> Iterator[str]:
    """Command lines of `sola` in the shell blocks of a page, without comments and shell syntax around them."""
    for line in shell_lines(page):
        _, separator, command = line.partition("sola ")
        if separator and not line.lstrip().startswith(("#", "pip ")):
            yield re.split(r"[|;>]| && ", command)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_parses(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(re.sub(r"\$\w+", "1", command), comments=True)
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_site_leads_to_every_page() -> None:
    linked = re.findall(r"^(?:.*<)?([\w/-]+)>?$", (DOCS / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES} <= set(linked)
