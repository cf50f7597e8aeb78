"""Unknown names of devices and precisions."""

import pytest

from sola.core.device import choose_device, choose_precision
from sola.core.errors import SolaError


def test_unknown_device_is_refused() -> None:
    unchecked = choose_device.__wrapped__  # bypass the runtime type checks of the tests
    with pytest.raises(SolaError, match="device='mps': expected one of auto, cpu, cuda"):
        unchecked("mps")


def test_unknown_precision_is_refused() -> None:
    unchecked = choose_precision.__wrapped__
    with pytest.raises(SolaError, match="precision='fp16': expected one of auto, fp32, bf16"):
        unchecked("fp16", choose_device("cpu"))
