"""The device and the precision that a computation runs in."""

import os
from typing import TYPE_CHECKING, Literal

from sola.core.errors import SolaError
from sola.core.launch import rank_and_count

if TYPE_CHECKING:  # the names of devices are in help texts, which do not wait for torch
    import torch

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]


def choose_device(device: Device) -> "torch.device":
    """The device of that name; "auto" is the GPU where there is one, and among several processes each one's own.

    Raises SolaError when a GPU is asked for and there is none.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SolaError("device=cuda: no CUDA GPU is visible here; use --device cpu")
    return local_device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(precision: Precision, device: "torch.device") -> Literal["fp32", "bf16"]:
    """The precision of that name; "auto" is bf16 where the device multiplies it in hardware, else fp32."""
    if precision != "auto":
        return precision
    import torch

    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16"))
    return "bf16" if fast else "fp32"


def local_device(device: str) -> "torch.device":
    """This process's own GPU among those of its machine."""
    import torch

    if device == "cuda" and rank_and_count()[1] > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device(device)
