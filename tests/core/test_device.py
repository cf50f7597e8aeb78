"""Names of devices and precisions that are not known."""

import pytest

from sola.core.device import choose_device, choose_precision
from sola.core.errors import SolaError


def test_a_device_that_is_not_supported_is_refused_with_those_that_are() -> None:
    unchecked = choose_device.__wrapped__  # the type checker of the tests takes the known ones alone
    with pytest.raises(SolaError, match="device='mps': expected one of auto, cpu, cuda"):
        unchecked("mps")


def test_a_precision_that_is_not_supported_is_refused_with_those_that_are() -> None:
    unchecked = choose_precision.__wrapped__
    with pytest.raises(SolaError, match="precision='fp16': expected one of auto, fp32, bf16"):
        unchecked("fp16", choose_device("cpu"))
