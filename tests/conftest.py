"""Shapes and types of every signature are checked while the tests run; files with slow tests go first."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest

jaxtyping.install_import_hook("sola", "support.typechecking.check")

import matplotlib  # noqa: E402  (the hook must stand before anything imports sola)

from sola.softlanding import recipes  # noqa: E402

matplotlib.use("Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and "SOLA_LONG" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="takes long: set SOLA_LONG=1"))
    # a process takes a file at a time: the long ones first, so that none is left for the end
    slow = Counter(item.path for item in items if runs_slowly(item))
    items.sort(key=lambda item: -slow[item.path])


def runs_slowly(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None and item.get_closest_marker("skip") is None


@pytest.fixture(autouse=True)
def no_shown_log() -> Iterator[None]:
    """A command run in this process shows the log; the next test starts without."""
    yield
    logging.getLogger("sola").handlers.clear()
    logging.getLogger("sola").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("SOLA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name its folder in SOLA_TEST_DATA")
    return folder


@pytest.fixture
def short_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe auto with a training of a few batches."""
    monkeypatch.setitem(
        recipes.RECIPES,  # type: ignore[arg-type]  # a dict
        "auto",
        lambda: recipes.MultiScaleRecipe({"largest_step": None, "batches": 2}),
    )
