"""Check the shapes and types of every signature while the tests run, and schedule files with slow tests first."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest

jaxtyping.install_import_hook("sola", "support.typechecking.check")

import matplotlib  # noqa: E402  (the hook must be installed before anything imports sola)

from sola.softlanding import recipes  # noqa: E402

matplotlib.use("Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and "SOLA_LONG" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="takes long: set SOLA_LONG=1 to run it"))
    # each process takes one file at a time: schedule the slowest files first so that none starts last
    slow = Counter(item.path for item in items if runs_slowly(item))
    items.sort(key=lambda item: -slow[item.path])


def runs_slowly(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None and item.get_closest_marker("skip") is None


@pytest.fixture(autouse=True)
def reset_logging() -> Iterator[None]:
    """Remove the log handlers that a command installs when it runs in this process."""
    yield
    logging.getLogger("sola").handlers.clear()
    logging.getLogger("sola").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data; tests that use it are skipped if it is missing."""
    folder = Path(os.environ.get("SOLA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SOLA_TEST_DATA to its folder")
    return folder


@pytest.fixture
def short_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the training of the `auto` recipe to a few batches."""
    monkeypatch.setitem(
        recipes.RECIPES,  # type: ignore[arg-type]  # a dict
        "auto",
        lambda: recipes.MultiScaleRecipe({"largest_step": None, "batches": 2}),
    )
