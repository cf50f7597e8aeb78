"""The public surface: what it promises is there, whatever else was imported before."""

import inspect
import subprocess
import sys

import pytest

import sola


def test_every_public_name_can_be_imported() -> None:
    assert all(callable(getattr(sola, name)) or name.isupper() for name in sola.__all__)


def test_a_name_is_what_it_was_after_every_module_was_imported() -> None:
    script = """
import pkgutil, importlib, sola
before = {name: getattr(sola, name) for name in sola.__all__}
for module in pkgutil.walk_packages(sola.__path__, 'sola.'):
    if not module.name.endswith('__main__'):
        importlib.import_module(module.name)
assert before == {name: getattr(sola, name) for name in sola.__all__}
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_the_package_is_light() -> None:
    script = "import sys, sola; sola.SolaError; assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", [name for name in sola.__all__ if not name.isupper()])
def test_every_public_name_has_an_example(name: str) -> None:
    """`tests/system/test_examples.py` runs it."""
    assert ">>> import sola" in inspect.getdoc(getattr(sola, name))
