"""Transforming a video in pieces gives the same result as transforming it whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.softlanding.network import SoLa
from sola.softlanding.transform import transform_array


def opened(**values: object) -> SoLa:
    """A module with random weights and an open gate, whose output depends on neighboring snippets."""
    torch.manual_seed(0)
    module = SoLa(6, hidden=8, **values).eval()
    torch.nn.init.constant_(module.alpha, 1.0)
    module.scale.fill_(2.0)
    return module


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 40),
    piece=st.integers(1, 45),
    kernel=st.sampled_from([1, 5, 9]),
    conditioning=st.sampled_from(["none", "center+scale"]),
    smoothing=st.sampled_from([1, 5]),
)
def test_pieces_equal_the_whole(length: int, piece: int, kernel: int, conditioning: str, smoothing: int) -> None:
    module = opened(kernel_size=kernel, conditioning=conditioning, smoothing=smoothing)
    video = np.random.default_rng(length).normal(size=(length, 6)).astype(np.float32)
    whole = module(torch.from_numpy(video)[None])[0].detach().numpy()
    np.testing.assert_allclose(transform_array(module, video, piece=piece), whole, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_preserved(dtype: type) -> None:
    assert transform_array(opened(), np.ones((5, 6), dtype)).dtype == dtype


def test_a_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(SolaError, match="have 7 channels, the module was trained on 6"):
        transform_array(opened(), np.ones((5, 7), np.float32))
