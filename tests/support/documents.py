"""Code blocks of the documentation."""

import re
from collections.abc import Mapping
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def shell_lines(page: Path) -> list[str]:
    """Return the lines of the shell blocks of a page, with continued lines joined."""
    return re.sub(r"\s*\\\n\s*", " ", "".join(blocks(page, "sh"))).splitlines()


def run_script(page: Path, number: int = 0, *, replacing: Mapping[str, str] | None = None) -> None:
    """Run one of the Python blocks of a page, with some of its text replaced."""
    code = blocks(page, "python")[number]
    for old, new in (replacing or {}).items():
        code = code.replace(old, new)
    exec(compile(code, page.name, "exec"), {})
