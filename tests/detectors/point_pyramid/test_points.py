"""Compare points, targets and loss of ActionFormer with their description in plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.point_pyramid.loss import OffsetLoss, distance_iou_loss, focal_loss
from sola.detectors.point_pyramid.points import PointPrediction, PointPyramid, PointTargets

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
RANGES = [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10_000)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def matched(
    snippets: int, instances: list[tuple[float, float]], labels: list[int], ranges: list[tuple[float, float]]
) -> list[tuple[set[int], tuple[float, float] | None]]:
    """Return the target classes and offsets (strides) of each point."""
    targets = []
    for level, (low, high) in enumerate(ranges):
        stride = 2**level
        for i in range(snippets // stride):
            at = i * stride + 0.5
            fitting = []
            for n, (start, end) in enumerate(instances):
                near = abs(at - (start + end) / 2) < 1.5 * stride
                if start < at < end and near and low <= max(at - start, end - at) <= high:
                    fitting.append((end - start, n))
            if not fitting:
                targets.append((set(), None))
                continue
            length, first = min(fitting)
            classes = {labels[n] for size, n in fitting if size <= length + 1e-3}
            start, end = instances[first]
            targets.append((classes, ((at - start) / stride, (end - at) / stride)))
    return targets


def check_targets(instances: list[tuple[float, float]], labels: list[int], snippets: int = 64) -> PointTargets:
    targets = PointPyramid().targets(
        [torch.tensor(instances, dtype=torch.float64).view(-1, 2)], [torch.tensor(labels).long()], snippets, 3
    )
    expected = matched(snippets, instances, labels, RANGES)
    assert targets.classes.shape == (1, len(expected), 3)
    for point, (classes, offsets) in enumerate(expected):
        assert set(targets.classes[0, point].nonzero().flatten().tolist()) == classes, f"point {point}"
        if offsets is not None:
            assert targets.offsets[0, point].tolist() == pytest.approx(offsets, abs=1e-5)
    return targets


segments = st.tuples(st.integers(0, 500), st.integers(1, 640)).map(lambda s: (s[0] / 10, (s[0] + s[1]) / 10))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(segments, st.integers(0, 2)), max_size=6))
def test_targets_equal_the_description(clip: list[tuple[tuple[float, float], int]]) -> None:
    check_targets([segment for segment, _ in clip], [label for _, label in clip])


def test_the_shortest_action_is_the_target_and_equally_short_actions_add_their_classes() -> None:
    targets = check_targets([(10.0, 17.0), (11.0, 16.0), (11.0, 16.0005), (11.0, 16.0)], [0, 1, 2, 1])
    assert targets.classes[0, 13].tolist() == [0, 1, 1]
    assert targets.offsets[0, 13].tolist() == [2.5, 2.5]


def test_ranges_include_both_ends() -> None:
    """The point at 8.5 is 4 units from both ends of [4.5, 12.5], which is in the ranges of the first two levels."""
    targets = check_targets([(4.5, 12.5)], [0], 64)
    assert targets.classes[0, 8, 0] == 1
    assert targets.classes[0, 64 + 4, 0] == 1
    assert targets.offsets[0, 64 + 4].tolist() == [2, 2]


def test_points_are_at_the_centers_of_the_strided_convolutions() -> None:
    pyramid = PointPyramid(3)
    assert [pyramid.positions(level, 2).tolist() for level in range(3)] == [[0.5, 1.5], [0.5, 2.5], [0.5, 4.5]]
    assert pyramid.lengths(12) == pyramid.lengths(9) == (12, 6, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levels": 0}, "levels=0"),
        ({"radius": 0.0}, "radius=0"),
        ({"levels": 2, "ranges": [(0, 4)]}, "each of the 2 levels"),
        ({"levels": 1, "ranges": [(4, 0)]}, "ranges"),
    ],
)
def test_pyramid_out_of_range_is_refused(values: dict, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        PointPyramid(**values)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([[3]], "label 3"), ([[-1]], "label -1"), ([[0, 1]], "numbers of instances and labels differ")],
)
def test_labels_that_do_not_fit_are_refused(labels: list[list[int]], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        PointPyramid().targets([torch.tensor([[1.0, 5.0]])], [torch.tensor(clip) for clip in labels], 64, 3)


def prediction(points: tuple[int, ...] = (8, 4), batch: int = 2, classes: int = 3) -> PointPrediction:
    valid = torch.tensor([points[0], 5])[:batch, None]
    return PointPrediction(
        tuple(noise(batch, n, classes, seed=n).requires_grad_() for n in points),
        tuple(noise(batch, n, 2, seed=9 + n).relu().requires_grad_() for n in points),
        tuple(torch.arange(n) * 2**level < valid for level, n in enumerate(points)),
    )


def targets(points: int = 12, batch: int = 2, classes: int = 3, share: float = 0.3) -> PointTargets:
    uniform = torch.rand(batch, points, classes, generator=torch.Generator().manual_seed(5))
    return PointTargets((uniform < share).float(), noise(batch, points, 2, seed=6).abs())


def loss_in_loops(
    predicted: PointPrediction, expected: PointTargets, smoothing: float, weight: float, before: float
) -> tuple[float, float]:
    """Return the total loss and the updated normalizer."""
    logits, offsets, mask = (torch.cat(x, 1) for x in (predicted.logits, predicted.offsets, predicted.masks))
    classification = regression = 0.0
    positives = 0
    for b in range(logits.shape[0]):
        for n in range(logits.shape[1]):
            if not mask[b, n]:
                continue
            for c in range(logits.shape[2]):
                y = expected.classes[b, n, c].item() * (1 - smoothing) + smoothing / (logits.shape[2] + 1)
                p = 1 / (1 + math.exp(-logits[b, n, c].item()))
                entropy = -y * math.log(p) - (1 - y) * math.log(1 - p)
                of_target = p * y + (1 - p) * (1 - y)
                classification += (0.25 * y + 0.75 * (1 - y)) * (1 - of_target) ** 2 * entropy
            if expected.classes[b, n].any():
                positives += 1
                (p, q), (s, e) = offsets[b, n].tolist(), expected.offsets[b, n].tolist()
                overlap = min(p, s) + min(q, e)
                union = (p + q) + (s + e) - overlap
                middle = ((q - p) / 2 - (e - s) / 2) / (max(p, s) + max(q, e))
                regression += 1 - overlap / union + middle**2
    after = 0.9 * before + 0.1 * max(positives, 1)
    return (classification + weight * regression) / after, after


@pytest.mark.parametrize(("smoothing", "weight", "before"), [(0.0, 1.0, 100.0), (0.1, 2.0, 200.0)])
def test_loss_equals_the_description_batch_after_batch(smoothing: float, weight: float, before: float) -> None:
    loss = OffsetLoss(regression_weight=weight, label_smoothing=smoothing, normalizer=before)
    for share in (0.3, 0.1):
        got = loss(prediction(), targets(share=share))
        expected, before = loss_in_loops(prediction(), targets(share=share), smoothing, weight, before)
        assert got.total.item() == pytest.approx(expected, rel=1e-5)
        assert loss.normalizer.item() == pytest.approx(before, rel=1e-6)
    torch.testing.assert_close(got.total, got.classification + weight * got.regression)


def test_batch_without_positives_gives_a_finite_loss_and_gradient() -> None:
    predicted = prediction()
    got = OffsetLoss(normalizer=1.0)(predicted, targets(share=0.0))
    assert got.regression.item() == 0
    assert 0 < got.total.item() < math.inf
    gradients = torch.autograd.grad(got.total, [*predicted.logits, *predicted.offsets])
    assert all(g.isfinite().all() for g in gradients)


def test_offsets_of_zero_give_a_finite_gradient() -> None:
    predicted = torch.zeros(2, 2, requires_grad=True)
    loss = distance_iou_loss(predicted, torch.tensor([[0.0, 0.0], [1.0, 3.0]]))
    assert loss.tolist() == [1, pytest.approx(1 + 0.25**2)]
    assert torch.autograd.grad(loss.sum(), predicted)[0].isfinite().all()


def test_focal_loss_by_hand() -> None:
    """At p = ½ the modulation is ¼, so the loss of a positive is .25·.25·log 2, and of a negative three times that."""
    got = focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert got.tolist() == pytest.approx([0.0625 * math.log(2), 0.1875 * math.log(2)])


def test_the_normalizer_is_saved_and_does_not_change_in_evaluation() -> None:
    loss, resumed = OffsetLoss(), OffsetLoss()
    loss(prediction(), targets())
    resumed.load_state_dict(loss.state_dict())
    assert resumed.normalizer.item() == loss.normalizer.item() != 100
    resumed.eval()(prediction(), targets())
    assert resumed.normalizer.item() == loss.normalizer.item()


def test_points_in_the_padding_do_not_count() -> None:
    predicted, other = prediction(), prediction()
    with torch.no_grad():
        for level, mask in zip(other.logits, other.masks, strict=True):
            level[~mask] = 50.0
    assert OffsetLoss()(predicted, targets()).total == OffsetLoss()(other, targets()).total


@pytest.mark.parametrize("values", [{"label_smoothing": 1.0}, {"momentum": -0.1}, {"normalizer": 0.0}])
def test_loss_out_of_range_is_refused(values: dict) -> None:
    with pytest.raises(SolaError, match=next(iter(values))):
        OffsetLoss(**values)
