"""Identical snippets at the end of features are detected, reported and removed on request."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.padding import padding_of

KINDS = {"zeros": lambda values: np.zeros(values.shape[1]), "copies": lambda values: values[-1]}


def write(folder: Path, lengths: dict[str, tuple[int, int]], kind: str = "zeros") -> Path:
    """Write features by id with a number of real snippets, padded to a total length."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for video, (length, padded) in lengths.items():
        values = rng.normal(size=(length, 3)).astype(np.float32)
        rest = np.tile(KINDS[kind](values), (padded - length, 1)).astype(np.float32)
        np.save(folder / f"{video}.npy", np.concatenate([values, rest]))
    return folder


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(0, 600), st.booleans())
@settings(max_examples=150, deadline=None)
def test_padding_is_counted_from_the_end(head: list[int], tail: int, zeros: bool) -> None:
    """Compare with plain loops, for more snippets than are compared at a time."""
    rows = head + [0 if zeros else head[-1]] * tail
    run = 1
    while run < len(rows) and rows[-run - 1] == rows[-1]:
        run += 1
    expected = 0 if run == 1 else run - (rows[-1] != 0)
    assert padding_of(np.array(rows, np.float32)[:, None]) == min(expected, len(rows) - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_a_finding_and_is_trimmed_on_request(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / "f", {"a": (20, 50), "b": (50, 50), "c": (48, 50)}, kind)
    (finding,) = Dataset.open(folder).findings
    assert str(finding) == (
        "2 videos whose features end in identical snippets, such as 'a' (the last 30 of 50); this looks like padding; "
        "remove it with --trim-padding"
    )
    trimmed = FeatureSet.open(folder, trim_padding=True)
    assert [trimmed.length(video) for video in "abc"] == [20, 50, 48]
    assert [len(array) for _, array in trimmed.items()] == [20, 50, 48]
    np.testing.assert_array_equal(trimmed.read("a"), np.load(folder / "a.npy")[:20])
    (finding,) = Dataset.open(trimmed).findings
    assert str(finding) == "2 videos without the identical snippets at the end, such as 'a' (the last 30 of 50)"
    assert Dataset.open(trimmed.only("b")).findings == ()
    assert trimmed.state("a") != FeatureSet.open(folder).state("a")


def test_streams_are_padded_only_where_all_streams_are(tmp_path: Path) -> None:
    rgb = write(tmp_path / "rgb", {"a": (20, 50), "b": (50, 50)})
    flow = write(tmp_path / "flow", {"a": (30, 49), "b": (49, 49)})
    trimmed = FeatureSet.open([rgb, flow], trim_padding=True)
    assert [trimmed.length(video) for video in "ab"] == [30, 49]
    assert trimmed.read("a").shape == (30, 6)


def test_features_without_padding_are_unchanged(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", {f"v{index:03d}": (9, 9) for index in range(70)})
    assert Dataset.open(folder).findings == ()
    assert FeatureSet.open(folder, trim_padding=True).trimmed == {}
