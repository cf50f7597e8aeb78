"""`--explain` describes the conversion from frames to seconds to units and back."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.data.timing import SnippetGrid
from sola.detectors.clips import Clipping

WORLD = SyntheticWorld(training_videos=3, validation_videos=2, length=80, channels=8, action_length=10)
positive = st.floats(0.1, 60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "world"
    write(WORLD, folder, seed=0)
    return folder


@settings(max_examples=500, deadline=None)
@given(
    grid=st.builds(SnippetGrid, fps=positive, stride=positive, window=positive, offset=st.floats(-50, 50)),
    snippets=st.integers(1, 5000),
    clipping=st.one_of(
        st.builds(Clipping, length=st.integers(1, 300)),
        st.builds(Clipping, length=st.none(), snippets_per_unit=st.integers(1, 9)),
        st.builds(Clipping, length=st.integers(1, 300), window_size=st.integers(1, 600)),
    ),
    at=st.floats(0, 1),
)
def test_converting_seconds_to_units_and_back_gives_the_same_seconds(grid, snippets, clipping, at):
    for first in clipping.starts(snippets)[:3]:
        placement = clipping.placement(first, snippets, grid)
        seconds = grid.edge(0) + at * (grid.edge(snippets) - grid.edge(0))
        assert placement.seconds(placement.units(seconds)) == pytest.approx(seconds, abs=1e-6)
        # unit 0 and unit T are the edges of the clip's first and last snippet
        last = first + (clipping.window_size or snippets)
        assert placement.seconds(0.0) == pytest.approx(grid.edge(first), abs=1e-6)
        assert placement.seconds(float(clipping.units(snippets))) == pytest.approx(grid.edge(last), abs=1e-6)


@settings(max_examples=300, deadline=None)
@given(grid=st.builds(SnippetGrid, fps=positive, stride=positive, window=positive), index=st.integers(0, 5000))
def test_with_one_snippet_per_unit_centers_are_at_half_units(grid, index):
    placement = Clipping(None).placement(0, 10, grid)
    assert placement.units(grid.seconds(float(index))) == pytest.approx(index + 0.5, abs=1e-6)


def explained(capsys: pytest.CaptureFixture[str], world: Path, *flags: object) -> str:
    video = sorted(path.stem for path in (world / "features").glob("*.npy"))[0]
    code = sola(
        "train-detector", world / "features", "--annotations", world / "annotations.json", "--out", "nowhere",
        "--explain", video, *flags,
    )  # fmt: skip
    assert code == 0
    return capsys.readouterr().out


def test_the_numbers_of_the_explanation_are_consistent(world, capsys):
    text = explained(capsys, world, "--model", "actionformer", "--recipe", "gtea")
    snippets = int(re.search(r": (\d+) snippets", text)[1])
    assert f"{round(snippets / 4)} units" in text
    unit = float(re.search(r"u·([\d.]+) s", text)[1])
    assert unit * round(snippets / 4) == pytest.approx(snippets / 4.0, abs=1e-3)  # four features per second
    rows = re.findall(r"([\d.]+) s to ([\d.]+) s: units ([\d.]+) to ([\d.]+) .*back ([\d.]+) s to ([\d.]+) s", text)
    assert rows
    for start, end, low, high, back_start, back_end in np.array(rows, float):
        assert (back_start, back_end) == (start, end)
        assert (low * unit, high * unit) == pytest.approx((start, end), abs=2e-3)


def test_windows_are_described(world, capsys):
    text = explained(capsys, world, "--model", "bmn", "--length", "16", "--window-size", "32", "--max-duration", "8")
    assert "clips of 32 snippets in 16 units" in text


def test_explain_writes_no_files(world, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explained(capsys, world, "--model", "bmn")
    assert not list(tmp_path.iterdir())


def test_an_unknown_video_is_refused(world, capsys):
    line = refused(
        capsys, "train-detector", world / "features", "--annotations", world / "annotations.json",
        "--model", "bmn", "--out", "x",
        "--explain", "nobody",
    )  # fmt: skip
    assert "--explain nobody: no such video" in line
