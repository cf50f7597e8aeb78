"""Apply a SoLa network to the features of one video."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.softlanding.multiscale import Network

Transform = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time features"]]
"""Function that transforms the features of a video and returns the same dtype."""

PIECE = 8192
"""Snippets per call of the convolutions, to limit memory on long videos."""


@torch.inference_mode()
def transform_array(
    network: Network, features: Float[np.ndarray, "time channels"], piece: int = PIECE
) -> Float[np.ndarray, "time transformed"]:
    """Transform the features of a whole video.

    Conditioning and smoothing use the whole video. The convolutions process `piece` snippets at a time, with the same
    result.

    Args:
        network: a SoLa network.
        features: features of the video [time, channels].
        piece: snippets per call of the convolutions.

    Returns:
        Transformed features [time, output channels] with the dtype of `features`.

    Raises:
        SolaError: if the number of channels differs from that of the network.

    Examples:
        >>> import numpy as np
        >>> import sola
        >>> network = sola.TrainedModule.load("run").network
        >>> softened = sola.transform_array(network, np.load("features/training_0000.npy"))
        >>> softened.dtype, softened.shape[1] == network.output_channels
        (dtype('float16'), True)
    """
    if features.shape[1] != network.channels:
        raise SolaError(f"the features have {features.shape[1]} channels, the module was trained on {network.channels}")
    exact = np.float64 if features.dtype == np.float64 else np.float32
    if exact is np.float64 and network.scale.dtype != torch.float64:
        network = copy.deepcopy(network).double()
    whole = torch.from_numpy(np.array(features, dtype=exact)).to(network.scale.device)[None]
    y = network.transform(whole, piece)[0].cpu().numpy()
    with np.errstate(over="ignore"):  # the writer reports the video whose values overflow
        return y.astype(features.dtype, copy=False)
