""".pt files of PyTorch: a tensor, or a dict that holds one."""

import zipfile
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from sola.core.errors import SolaError
from sola.data.formats.base import Array, Header, check_header, reading

if TYPE_CHECKING:
    import torch

WHAT = "a .pt file of tensors (weights_only)"


def header(path: Path) -> Header:
    """Return the checked header."""
    array = read(path)
    return Header(array.shape, array.dtype)


def read(path: Path) -> Array:
    """Return the array, memory-mapped where possible; bfloat16 becomes float32."""
    import torch

    _, tensor = _load(path)
    with reading(path, WHAT):
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    check_header(Header(array.shape, array.dtype), path)
    return array


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array with the key of `like`, and in bfloat16 if that is."""
    import torch

    key, original = _load(like)
    tensor = torch.tensor(array)
    if original.dtype == torch.bfloat16:
        tensor = tensor.bfloat16()
    file = BytesIO()
    torch.save(tensor if key is None else {key: tensor}, file)
    path.write_bytes(file.getbuffer())  # raises OSError on a full disk, where torch.save does not


def _load(path: Path) -> tuple[Any, "torch.Tensor"]:
    """Return the key of the tensor, None if it is in no dict, and the tensor, memory-mapped where possible."""
    import torch

    with reading(path, WHAT):
        if path.stat().st_size == 0:
            raise SolaError(f"{path}: is empty (0 bytes)")
        try:
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except UnpicklingError:  # its message is a page of advice
            raise SolaError(
                f"{path}: cannot be read as {WHAT}: it holds other Python objects, or is damaged; save a tensor, or a "
                "dict that holds one"
            ) from None
        tensors = value if isinstance(value, dict) else {None: value}
        tensors = {key: entry for key, entry in tensors.items() if isinstance(entry, torch.Tensor)}
        if "features" in tensors:
            tensors = {"features": tensors["features"]}
        if len(tensors) != 1:
            raise SolaError(f"{path}: holds {len(tensors)} tensors; expected one, or a dict with the key 'features'")
        ((key, tensor),) = tensors.items()
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise SolaError(f"{path}: holds a {tensor.layout} tensor on {tensor.device}; expected a plain tensor")
        held, size = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.itemsize
        if size > held:
            raise SolaError(f"{path}: holds {held:,} bytes that stand for {size:,}; save the tensor as .contiguous()")
        return key, tensor.detach()
