"""Compare every loss with its equation in plain loops, and check the identities stated in the supplement."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sola.softlanding.losses import (
    EDGE,
    lambda_target,
    matching_loss,
    matching_probability,
    nt_xent,
    similarity_map,
    similarity_matching,
    softened_inside,
    softened_outside,
)

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)


def random_map(n: int, seed: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(batch, n, n, generator=generator, dtype=torch.float64) - 1


def soft_target(n: int, seed: int) -> Tensor:
    return 0.05 + 0.9 * torch.rand(n, n, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)


def hard_target(n: int) -> Tensor:
    """A 0/1 λ with one positive per anchor: its right neighbor, or position 0 for the last anchor."""
    return torch.eye(n, dtype=torch.float64).roll(1, dims=1)


def assert_pairs_equal(got: Tensor, similarity: Tensor, term: Callable[..., float]) -> None:
    """Compare with `term(sim, i, j, others)` for every map of the batch and every ordered pair i ≠ j."""
    for b, sim in enumerate(similarity.tolist()):
        for i in range(len(sim)):
            for j in range(len(sim)):
                if i != j:
                    others = [k for k in range(len(sim)) if k not in (i, j)]
                    assert got[b, i, j].item() == pytest.approx(term(sim, i, j, others), abs=1e-9)


def test_target_has_the_published_values() -> None:
    first_row = [round(value, 3) for value in lambda_target(8, 16.0)[0].tolist()]
    assert first_row == [1.0, 1.0, 0.982, 0.855, 0.731, 0.655, 0.609, 0.581]


@PROPERTY
@given(n=st.integers(2, 12), k=st.floats(0.1, 100))
def test_target_equals_its_formula_and_is_at_least_one_half(n: int, k: float) -> None:
    target = lambda_target(n, k)
    for i in range(n):
        for j in range(n):
            expected = 1.0 if i == j else 1 / (1 + math.exp(-k / (i - j) ** 2))
            assert target[i, j].item() == pytest.approx(expected, abs=1e-6)
            assert target[i, j] >= 0.5


def test_map_is_cosine_of_anchor_and_prediction() -> None:
    z, g = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    got = similarity_map(z, g)
    for b in range(3):
        for i in range(4):
            for j in range(4):
                expected = torch.dot(z[b, i], g[b, j]) / (z[b, i].norm() * g[b, j].norm())
                assert got[b, i, j].item() == pytest.approx(expected.item(), abs=1e-6)


def test_anchor_gets_no_gradient() -> None:
    z = torch.randn(1, 4, 5, requires_grad=True)
    g = torch.randn(1, 4, 5, requires_grad=True)
    similarity_map(z, g).sum().backward()
    assert z.grad is None
    assert g.grad is not None


def test_a_cosine_becomes_a_probability_inside_the_open_interval() -> None:
    cosine = torch.tensor([-1.0, -0.5, 0.0, 1 - 1e-6, 1.0])
    assert matching_probability(cosine).tolist() == pytest.approx([EDGE, 0.25, 0.5, 1 - 5e-7, 1 - EDGE], abs=1e-7)


def test_only_probabilities_outside_the_open_interval_are_replaced() -> None:
    inside = torch.tensor([2e-6 - 1, 1 - 2e-6], dtype=torch.float64)
    assert matching_probability(inside).tolist() == pytest.approx([1e-6, 1 - 1e-6], abs=1e-12)


def test_exponential_probability_uses_the_squared_distance() -> None:
    cosine = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)
    expected = [1 - math.exp(-1 / (2 - 2 * c + 1e-6)) for c in cosine.tolist()]
    assert matching_probability(cosine, "exponential").tolist() == pytest.approx(expected, abs=1e-12)


def test_exponential_probability_is_finite_for_equal_vectors() -> None:
    cosine = torch.ones(3, requires_grad=True)
    matching_probability(cosine, "exponential").log().sum().backward()
    assert cosine.grad is not None
    assert cosine.grad.isfinite().all()


@PROPERTY
@given(n=st.integers(2, 6), seed=st.integers(0, 1000))
def test_similarity_matching_is_equation_5(n: int, seed: int) -> None:
    p = (random_map(n, seed) + 1).clamp(0.02, 1.98) / 2
    target = soft_target(n, seed)
    cells = [
        -target[i, j] * math.log(p[b, i, j]) - (1 - target[i, j]) * math.log(1 - p[b, i, j])
        for b in range(len(p))
        for i in range(n)
        for j in range(n)
    ]
    assert similarity_matching(p, target).item() == pytest.approx(float(sum(cells) / len(cells)), abs=1e-9)


@PROPERTY
@given(n=st.integers(2, 6), seed=st.integers(0, 1000))
def test_nt_xent_is_equation_1(n: int, seed: int) -> None:
    similarity = random_map(n, seed)
    index = torch.arange(n)
    positive = (index[:, None] - index).abs() == 1

    def term(sim: list[list[float]], i: int, j: int, others: list[int]) -> float:
        negatives = sum(math.exp(sim[i][k]) for k in others if abs(i - k) != 1)
        return -sim[i][j] + math.log(math.exp(sim[i][j]) + negatives)

    assert_pairs_equal(nt_xent(similarity, positive), similarity, term)


@PROPERTY
@given(n=st.integers(2, 6), seed=st.integers(0, 1000))
def test_softened_inside_is_equation_2(n: int, seed: int) -> None:
    similarity, lam = random_map(n, seed), soft_target(n, seed)

    def term(sim: list[list[float]], i: int, j: int, others: list[int]) -> float:
        attracted = float(lam[i, j]) * sim[i][j]
        repelled = sum(math.exp((1 - float(lam[i, k])) * sim[i][k]) for k in others)
        return -attracted + math.log(math.exp(attracted) + repelled)

    assert_pairs_equal(softened_inside(similarity, lam), similarity, term)


@PROPERTY
@given(n=st.integers(2, 6), seed=st.integers(0, 1000))
def test_softened_outside_is_equation_3(n: int, seed: int) -> None:
    similarity, lam = random_map(n, seed), soft_target(n, seed)

    def term(sim: list[list[float]], i: int, j: int, others: list[int]) -> float:
        repelled = sum((1 - float(lam[i, k])) * math.exp(sim[i][k]) for k in others)
        total = float(lam[i, j]) * math.exp(sim[i][j]) + repelled
        return -float(lam[i, j]) * sim[i][j] + math.log(total)

    assert_pairs_equal(softened_outside(similarity, lam), similarity, term)


def gradient(loss: Tensor, similarity: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(loss, similarity)
    return grad


@PROPERTY
@given(n=st.integers(3, 8), seed=st.integers(0, 1000))
def test_equations_2_and_3_equal_equation_1_with_one_positive(n: int, seed: int) -> None:
    """Requirement (ii) of section B, for each anchor and its single positive."""
    similarity, target = random_map(n, seed), hard_target(n)
    positive = target.bool()
    expected = nt_xent(similarity, positive)[:, positive]
    torch.testing.assert_close(softened_inside(similarity, target)[:, positive], expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(softened_outside(similarity, target)[:, positive], expected, atol=1e-9, rtol=0)


@PROPERTY
@given(seed=st.integers(0, 1000))
def test_equations_1_and_2_are_zero_for_a_single_pair(seed: int) -> None:
    similarity = random_map(2, seed)
    pair = ~torch.eye(2, dtype=torch.bool)
    assert nt_xent(similarity, pair)[:, pair].eq(0).all()
    assert softened_inside(similarity, soft_target(2, seed))[:, pair].eq(0).all()


@PROPERTY
@given(seed=st.integers(0, 1000))
def test_equation_3_equals_equation_4_for_a_single_pair(seed: int) -> None:
    """(1-λ)·sim + log λ = -(1-λ)·log(1-p) + log λ with p = 1 - exp(-sim)."""
    similarity, target = random_map(2, seed), soft_target(2, seed)
    got = softened_outside(similarity, target)
    p = 1 - torch.exp(-similarity)
    pair = ~torch.eye(2, dtype=torch.bool)
    torch.testing.assert_close(got[:, pair], ((1 - target) * similarity + target.log())[:, pair])
    torch.testing.assert_close(got[:, pair], (-(1 - target) * torch.log(1 - p) + target.log())[:, pair])


@PROPERTY
@given(lam=st.floats(0.5, 0.99))
def test_similarity_matching_is_minimal_where_the_probability_equals_the_target(lam: float) -> None:
    target = torch.full((1, 1), lam, dtype=torch.float64)
    minimum = similarity_matching(target[None].clone(), target)
    p = torch.full((1, 1, 1), lam, dtype=torch.float64, requires_grad=True)
    assert gradient(similarity_matching(p, target), p).abs().item() < 1e-9
    for other in (0.9 * lam, lam + 0.5 * (1 - lam)):
        assert similarity_matching(torch.full((1, 1, 1), other, dtype=torch.float64), target) > minimum


@PROPERTY
@given(n=st.integers(3, 6), seed=st.integers(0, 1000))
def test_gradient_of_l_in_has_the_factor_one_minus_lambda(n: int, seed: int) -> None:
    """Section B explains the failure of L_in: the gradient of each repelled sim(i, k) has the factor 1-λ(i, k)."""
    similarity, target = random_map(n, seed, batch=1).requires_grad_(), soft_target(n, seed)
    i, j = 0, 1
    grad = gradient(softened_inside(similarity, target)[0, i, j], similarity)[0, i]
    exponent = (1 - target[i]) * similarity[0, i]
    exponent[j] = target[i, j] * similarity[0, i, j]
    counted = [k for k in range(n) if k != i]
    share = exponent[counted].softmax(0)
    for at, k in enumerate(counted):
        if k != j:
            assert grad[k].item() == pytest.approx(((1 - target[i, k]) * share[at]).item(), abs=1e-9)


def test_gradient_of_l_out_vanishes_for_a_single_pair_as_lambda_goes_to_1_but_not_that_of_l_sm() -> None:
    similarity = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)
    size = {}
    for lam in (0.9, 0.999, 1 - 1e-9):
        target = torch.full((2, 2), lam, dtype=torch.float64)
        outside = gradient(softened_outside(similarity, target)[0, 0, 1], similarity)[0, 0, 1]
        matching = gradient(similarity_matching(matching_probability(similarity), target), similarity)[0, 0, 1]
        size[lam] = abs(outside.item()), abs(matching.item())
    assert [size[lam][0] for lam in size] == pytest.approx([0.1, 0.001, 1e-9], rel=1e-6)
    assert size[1 - 1e-9][1] > size[0.9][1] > 0.1


@pytest.mark.parametrize("loss", ["similarity_matching", "nt_xent", "softened_inside", "softened_outside"])
def test_gradients_equal_finite_differences(loss: str) -> None:
    similarity = (0.9 * random_map(4, 7)).requires_grad_()
    target = lambda_target(4, 3.0).double()
    assert torch.autograd.gradcheck(lambda sim: matching_loss(sim, target, loss, temperature=0.5), similarity)


@pytest.mark.parametrize("loss", ["nt_xent", "softened_inside", "softened_outside"])
def test_temperature_divides_the_similarity(loss: str) -> None:
    similarity, target = random_map(5, 3), lambda_target(5, 16.0).double()
    halved = matching_loss(similarity / 2, target, loss)
    torch.testing.assert_close(matching_loss(similarity, target, loss, temperature=2.0), halved)


@pytest.mark.parametrize(
    ("loss", "pairs"), [("softened_inside", softened_inside), ("softened_outside", softened_outside)]
)
def test_softened_losses_are_means_over_ordered_pairs(loss: str, pairs: Callable[..., Tensor]) -> None:
    similarity, target = random_map(5, 4), soft_target(5, 4)
    each = pairs(similarity, target)
    listed = [each[b, i, j] for b in range(2) for i in range(5) for j in range(5) if i != j]
    torch.testing.assert_close(matching_loss(similarity, target, loss), torch.stack(listed).mean())


def test_nt_xent_is_the_mean_over_neighbors() -> None:
    similarity = random_map(5, 4)
    index = torch.arange(5)
    each = nt_xent(similarity, (index[:, None] - index).abs() == 1)
    listed = [each[b, i, j] for b in range(2) for i in range(5) for j in range(5) if abs(i - j) == 1]
    torch.testing.assert_close(matching_loss(similarity, soft_target(5, 4), "nt_xent"), torch.stack(listed).mean())
