"""Videos that tests of extraction only read, and a check for threads that remain."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.rendering import corners, render, turned


@pytest.fixture
def no_thread_remains() -> Iterator[None]:
    """Check that a test leaves no thread behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six videos of different kinds."""
    folder = tmp_path_factory.mktemp("clips")
    times = np.sort(np.random.default_rng(0).uniform(0, 12, 50))
    return {
        "avi": render(folder / "avi.avi", count=55, rate=15),
        "mkv": render(folder / "mkv.mkv", times=times - times[0]),
        "mp4": render(folder / "mp4.mp4", count=100, rate=25, options={"preset": "fast", "bf": "2"}),
        "sound": render(folder / "sound.mp4", count=30, sound=4.0),
        "turned": turned(render(folder / "turned.mp4", pictures=[corners()] * 25), 90),
        "webm": render(folder / "webm.webm", count=70, rate=30),
    }


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A truncated video."""
    path = render(tmp_path_factory.mktemp("bad") / "bad.mkv", count=200)
    path.write_bytes(path.read_bytes()[:6000])
    return path
