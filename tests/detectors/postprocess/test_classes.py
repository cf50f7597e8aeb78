"""Class scores from every file layout, their fusion with proposals, and scores from snippets."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.class_scores import read_classifier, thumos14_layout
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.detectors.postprocess.classes import fuse, share_of_top_two, snippet_class_scores

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
SCORES = {"a": [0.1, 0.7, 0.2], "b": [0.6, 0.3, 0.1]}
NAMES = ["jump", "run", "swim"]


def write(folder: Path, results: Any, **others: Any) -> Path:
    path = folder / "scores.json"
    path.write_text(json.dumps({"results": results, **others}))
    return path


def random_proposals(seed: int, n: int, longest: float = 6.0) -> Segments:
    rng = np.random.default_rng(seed)
    start = rng.uniform(-1, 10, n)
    return Segments(start, start + rng.uniform(0, longest, n), np.zeros(n, np.int64), rng.uniform(0, 1, n))


@pytest.mark.parametrize("key", ["class", "classes"])
def test_named_scores_are_sorted_in_the_requested_order(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, SCORES, **{key: NAMES})
    got = read_classifier(path, videos=["b", "a"], classes=["swim", "jump", "run"])
    assert got.scores.tolist() == [[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]]


def test_classes_can_be_a_subset_of_the_file(tmp_path: Path) -> None:
    got = read_classifier(write(tmp_path, SCORES, **{"class": NAMES}), videos=["a"], classes=["run"])
    assert got.scores.tolist() == [[0.7]]


@pytest.mark.parametrize(("in_file", "requested"), [("v_a", "a"), ("a", "v_a"), ("v_a", "v_a")])
def test_video_ids_match_with_or_without_their_prefix(tmp_path: Path, in_file: str, requested: str) -> None:
    got = read_classifier(write(tmp_path, {in_file: [1, 2, 3]}), videos=[requested], classes=NAMES)
    assert got.of(requested).tolist() == [1, 2, 3]


def test_columns_name_a_json_file_without_names(tmp_path: Path) -> None:
    got = read_classifier(write(tmp_path, SCORES), videos=["a"], classes=["swim", "run"], columns=NAMES)
    assert got.scores.tolist() == [[0.2, 0.7]]


def test_scores_in_a_nested_row_are_read(tmp_path: Path) -> None:
    got = read_classifier(write(tmp_path, {"a": [[0.1, 0.7, 0.2]]}), videos=["a"], classes=NAMES)
    assert got.scores.tolist() == [[0.1, 0.7, 0.2]]


def test_missing_labeled_scores_are_zero(tmp_path: Path) -> None:
    entries = [{"label": "swim", "score": 0.8}, {"label": "jump", "score": 0.1}]
    got = read_classifier(write(tmp_path, {"a": entries, "b": []}), videos=["a"], classes=NAMES)
    assert got.scores.tolist() == [[0.1, 0.0, 0.8]]


def test_an_array_is_indexed_by_the_names_of_its_rows_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "scores.npy"
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(path, values)
    got = read_classifier(path, videos=["b"], classes=["swim", "jump"], rows=["a", "b"], columns=NAMES)
    assert got.scores.tolist() == [[5, 3]]


def test_the_array_for_thumos14_is_indexed_as_in_published_code(tmp_path: Path) -> None:
    path = tmp_path / "uNet_test.npy"
    values = np.arange(30 * 101, dtype=np.float64).reshape(30, 101)
    np.save(path, values)
    rows, columns = thumos14_layout(30)
    got = read_classifier(
        path,
        videos=["video_test_0000026"],
        classes=["VolleyballSpiking", "BaseballPitch"],
        rows=rows,
        columns=columns,
    )
    assert got.scores.tolist() == [[values[25, 96], values[25, 6]]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"results": {"b": [1, 2, 3]}}, "no video 'a'"),
        ({"results": {"a": [1, 2]}}, "'a' has 2 scores; expected 3"),
        ({"results": {"a": [1, 2, 3]}, "class": ["jump", "run", "fly"]}, "no class 'swim'"),
        ({"results": {"a": [1, float("nan"), 3]}}, "'a' has a score that is not finite"),
        ({"results": {"a": [1, -2, 3]}}, "'a' has a negative score"),
        ({"results": {"a": [1, "x", 3]}}, "the score 'x'"),
        ({"results": {"a": 3}}, "no list of scores"),
        ({"results": {"a": [{"label": "fly", "score": 1}]}}, "label 'fly'"),
        ({"results": {"a": [{"label": "run"}]}}, 'without "label"'),
        ({"results": {"a": [{"label": ["run"], "score": 1}]}}, r"label \['run'\]"),
        ({"results": {"a": [1, 10**400, 3]}}, "'a' has a score that is not finite"),
        ({"results": {"a": [1, 2, 3]}, "class": 3}, "not a list of names"),
        ({"result": {}}, 'no object "results"'),
        ([], 'no object "results"'),
    ],
)
def test_bad_json_is_reported(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SolaError, match=message):
        read_classifier(path, videos=["a"], classes=NAMES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((3, 3)), r"expected numbers of shape \(2, 3\)"),
        (np.ones((2, 4)), r"expected numbers of shape \(2, 3\)"),
        (np.array([["x"] * 3] * 2), "expected numbers"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), "'b' has a score that is not finite"),
        (np.array([[None] * 3] * 2), "cannot be read"),
    ],
)
def test_bad_arrays_are_reported(tmp_path: Path, values: np.ndarray, message: str) -> None:
    path = tmp_path / "scores.npy"
    np.save(path, values, allow_pickle=True)
    with pytest.raises(SolaError, match=message):
        read_classifier(path, videos=["a", "b"], classes=NAMES, rows=["a", "b"], columns=NAMES)


@pytest.mark.parametrize("name", ["scores.npy", "scores.json"])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(SolaError, match="no such file"):
        read_classifier(tmp_path / name, videos=["a"], classes=NAMES)


def test_a_video_without_scores_is_reported(tmp_path: Path) -> None:
    got = read_classifier(write(tmp_path, SCORES), videos=["a"], classes=NAMES)
    with pytest.raises(SolaError, match="'b'"):
        got.of("b")


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 6),
    top=st.integers(1, 4),
    combine=st.sampled_from(["product", "sqrt"]),
    per_proposal=st.booleans(),
)
def test_fusion_equals_a_plain_loop(
    seed: int, n: int, top: int, combine: Literal["product", "sqrt"], per_proposal: bool
) -> None:
    proposals = random_proposals(seed, n)
    rng = np.random.default_rng(seed + 1)
    scores = np.round(rng.uniform(0, 1, (n, 4) if per_proposal else 4), 1)  # rounded, so that some are equal
    got = fuse(proposals, scores, classes_per_proposal=top, combine=combine)
    expected = []
    for rank in range(top):
        for i in range(n):
            row = (scores[i] if per_proposal else scores).tolist()
            label = sorted(range(4), key=lambda c: (-row[c], c))[rank]
            product = proposals.score[i] * row[label]
            expected.append((proposals.start[i], label, product**0.5 if combine == "sqrt" else product))
    assert list(zip(got.start.tolist(), got.label.tolist(), strict=True)) == [row[:2] for row in expected]
    assert got.score.tolist() == pytest.approx([row[2] for row in expected], rel=1e-12)


def test_the_lower_index_of_equal_classes_comes_first() -> None:
    scores = np.random.default_rng(0).integers(0, 4, 200) / 4
    expected = sorted(range(200), key=lambda c: (-scores[c], c))
    assert fuse(random_proposals(0, 1), scores, classes_per_proposal=200).label.tolist() == expected


@pytest.mark.parametrize(
    ("scores", "top", "message"),
    [
        ([0.5, 0.5], 3, "expected 1 to 2"),
        ([0.5, 0.5], 0, "expected 1 to 2"),
        ([[0.5, 0.5]] * 3, 1, "3 rows of class scores for 2 proposals"),
        ([0.5, -0.5], 1, "class score is negative"),
        ([0.5, float("nan")], 1, "class score is negative or not finite"),
    ],
)
def test_bad_fusions_are_reported(scores: list[Any], top: int, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        fuse(random_proposals(0, 2), np.array(scores), classes_per_proposal=top)


def test_share_of_top_two_of_each_row() -> None:
    got = share_of_top_two(np.array([[0.6, 0.1, 0.2], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(got, [[0.75, 0.125, 0.25], [0, 0, 0]])


def test_share_of_top_two_needs_two_classes() -> None:
    with pytest.raises(SolaError, match="two classes"):
        share_of_top_two(np.ones(1))


@PROPERTY
@given(seed=st.integers(0, 10_000), length=st.integers(1, 15), longest=st.sampled_from([0.3, 6.0]))
def test_snippet_scores_equal_plain_means(seed: int, length: int, longest: float) -> None:
    proposals = random_proposals(seed, 8, longest)
    probabilities = np.random.default_rng(seed).uniform(0, 1, (length, 3))
    grid = SnippetGrid(fps=15, stride=8, window=16, offset=3)
    got = snippet_class_scores(proposals, probabilities, grid)
    centers = [(3 + 8 * i + 8) / 15 for i in range(length)]
    for row, start, end in zip(got, proposals.start, proposals.end, strict=True):
        inside = [i for i, center in enumerate(centers) if start <= center < end]
        if not inside:
            inside = [min(range(length), key=lambda i: abs(centers[i] - (start + end) / 2))]
        np.testing.assert_allclose(row, [np.mean([probabilities[i, c] for i in inside]) for c in range(3)], rtol=1e-9)


def test_snippet_scores_differ_by_proposal() -> None:
    proposals = Segments(np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.zeros(2, np.int64), np.ones(2))
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.2, 0.8]] * 2, np.float32)
    scores = snippet_class_scores(proposals, probabilities, SnippetGrid(fps=1))
    assert fuse(proposals, scores, classes_per_proposal=1).label.tolist() == [0, 1]


@pytest.mark.parametrize("probabilities", [np.empty((0, 2)), np.full((2, 2), np.nan)])
def test_bad_snippet_probabilities_are_reported(probabilities: np.ndarray) -> None:
    with pytest.raises(SolaError):
        snippet_class_scores(random_proposals(0, 2), probabilities, SnippetGrid(fps=1))
