"""Features of one video through a SoLa network."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.softlanding.multiscale import Network

Transform = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time features"]]
"""Transform of a video's features; float32 stays float32."""

PIECE = 8192
"""Snippets per call of the convolutions, which bounds memory on long videos."""


@torch.inference_mode()
def transform_array(
    network: Network, features: Float[np.ndarray, "time channels"], piece: int = PIECE
) -> Float[np.ndarray, "time transformed"]:
    """Transform a whole video; the result has the dtype of `features`.

    Conditioning and smoothing see the whole video. The convolutions process pieces of `piece` snippets, which gives the
    same result.

    Raises:
        SolaError: if the number of channels is not that of the network.
    """
    if features.shape[1] != network.channels:
        raise SolaError(f"the features have {features.shape[1]} channels, the module was trained on {network.channels}")
    exact = np.float64 if features.dtype == np.float64 else np.float32
    if exact is np.float64 and network.scale.dtype != torch.float64:
        network = copy.deepcopy(network).double()
    whole = torch.from_numpy(np.array(features, dtype=exact)).to(network.scale.device)[None]
    y = network.transform(whole, piece)[0].cpu().numpy()
    with np.errstate(over="ignore"):  # the writer reports which video does not fit
        return y.astype(features.dtype, copy=False)
