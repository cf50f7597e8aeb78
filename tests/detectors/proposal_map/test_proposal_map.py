"""Compare the proposal map, its targets, loss and decoding with their definitions in plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sola.core.errors import SolaError
from sola.data.timing import Placement
from sola.detectors.proposal_map.detector import ProposalMapDetector, candidate_boundaries
from sola.detectors.proposal_map.loss import balanced_logistic, balanced_regression, drawn_cells, map_loss
from sola.detectors.proposal_map.map import MapPrediction, MapTargets, ProposalMap, boundary_targets

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def maps(draw: st.DrawFn) -> ProposalMap:
    length = draw(st.integers(1, 12))
    return ProposalMap(
        length,
        draw(st.none() | st.integers(1, length)),
        draw(st.sampled_from(["duration_start", "start_end"])),
    )


@st.composite
def instances_of(draw: st.DrawFn, length: float, least: int = 0) -> Tensor:
    number = st.floats(-1, length + 1, width=32)
    pairs = draw(st.lists(st.tuples(number, number), min_size=least, max_size=4))
    return torch.tensor([sorted(pair) for pair in pairs], dtype=torch.float64).reshape(-1, 2)


def cells_of(proposals: ProposalMap) -> list[tuple[int, int, int, int]]:
    """Return row, column, start and end of every valid proposal, by definition."""
    cells = []
    for start in range(proposals.length):
        for end in range(start + 1, proposals.length + 1):
            if end - start <= proposals.longest:
                row, column = (end - start - 1, start) if proposals.layout == "duration_start" else (start, end - 1)
                cells.append((row, column, start, end))
    return sorted(cells)


def random_prediction(proposals: ProposalMap, seed: int, batch: int = 2) -> MapPrediction:
    generator = torch.Generator().manual_seed(seed)
    start, end = torch.rand(2, batch, proposals.length, generator=generator)
    return MapPrediction(torch.rand(batch, 2, *proposals.shape, generator=generator), start, end)


# the map


@PROPERTY
@given(proposals=maps())
def test_cells_are_every_proposal_of_the_clip_once(proposals: ProposalMap) -> None:
    rows, columns = np.nonzero(proposals.valid)
    got = zip(rows, columns, proposals.start[rows, columns], proposals.end[rows, columns], strict=True)
    assert [tuple(map(int, cell)) for cell in got] == cells_of(proposals)


@PROPERTY
@given(proposals=maps(), data=st.data())
def test_iou_map_is_the_best_iou_of_each_cell(proposals: ProposalMap, data: st.DataObject) -> None:
    instances = data.draw(instances_of(proposals.length))
    expected = torch.zeros(proposals.shape, dtype=torch.float64)
    for row, column, start, end in cells_of(proposals):
        for a, b in instances.tolist():
            overlap = max(0.0, min(end, b) - max(start, a))
            union = (end - start) + (b - a) - overlap
            expected[row, column] = max(expected[row, column].item(), overlap / union)
    torch.testing.assert_close(proposals.iou_map(instances), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("anchor", [(-0.5, 0.5), (-0.5, 1.5), (0.0, 1.0)])
@PROPERTY
@given(data=st.data(), length=st.integers(1, 10))
def test_boundary_targets_are_the_share_of_the_anchor_in_a_region(
    anchor: tuple[float, float], data: st.DataObject, length: int
) -> None:
    instances = data.draw(instances_of(length))
    got = boundary_targets(instances, length, anchor)
    for side in (0, 1):
        for t in range(length):
            low, high = t + anchor[0], t + anchor[1]
            shares = [
                max(0.0, min(high, at[side] + 1.5) - max(low, at[side] - 1.5)) / (high - low)
                for at in instances.tolist()
            ]
            assert got[side][t].item() == pytest.approx(max(shares, default=0.0), abs=1e-9)


def test_targets_of_a_batch_are_those_of_each_clip() -> None:
    proposals = ProposalMap(6)
    clips = [torch.tensor([[1.0, 3.5], [2.0, 6.0]]), torch.empty(0, 2)]
    targets = proposals.targets(clips, (-0.5, 1.5))
    for at, clip in enumerate(clips):
        start, end = boundary_targets(clip, 6, (-0.5, 1.5))
        assert torch.equal(targets.iou[at], proposals.iou_map(clip))
        assert torch.equal(targets.start[at], start)
        assert torch.equal(targets.end[at], end)


@pytest.mark.parametrize(
    ("values", "named"),
    [((0, None), "length"), ((4, 5), "max_duration"), ((4, 0), "max_duration"), ((2049, None), "2,049 × 2,049 cells")],
)
def test_an_invalid_map_is_refused(values: tuple[int, int | None], named: str) -> None:
    with pytest.raises(SolaError, match=named):
        ProposalMap(*values)


# placement


@PROPERTY
@given(origin=st.floats(-100, 100), unit=st.floats(0.01, 100), at=st.floats(-50, 50))
def test_seconds_and_units_are_inverse(origin: float, unit: float, at: float) -> None:
    placement = Placement(origin, unit)
    assert placement.seconds(at) == pytest.approx(origin + unit * at)
    assert placement.units(placement.seconds(at)) == pytest.approx(at, abs=1e-9 + 1e-12 * abs(origin) / unit)


def test_a_whole_video_is_covered() -> None:
    placement = Placement(0.0, 0.5)
    np.testing.assert_allclose(placement.seconds(np.array([0.0, 100.0])), [0.0, 50.0])


@pytest.mark.parametrize(("origin", "unit"), [(math.nan, 1.0), (0.0, 0.0), (0.0, math.inf)])
def test_a_placement_without_a_scale_is_refused(origin: float, unit: float) -> None:
    with pytest.raises(SolaError):
        Placement(origin, unit)


# decoding


@PROPERTY
@given(
    proposals=maps(),
    seed=st.integers(0, 1000),
    boundary_scores=st.booleans(),
    candidates_only=st.booleans(),
    final_boundary=st.booleans(),
)
def test_decoding_equals_the_published_double_loop(
    proposals: ProposalMap, seed: int, boundary_scores: bool, candidates_only: bool, final_boundary: bool
) -> None:
    prediction = random_prediction(proposals, seed)
    detector = ProposalMapDetector(
        4, 4, proposals, anchor=(0.0, 1.0), candidates_only=candidates_only, final_boundary=final_boundary
    )
    detector.boundary_scores = boundary_scores
    got = detector.decode(prediction)
    T = proposals.length
    for clip in range(2):
        p_start, p_end = prediction.start[clip].tolist(), prediction.end[clip].tolist()
        expected = []
        for row, column, start, end in cells_of(proposals):
            if end == T and not final_boundary:
                continue
            if candidates_only:
                starts = start == 0 or _peak(p_start, start) or p_start[start] > 0.5 * max(p_start)
                ends = end >= T - 1 or _peak(p_end, end) or p_end[end] > 0.5 * max(p_end)
                if not (starts and ends):
                    continue
            score = math.prod(prediction.confidence[clip, :, row, column].tolist())
            if boundary_scores:
                score *= p_start[start] * p_end[min(end, T - 1)]
            expected.append((start, end, score))
        segments = got[clip]
        decoded = np.stack([segments.start, segments.end, segments.score], axis=1)
        np.testing.assert_allclose(decoded, np.array(expected).reshape(-1, 3), atol=1e-9)
        assert not segments.label.any()


def _peak(values: list[float], at: int) -> bool:
    return 0 < at < len(values) - 1 and values[at] > values[at - 1] and values[at] > values[at + 1]


def test_candidates_are_peaks_high_values_and_one_end() -> None:
    probability = torch.tensor([[0.1, 0.2, 0.1, 0.3, 0.3, 0.9, 0.5, 0.2]])
    assert candidate_boundaries(probability, first=True)[0].nonzero().flatten().tolist() == [0, 1, 5, 6]
    assert candidate_boundaries(probability, first=False)[0].nonzero().flatten().tolist() == [1, 5, 6, 7]


# loss


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def published_logistic(probability: list[float], positive: list[bool]) -> float:
    """Return the loss in its published form, with ratio = N/N⁺."""
    n = len(probability)
    ratio = n / sum(positive)
    total = 0.0
    for p, is_positive in zip(probability, positive, strict=True):
        if is_positive:
            total += 0.5 * ratio * math.log(p + 1e-6)
        else:
            total += 0.5 * ratio / (ratio - 1) * math.log(1 - p + 1e-6)
    return -total / n


def test_classification_has_the_known_value() -> None:
    """The value is from the tests of mmaction2."""
    probability = torch.tensor([[0.1, 0.99], [0.95, 0.2]], dtype=torch.float64)
    iou, mask = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.1, 0.4], [0.4, 0.1]])
    positive = iou > 0.9
    loss = balanced_logistic(probability, positive.double(), (~positive * mask).double())
    assert loss.item() == pytest.approx(1.6137, abs=5e-5)


@PROPERTY
@given(
    entries=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=20).filter(
        lambda entries: len({positive for _, positive in entries}) == 2
    )
)
def test_logistic_loss_equals_the_published_form(entries: list[tuple[float, bool]]) -> None:
    probability, positive = (list(column) for column in zip(*entries, strict=True))
    role = torch.tensor(positive, dtype=torch.float64)
    got = balanced_logistic(torch.tensor(probability, dtype=torch.float64), role, 1 - role)
    assert got.item() == pytest.approx(published_logistic(probability, positive), abs=1e-9)


def test_high_cells_are_always_drawn_and_empty_ones_never() -> None:
    iou = torch.rand(50, 50, generator=generator()) * (torch.rand(50, 50, generator=generator()) > 0.5)
    drawn = drawn_cells(iou, generator())
    assert drawn[iou > 0.7].all()
    assert not drawn[iou == 0].any()


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.7), (0.0, 0.3)])
def test_as_many_medium_and_low_cells_are_drawn_as_there_are_high_cells(low: float, high: float) -> None:
    draw = torch.Generator().manual_seed(1)
    iou = low + (high - low) * torch.rand(20_000, generator=draw).clamp(min=1e-3)
    iou[:2_000] = 0.95
    drawn = int(drawn_cells(iou, draw)[2_000:].sum())
    assert abs(drawn - 2_000) < 5 * math.sqrt(2_000)


def test_all_medium_and_low_cells_are_drawn_if_there_are_more_high_cells() -> None:
    iou = torch.tensor([0.8, 0.9, 1.0, 0.5, 0.1, 0.0])
    assert drawn_cells(iou, generator()).tolist() == [True, True, True, True, True, False]


@PROPERTY
@given(seed=st.integers(0, 1000), n=st.integers(1, 30))
def test_regression_is_half_the_mean_squared_error_of_the_drawn_cells(seed: int, n: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    predicted, iou = torch.rand(2, n, generator=draw, dtype=torch.float64)
    drawn = drawn_cells(iou, torch.Generator().manual_seed(seed)).tolist()
    got = balanced_regression(predicted, iou, torch.Generator().manual_seed(seed))
    errors = [(p - y) ** 2 for p, y, keep in zip(predicted.tolist(), iou.tolist(), drawn, strict=True) if keep]
    assert got.item() == pytest.approx(0.5 * sum(errors) / max(1, len(errors)), abs=1e-9)


def test_the_total_is_the_weighted_sum_of_terms_over_valid_cells() -> None:
    proposals = ProposalMap(8, 5)
    prediction = random_prediction(proposals, 1)
    targets = proposals.targets([torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 4.0], [3.0, 8.0]])], (-0.5, 1.5))
    loss = map_loss(proposals, prediction, targets, generator())
    boundary = 0.0
    for probability, target in ((prediction.start, targets.start), (prediction.end, targets.end)):
        boundary += published_logistic(probability.flatten().tolist(), (target > 0.5).flatten().tolist())
    valid = torch.from_numpy(proposals.valid)
    predicted, iou = prediction.confidence[:, :, valid], targets.iou[:, valid]
    classification = published_logistic(predicted[:, 1].flatten().tolist(), (iou > 0.9).flatten().tolist())
    regression = balanced_regression(predicted[:, 0], iou, generator())
    assert loss.boundary.item() == pytest.approx(boundary, abs=1e-5)
    assert loss.classification.item() == pytest.approx(classification, abs=1e-5)
    assert loss.regression.item() == pytest.approx(regression.item(), abs=1e-6)
    assert loss.total.item() == pytest.approx(boundary + 10 * regression.item() + classification, abs=1e-4)


def test_invalid_cells_are_ignored() -> None:
    proposals = ProposalMap(6)
    prediction = random_prediction(proposals, 2)
    targets = proposals.targets([torch.tensor([[1.0, 4.0]])] * 2, (-0.5, 1.5))
    disturbed = prediction.confidence.clone()
    disturbed[:, :, ~torch.from_numpy(proposals.valid)] = 0.123
    got = map_loss(proposals, MapPrediction(disturbed, prediction.start, prediction.end), targets, generator()).total
    assert torch.equal(got, map_loss(proposals, prediction, targets, generator()).total)


@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("instances", [[], [[0.0, 1.0]]], ids=["no action", "one action"])
@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_loss_and_gradient_are_finite_in_the_smallest_batches(
    length: int, instances: list[list[float]], probability: float
) -> None:
    """Batches with no positive, one clip, one cell, and probabilities of 0 and 1."""
    proposals = ProposalMap(length)
    targets = proposals.targets([torch.tensor(instances).reshape(-1, 2)], (-0.5, 0.5))
    parts = [torch.full(size, probability) for size in ((1, 2, *proposals.shape), (1, length), (1, length))]
    for part in parts:
        part.requires_grad_()
    loss = map_loss(proposals, MapPrediction(*parts), targets, generator()).total
    loss.backward()
    assert loss.isfinite()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in parts)


def test_targets_move_to_a_device() -> None:
    targets = ProposalMap(3).targets([torch.empty(0, 2)], (0.0, 1.0)).to("meta")
    assert isinstance(targets, MapTargets)
    assert {part.device.type for part in (targets.iou, targets.start, targets.end)} == {"meta"}
