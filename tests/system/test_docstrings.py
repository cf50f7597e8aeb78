"""The examples in docstrings give what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest
from support.places import REPOSITORY

SOURCE = REPOSITORY / "src"
WITH_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def docstrings(path: Path) -> dict[str, str]:
    """Those of the module, and of its classes and functions, by name."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    return {getattr(node, "name", path.stem): ast.get_docstring(node) or "" for node in nodes}


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_give_what_they_say(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    examples = [
        doctest.DocTestParser().get_doctest(text, vars(module), name, str(path), 0)
        for name, text in docstrings(path).items()
    ]
    assert any(example.examples for example in examples)
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples:
        runner.run(example, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0
