"""Frame accuracy, Edit and F1 against plain loops, and against MS-TCN's program from a clone."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.evaluation.metrics.segmentation import OVERLAPS, edit_score, runs, segmentation

LABELS = st.lists(st.integers(-1, 3), min_size=1, max_size=30).map(np.array)
PAIRS = st.lists(
    st.integers(1, 30).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-1, 3), min_size=n, max_size=n)] * 2)),
    min_size=1,
    max_size=4,
).map(lambda pairs: [(np.array(a), np.array(b)) for a, b in pairs])


def segments_in_loops(labels: list[int]) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for frame, label in enumerate(labels):
        if label < 0:
            continue
        if frame and labels[frame - 1] == label:
            found[-1] = (label, found[-1][1], frame + 1)
        else:
            found.append((label, frame, frame + 1))
    return found


def distance(a: list[int], b: list[int]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


def f1_in_loops(pairs: list[tuple[np.ndarray, np.ndarray]], overlap: float) -> float:
    true = false = missed = 0
    for predicted, annotated in pairs:
        wanted = segments_in_loops(annotated.tolist())
        taken: set[int] = set()
        for label, first, last in segments_in_loops(predicted.tolist()):
            best, most = 0, 0.0
            for index, (own, start, end) in enumerate(wanted):
                iou = max(min(last, end) - max(first, start), 0) / (max(last, end) - min(first, start))
                if label == own and iou > most:
                    best, most = index, iou
            if most >= overlap and best not in taken:
                taken.add(best)
                true += 1
            else:
                false += 1
        missed += len(wanted) - len(taken)
    return 2 * true / max(2 * true + false + missed, 1)


@given(PAIRS)
def test_figures_equal_plain_loops(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    got = segmentation(pairs)
    frames = [(a, b) for predicted, annotated in pairs for a, b in zip(predicted, annotated, strict=True)]
    assert got.accuracy == pytest.approx(sum(a == b for a, b in frames) / len(frames))
    assert got.f1 == pytest.approx([f1_in_loops(pairs, overlap) for overlap in OVERLAPS])
    for labels, _ in pairs:
        assert list(zip(*runs(labels), strict=True)) == segments_in_loops(labels.tolist())


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_edit_is_levenshteins_distance(a: list[int], b: list[int]) -> None:
    longest = max(len(a), len(b))
    assert edit_score(a, b) == pytest.approx(1 - distance(a, b) / longest if longest else 1)
    assert edit_score(a, b) == edit_score(b, a)


@given(LABELS)
def test_a_perfect_prediction_has_every_figure_1(labels: np.ndarray) -> None:
    got = segmentation([(labels, labels)])
    assert (got.accuracy, got.edit) == (1, 1)
    assert set(got.f1) == ({1.0} if (labels >= 0).any() else {0.0})


def test_figures_equal_the_published_program() -> None:
    clone = os.environ.get("SOLA_MSTCN_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_MSTCN_REFERENCE: name a clone of yabufarha/ms-tcn to compare with it")
    # the program is Python 2 from its function `main` on
    source = Path(clone, "eval.py").read_text().partition("def main")[0]
    theirs: dict[str, Any] = {}
    exec(re.sub(r"np\.float\b", "float", source), theirs)
    rng = np.random.default_rng(0)
    names = np.array(["background", "take", "pour", "stir", "put"])
    pairs, edits, counts = [], [], np.zeros((len(OVERLAPS), 3))
    for frames in rng.integers(50, 900, 40).tolist():
        annotated = np.repeat(rng.integers(-1, 4, 60), rng.integers(1, 40, 60))[:frames]
        annotated[0] = 0  # their program needs a segment
        shift = rng.integers(0, 9)
        predicted = np.where(rng.random(len(annotated)) < 0.05, rng.integers(-1, 4), np.roll(annotated, shift))
        pairs.append((predicted, annotated))
        words = [names[labels + 1].tolist() for labels in (predicted, annotated)]
        edits.append(theirs["edit_score"](*words))
        counts += [theirs["f_score"](*words, overlap) for overlap in OVERLAPS]
    true, false, missed = counts.T
    precision, recall = true / (true + false), true / (true + missed)
    got = segmentation(pairs)
    assert got.edit == pytest.approx(np.mean(edits) / 100, abs=1e-12)
    assert got.f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-12)
