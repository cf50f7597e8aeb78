"""Code blocks of the documentation."""

import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def shell_lines(page: Path) -> list[str]:
    """Return the lines of the shell blocks of a page, with continued lines joined."""
    return re.sub(r"\s*\\\n\s*", " ", "".join(blocks(page, "sh"))).splitlines()
