"""ActionFormer decodes points to segments as defined in plain loops."""

import numpy as np
import pytest
import torch
from support.actionformer import small
from support.weights import noise

from sola.detectors.point_pyramid.points import PointPrediction


def random_prediction(lengths: tuple[int, ...] = (16, 8), classes: int = 3, valid: int = 11) -> PointPrediction:
    present = torch.tensor([16, valid])[:, None]
    return PointPrediction(
        tuple(3 * noise(2, n, classes, seed=n) - 3 for n in lengths),
        tuple(noise(2, n, 2, seed=50 + n).relu() for n in lengths),
        tuple(torch.arange(n) * 2**level < present for level, n in enumerate(lengths)),
    )


def decoded_in_loops(
    prediction: PointPrediction, clip: int, threshold: float, candidates: int, least: float
) -> list[tuple[float, ...]]:
    """Return sorted rows (start, end, label, score)."""
    decoded = []
    for level in range(len(prediction.logits)):
        scored = []
        for i, row in enumerate(prediction.logits[level][clip].tolist()):
            for c, logit in enumerate(row):
                score = 1 / (1 + np.exp(-logit))
                if prediction.masks[level][clip, i] and score > threshold:
                    scored.append((score, i, c))
        for score, i, c in sorted(scored, reverse=True)[:candidates]:
            left, right = prediction.offsets[level][clip, i].tolist()
            start, end = (i * 2**level + 0.5) - left * 2**level, (i * 2**level + 0.5) + right * 2**level
            if end - start > least:
                decoded.append((start, end, c, score))
    return sorted(decoded)


@pytest.mark.parametrize(
    ("classes", "threshold", "candidates"), [(3, 0.001, 2000), (3, 0.2, 2000), (3, 0.01, 7), (1, 0.01, 5)]
)
def test_decoding_equals_its_definition(classes: int, threshold: float, candidates: int) -> None:
    head = small(windows=(3, 3), classes=classes, threshold=threshold, candidates=candidates, min_duration=0.5)
    prediction = random_prediction(classes=classes)
    for clip, decoded in enumerate(head.decode(prediction)):
        got = sorted(zip(decoded.start, decoded.end, decoded.label, decoded.score, strict=True))
        expected = decoded_in_loops(prediction, clip, threshold, candidates, 0.5)
        assert len(expected) >= 3
        np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-5, atol=1e-5)


def test_decoding_the_targets_gives_the_instances() -> None:
    head = small(windows=(19,) * 6)
    instances, labels = torch.tensor([[2.25, 9.5], [20.0, 61.0]]), torch.tensor([1, 2])
    targets = head.targets([instances], [labels], 64)
    lengths = list(head.pyramid.lengths(64))
    aimed = PointPrediction(
        torch.logit(targets.classes, eps=1e-6).split(lengths, dim=1),
        targets.offsets.clamp(min=0).split(lengths, dim=1),
        tuple(torch.ones(1, n, dtype=torch.bool) for n in lengths),
    )
    (decoded,) = head.decode(aimed)
    assert set(zip(decoded.start.round(4), decoded.end.round(4), decoded.label, strict=True)) == {
        (2.25, 9.5, 1),
        (20.0, 61.0, 2),
    }


def test_no_score_above_the_threshold_gives_no_segment() -> None:
    prediction = random_prediction()
    silent = PointPrediction(tuple(x - 100 for x in prediction.logits), prediction.offsets, prediction.masks)
    assert [len(segments) for segments in small(windows=(3, 3)).decode(silent)] == [0, 0]
