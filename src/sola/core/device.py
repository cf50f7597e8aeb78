"""Choice of device and precision."""

import os
from typing import TYPE_CHECKING, Literal

from sola.core.checks import one_of
from sola.core.errors import SolaError
from sola.core.launch import rank_and_count

if TYPE_CHECKING:  # the command line lists the devices without importing torch
    import torch

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]


def choose_device(device: Device) -> "torch.device":
    """Return the device for a name; "auto" is a GPU if one is available, else the CPU.

    With several processes, each gets its own GPU. Raises SolaError for an unknown name, or if a GPU is requested and
    none is available.
    """
    import torch

    one_of(Device, device=device)
    if device == "cuda" and not torch.cuda.is_available():
        raise SolaError("device=cuda: no CUDA GPU is available; use --device cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if rank_and_count()[1] > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cuda")


def choose_precision(precision: Precision, device: "torch.device") -> Literal["fp32", "bf16"]:
    """Return the precision for a name; "auto" is bf16 on hardware with native bf16 arithmetic, else fp32.

    Raises SolaError for an unknown name.
    """
    one_of(Precision, precision=precision)
    if precision != "auto":
        return precision
    import torch

    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16"))
    return "bf16" if fast else "fp32"
