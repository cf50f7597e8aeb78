"""Frame accuracy, Edit score and F1 of segmentations with one class a frame (Lea et al., CVPR 2017)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from sola.data.segments import BACKGROUND

OVERLAPS = (0.10, 0.25, 0.50)
"""IoU thresholds of F1, as papers on GTEA, 50 Salads and Breakfast report it."""


@dataclass(frozen=True)
class Segmentation:
    """Figures over all videos, as fractions."""

    accuracy: float
    """Share of frames with the right label; background counts as a label."""
    edit: float
    """Mean over videos of the similarity of the sequences of actions."""
    f1: tuple[float, ...]
    """F1 of segments at each of `OVERLAPS`, counted over all videos."""


def segmentation(
    videos: Iterable[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]], *, background: bool = False
) -> Segmentation:
    """Return the figures of videos, each a pair of predicted and annotated labels of its frames.

    Segments are runs of equal labels; those of `BACKGROUND` are left out of Edit and F1 unless `background`. A video
    without any predicted and annotated segment has an Edit score of 1. Equal to `eval.py` of MS-TCN (Abu Farha and
    Gall, CVPR 2019).

    >>> truth = np.array([-1, 0, 0, 1, 1, 1])
    >>> segmentation([(np.array([0, 0, 0, 1, 1, -1]), truth)])
    Segmentation(accuracy=0.6666666666666666, edit=1.0, f1=(1.0, 1.0, 1.0))
    """
    right = frames = 0
    edits = []
    counts = np.zeros((3, len(OVERLAPS)))
    for predicted, annotated in videos:
        right += int((predicted == annotated).sum())
        frames += len(annotated)
        found, wanted = runs(predicted, background), runs(annotated, background)
        edits.append(edit_score(found[0], wanted[0]))
        counts += segment_counts(found, wanted)
    true, false, missed = counts
    f1 = 2 * true / np.maximum(2 * true + false + missed, 1)
    return Segmentation(right / max(frames, 1), float(np.mean(edits)) if edits else 0.0, tuple(map(float, f1)))


def runs(
    labels: Int[np.ndarray, " frames"], background: bool = False
) -> tuple[Int[np.ndarray, " segments"], Int[np.ndarray, " segments"], Int[np.ndarray, " segments"]]:
    """Return label, first frame and the frame after the last of each run of equal labels.

    Those of `BACKGROUND` are left out unless `background`.

    >>> runs(np.array([-1, 3, 3, 2]))
    (array([3, 2]), array([1, 3]), array([3, 4]))
    """
    edges = np.flatnonzero(np.diff(labels)) + 1
    first = np.concatenate(([0], edges)) if len(labels) else edges
    last = np.concatenate((edges, [len(labels)])) if len(labels) else edges
    kept = (labels[first] != BACKGROUND) | background
    return labels[first][kept], first[kept], last[kept]


def edit_score(found: Sequence[int] | np.ndarray, wanted: Sequence[int] | np.ndarray) -> float:
    """Return 1 - Levenshtein distance / length of the longer sequence.

    >>> edit_score([1, 2, 3], [1, 3, 3, 4])
    0.5
    """
    longest = max(len(found), len(wanted))
    if not longest:
        return 1.0
    row = np.arange(len(wanted) + 1)
    for number, label in enumerate(found, 1):
        # insertions, the only dependence within a row, are a running minimum
        step = np.minimum(row[1:] + 1, row[:-1] + (np.asarray(wanted) != label))
        candidates = np.concatenate(([number], step)) - np.arange(len(row))
        row = np.minimum.accumulate(candidates) + np.arange(len(row))
    return 1 - float(row[-1]) / longest


def segment_counts(
    found: tuple[np.ndarray, np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Int[np.ndarray, "3 overlaps"]:
    """Return the numbers of true positives, false positives and missed segments at each of `OVERLAPS`.

    In the order of time, a predicted segment takes the annotated one of its label that it overlaps most, and is a false
    positive if another has taken it, or if their IoU is below the threshold.
    """
    counts = np.zeros((3, len(OVERLAPS)), np.int64)
    counts[1], counts[2] = len(found[0]), len(wanted[0])
    if not len(found[0]) or not len(wanted[0]):
        return counts
    (label, first, last), (own, start, end) = [column[:, None] for column in found], wanted
    shared = np.minimum(last, end) - np.maximum(first, start)
    iou = np.where(label == own, shared / (np.maximum(last, end) - np.minimum(first, start)), 0)
    best = iou.argmax(axis=1)
    most = iou[np.arange(len(best)), best]
    for index, overlap in enumerate(OVERLAPS):
        true = len(np.unique(best[most >= overlap]))
        counts[:, index] += np.array([true, -true, -true])
    return counts
