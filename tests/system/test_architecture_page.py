"""Files and functions named on the architecture page exist."""

import ast
import re

import pytest
from support.places import DOCS, REPOSITORY

PAGE = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
SOURCE = REPOSITORY / "src" / "sola"
STEPS = re.findall(r"^\| [^|]+ \| (`[^|]+`) \| (`[^|]+`) \|$", PAGE, flags=re.MULTILINE)


def defined(file: str) -> set[str]:
    """Return the names of functions, classes and methods (like `Trainer.fit`) in a file."""
    names = set()
    for node in ast.parse((SOURCE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


@pytest.mark.parametrize(("files", "functions"), STEPS)
def test_functions_of_a_step_are_defined_in_its_files(files: str, functions: str) -> None:
    names = set[str]().union(*map(defined, re.findall(r"`([^`]+)`", files)))
    assert set(re.findall(r"`([^`]+)`", functions)) <= names


def test_every_named_file_exists() -> None:
    for path in re.findall(r"`((?:\w+/)+\w+\.py)", PAGE):
        assert (SOURCE / path).is_file(), path
    assert len(STEPS) > 40
