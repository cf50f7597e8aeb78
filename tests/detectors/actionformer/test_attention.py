"""Compare local attention with its definition in plain loops over clips, heads, queries and keys."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.actionformer.attention import global_attention, local_attention

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, reach: int) -> Tensor:
    """Return attention by definition, zero where the mask is False."""
    batch, time, heads, width = query.shape
    rows = []
    for b in range(batch):
        for t in range(time):
            for h in range(heads):
                near = range(max(0, t - reach), min(time, t + reach + 1))
                keys = [s for s in near if mask is None or mask[b, s]]
                if mask is not None and not mask[b, t]:
                    rows.append(0 * query[b, t, h])
                    continue
                score = torch.stack([query[b, t, h] @ key[b, s, h] / math.sqrt(width) for s in keys])
                share = score.exp() / score.exp().sum()
                rows.append(sum(share[i] * value[b, s, h] for i, s in enumerate(keys)))
    return torch.stack(rows).view(batch, time, heads, width)


def compare(time: int, window: int | None, mask: Tensor | None, batch: int = 2) -> None:
    """Compare outputs and gradients at valid snippets."""
    inputs = [noise(batch, time, 2, 3, seed=seed).requires_grad_() for seed in range(3)]
    got = global_attention(*inputs, mask) if window is None else local_attention(*inputs, mask, window)
    expected = attention(*inputs, mask, time if window is None else window // 2)
    assert got.isfinite().all()
    weight = noise(*got.shape, seed=9)
    if mask is not None:
        weight = weight * mask[:, :, None, None]
        got = got * mask[:, :, None, None]
    torch.testing.assert_close(got, expected, **CLOSE)
    actual = torch.autograd.grad((got * weight).sum(), inputs)
    reference = torch.autograd.grad((expected * weight).sum(), inputs, allow_unused=True, materialize_grads=True)
    for a, b in zip(actual, reference, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.parametrize(
    ("time", "window"),
    [(1, 1), (9, 1), (5, 7), (7, 3), (31, 19), (32, 19), (33, 5), (36, 71), (12, None)],
)
def test_attention_equals_its_definition_with_gradients(time: int, window: int | None) -> None:
    compare(time, window, None)


@pytest.mark.parametrize(("time", "window"), [(1, 1), (6, 7), (33, 5), (40, 9), (36, 71), (12, None)])
def test_attention_equals_its_definition_on_padded_clips(time: int, window: int | None) -> None:
    valid = torch.tensor([time, max(1, time // 3)])
    compare(time, window, torch.arange(time) < valid[:, None])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_attention_equals_its_definition_for_any_mask(data: st.DataObject) -> None:
    time, reach = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 40))
    mask = data.draw(st.lists(st.booleans(), min_size=time, max_size=time))
    compare(time, 2 * reach + 1, torch.tensor([mask]), batch=1)


@pytest.mark.parametrize("window", [5, None])
def test_the_output_for_a_clip_without_snippets_is_finite(window: int | None) -> None:
    inputs = [noise(2, 8, 2, 3, seed=seed).requires_grad_() for seed in range(3)]
    mask = torch.tensor([[True] * 8, [False] * 8])
    out = global_attention(*inputs, mask) if window is None else local_attention(*inputs, mask, window)
    assert out.isfinite().all()
    assert all(g.isfinite().all() for g in torch.autograd.grad(out.sum(), inputs))


def test_memory_is_linear_in_the_length() -> None:
    """Compare the bytes saved for the backward pass."""

    def saved_bytes(time: int) -> int:
        storages: dict[int, int] = {}

        def pack(x: Tensor) -> Tensor:
            storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        inputs = [noise(1, time, 2, 8, seed=seed).requires_grad_() for seed in range(3)]
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            local_attention(*inputs, torch.ones(1, time, dtype=torch.bool), 19)
        return sum(storages.values())

    assert saved_bytes(4096) < 4.1 * saved_bytes(1024)


@pytest.mark.parametrize("window", [0, 4, -1])
def test_an_even_window_is_refused(window: int) -> None:
    with pytest.raises(SolaError, match=f"window={window}"):
        local_attention(*[noise(1, 4, 1, 2)] * 3, None, window)
