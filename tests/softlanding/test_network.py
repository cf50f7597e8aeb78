"""Compare the module with convolutions in plain loops, and gathered neighborhoods with the dense form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sola.softlanding.network import SoLa
from sola.softlanding.windows import draw_windows, neighborhoods, window_length

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)


def opened(channels: int = 6, **values: object) -> SoLa:
    """A module with random weights and an open gate."""
    torch.manual_seed(0)
    module = SoLa(channels, **{"hidden": 10, **values})
    if module.alpha is not None:
        torch.nn.init.constant_(module.alpha, 0.7)
    return module.eval()


def features(time: int, channels: int = 6, seed: int = 0, batch: int = 2) -> Tensor:
    return torch.randn(batch, time, channels, generator=torch.Generator().manual_seed(seed))


def convolution(x: list[list[float]], conv: torch.nn.Conv1d) -> list[list[float]]:
    """Conv1d with zero padding in plain loops."""
    weight, bias = conv.weight.tolist(), conv.bias.tolist()
    reach = conv.kernel_size[0] // 2
    out = []
    for t in range(len(x)):
        row = []
        for o in range(len(weight)):
            total = bias[o]
            for c in range(len(weight[o])):
                for offset in range(-reach, reach + 1):
                    if 0 <= t + offset < len(x):
                        total += weight[o][c][offset + reach] * x[t + offset][c]
            row.append(total)
        out.append(row)
    return out


def relu(x: list[list[float]]) -> list[list[float]]:
    return [[max(value, 0.0) for value in row] for row in x]


@pytest.mark.parametrize(("form", "gate"), [("adapter", "tanh"), ("adapter", "linear"), ("direct", "tanh")])
def test_output_equals_the_definition(form: str, gate: str) -> None:
    module, x = opened(3, hidden=4, form=form, gate=gate).double(), features(7, 3, batch=1).double()
    response = convolution(
        relu(convolution(relu(convolution(x[0].tolist(), module.conv1)), module.conv2)), module.conv3
    )
    factor = float(np.tanh(0.7)) if gate == "tanh" else 0.7
    expected = torch.tensor(response, dtype=torch.float64)
    if form == "adapter":
        expected = x[0] + factor * expected
    torch.testing.assert_close(module(x)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("gate", ["tanh", "linear"])
def test_an_untrained_adapter_is_exactly_the_identity(gate: str) -> None:
    x = features(9)
    assert torch.equal(SoLa(6, hidden=8, gate=gate)(x), x)


def test_only_the_gate_has_a_gradient_at_alpha_zero() -> None:
    module = SoLa(6, hidden=8)
    module(features(9)).square().sum().backward()
    assert module.alpha.grad != 0
    assert module.conv1.weight.grad.eq(0).all()


@PROPERTY
@given(
    step=st.integers(1, 9), kernel=st.sampled_from([1, 3, 5, 9]), positions=st.integers(2, 8), seed=st.integers(0, 99)
)
def test_gathered_neighborhoods_equal_the_dense_convolution(step: int, kernel: int, positions: int, seed: int) -> None:
    module, margin = opened(kernel_size=kernel), 4
    window = window_length(positions, step, margin)
    x = features(window + 5, seed=seed)
    start = np.array([0, 5])
    dense = torch.stack([module.adapt(x[i : i + 1, s : s + window])[0] for i, s in enumerate(start)])
    dense = dense[:, margin + step * np.arange(positions)]
    index = neighborhoods(start, positions, step, margin, module.reach)
    gathered = module.adapt_at(torch.stack([x[i][torch.from_numpy(index[i])] for i in range(2)]))
    torch.testing.assert_close(gathered, dense, atol=1e-5, rtol=0)


def test_gathered_neighborhoods_have_the_gradients_of_the_dense_convolution() -> None:
    module = opened()
    x = features(window_length(8, 2, 4), batch=3)
    index = neighborhoods(np.zeros(3, dtype=np.int64), 8, 2, 4, module.reach)
    weight = torch.randn(3, 8, 6, generator=torch.Generator().manual_seed(5))
    (module.adapt(x)[:, 4 + 2 * np.arange(8)] * weight).sum().backward()
    dense = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
    module.zero_grad()
    (module.adapt_at(x[torch.arange(3)[:, None, None], torch.from_numpy(index)]) * weight).sum().backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, dense[name], atol=1e-5, rtol=1e-5)


def test_centering_subtracts_the_mean_of_each_video() -> None:
    module, x = SoLa(6, hidden=8, conditioning="center"), features(9) + 100
    torch.testing.assert_close(module(x), x - x.mean(dim=1, keepdim=True))


def test_scaling_divides_after_centering() -> None:
    module, x = SoLa(6, hidden=8, conditioning="center+scale"), features(9)
    module.scale.fill_(4.0)
    torch.testing.assert_close(module(x), (x - x.mean(dim=1, keepdim=True)) / 4)


@PROPERTY
@given(width=st.sampled_from([1, 3, 5, 9]), time=st.integers(1, 12))
def test_smoothing_averages_the_snippets_that_exist(width: int, time: int) -> None:
    x = features(time)
    got = SoLa(6, hidden=8, smoothing=width)(x)
    for t in range(time):
        expected = x[:, max(0, t - width // 2) : t + width // 2 + 1].mean(dim=1)
        torch.testing.assert_close(got[:, t], expected, atol=1e-6, rtol=0)


def test_a_video_of_one_snippet_keeps_its_length() -> None:
    assert opened(smoothing=5)(features(1)).shape == (2, 1, 6)


def test_published_window_lengths() -> None:
    assert (window_length(8, 2, 4), window_length(8, 8, 4)) == (23, 65)


@PROPERTY
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8), per_video=st.integers(1, 3), seed=st.integers(0, 99)
)
def test_windows_are_inside_their_videos_and_short_videos_have_no_window(
    lengths: list[int], per_video: int, seed: int
) -> None:
    video, start = draw_windows(np.array(lengths), 10, per_video, np.random.default_rng(seed))
    long_enough = [i for i, length in enumerate(lengths) if length >= 10]
    assert sorted(video.tolist()) == sorted(long_enough * per_video)
    assert all(0 <= s <= lengths[v] - 10 for v, s in zip(video, start, strict=True))


def test_a_video_as_long_as_the_window_has_one_possible_start() -> None:
    assert draw_windows(np.array([10]), 10, 1, np.random.default_rng(0))[1].tolist() == [0]
