"""Assign classes to proposals, from class scores of the video or snippet probabilities inside each proposal."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid


def share_of_top_two(class_scores: Float[np.ndarray, "*n classes"]) -> Float[np.ndarray, "*n classes"]:
    """Divide class scores by the sum of the two best, p/(p₁ + p₂), like G-TAD on HACS.

    If all scores are 0, the result is 0.

    Raises:
        SolaError: if there are fewer than two classes.

    >>> share_of_top_two(np.array([0.6, 0.1, 0.2]))
    array([0.75 , 0.125, 0.25 ])
    """
    if class_scores.shape[-1] < 2:
        raise SolaError(f"the share of the two best classes needs two classes, not {class_scores.shape[-1]}")
    best = np.partition(class_scores, -2, axis=-1)[..., -2:].sum(-1, keepdims=True)
    share: np.ndarray = np.divide(class_scores, best, out=np.zeros(class_scores.shape), where=best > 0)
    return share


def fuse(
    proposals: Segments,
    class_scores: Float[np.ndarray, "n classes"] | Float[np.ndarray, " classes"],
    *,
    classes_per_proposal: int,
    combine: Literal["product", "sqrt"] = "product",
) -> Segments:
    """Return each proposal once for each of its `classes_per_proposal` best classes, with the class index as label.

    Args:
        proposals: the proposals.
        class_scores: one row for the video, or one row per proposal.
        classes_per_proposal: number of classes per proposal.
        combine: "product" multiplies the scores of proposal and class (G-TAD, BMN, OpenTAD); "sqrt" takes the square
            root of the product (ActionFormer).

    Returns:
        All proposals with their best class, followed by all proposals with their second best class, and so on. Of
        classes with equal scores, the lower index comes first.

    Raises:
        SolaError: if a value is out of range, the number of rows is wrong, or a score is negative or not finite.

    >>> proposal = Segments(np.array([1.0]), np.array([2.0]), np.array([0]), np.array([0.5]))
    >>> labeled = fuse(proposal, np.array([0.1, 0.5, 0.4]), classes_per_proposal=2)
    >>> labeled.label, labeled.score
    (array([1, 2]), array([0.25, 0.2 ]))
    """
    n, classes = len(proposals), class_scores.shape[-1]
    top = classes_per_proposal
    if not 1 <= top <= classes:
        raise SolaError(f"classes_per_proposal={top}: expected 1 to {classes}, the number of classes")
    if class_scores.ndim == 2 and len(class_scores) != n:
        raise SolaError(f"{len(class_scores)} rows of class scores for {n} proposals; expected one row per proposal")
    for name, scores in (("proposal", proposals.score), ("class", class_scores)):
        if not (np.isfinite(scores) & (scores >= 0)).all():
            raise SolaError(f"a {name} score is negative or not finite; expected 0 or more")
    best = np.argsort(-class_scores, axis=-1, kind="stable")[..., :top]
    score = np.take_along_axis(class_scores, best, axis=-1)
    label = np.broadcast_to(best, (n, top)).T.ravel().astype(np.int64)
    fused = (np.broadcast_to(score, (n, top)) * proposals.score.astype(np.float64)[:, None]).T.ravel()
    if combine == "sqrt":
        fused = np.sqrt(fused)
    return Segments(np.tile(proposals.start, top), np.tile(proposals.end, top), label, fused)


def snippet_class_scores(
    proposals: Segments, probabilities: Float[np.ndarray, "snippets classes"], grid: SnippetGrid
) -> Float[np.ndarray, "n classes"]:
    """Return the mean class probabilities over the snippets with their center in each proposal (start ≤ center < end).

    A proposal without a snippet center uses the snippet nearest to its center.

    Raises:
        SolaError: if there are no snippets, or a probability is not finite.

    >>> proposals = Segments(np.array([0.0, 2.6]), np.array([2.0, 2.7]), np.array([0, 0]), np.ones(2))
    >>> snippet_class_scores(proposals, np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), SnippetGrid(fps=1))
    array([[0.75, 0.25],
           [0.  , 1.  ]])
    """
    length = len(probabilities)
    if length == 0:
        raise SolaError("class probabilities of no snippets; expected one row per snippet")
    if not np.isfinite(probabilities).all():
        raise SolaError("a class probability of a snippet is not finite; expected a finite number")
    first, stop = grid.inside(proposals, length)
    nearest = np.floor(grid.index((proposals.start + proposals.end) / 2) + 0.5).clip(0, length - 1).astype(np.int64)
    empty = stop <= first
    first = np.where(empty, nearest, first)
    stop = np.where(empty, nearest + 1, stop)
    cumulative = np.concatenate([np.zeros((1, probabilities.shape[1])), probabilities.cumsum(0, np.float64)])
    mean: np.ndarray = (cumulative[stop] - cumulative[first]) / (stop - first)[:, None]
    return mean
