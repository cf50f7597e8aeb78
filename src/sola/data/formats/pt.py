"""PyTorch .pt files: a tensor, or a dict with one tensor."""

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
    """Return the array, memory-mapped if possible. bfloat16 is converted to float32."""
    import torch

    _, tensor = _load(path)
    with reading(path, WHAT):
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    check_header(Header(array.shape, array.dtype), path)
    return array


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array with the key of `like`, in bfloat16 if `like` is."""
    import torch

    key, original = _load(like)
    tensor = torch.tensor(array)
    if original.dtype == torch.bfloat16:
        tensor = tensor.bfloat16()
    file = BytesIO()
    torch.save(tensor if key is None else {key: tensor}, file)
    path.write_bytes(file.getbuffer())  # unlike torch.save, raises OSError on a full disk


def _load(path: Path) -> tuple[Any, "torch.Tensor"]:
    """Return the dict key of the tensor, or None without a dict, and the tensor, memory-mapped if possible."""
    import torch

    with reading(path, WHAT):
        if path.stat().st_size == 0:
            raise SolaError(f"{path}: is empty (0 bytes)")
        try:
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except UnpicklingError:  # its message is long and not helpful here
            raise SolaError(
                f"{path}: cannot be read as {WHAT}: it contains other Python objects or is damaged; save a tensor "
                "or a dict with one tensor"
            ) from None
        tensors = value if isinstance(value, dict) else {None: value}
        tensors = {key: entry for key, entry in tensors.items() if isinstance(entry, torch.Tensor)}
        if "features" in tensors:
            tensors = {"features": tensors["features"]}
        if len(tensors) != 1:
            raise SolaError(f"{path}: contains {len(tensors)} tensors; expected one, or a dict with the key 'features'")
        ((key, tensor),) = tensors.items()
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise SolaError(
                f"{path}: contains a {tensor.layout} tensor on {tensor.device}; expected a dense CPU tensor"
            )
        stored, size = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.itemsize
        if size > stored:
            raise SolaError(f"{path}: stores {stored:,} bytes for a tensor of {size:,} bytes; save tensor.contiguous()")
        return key, tensor.detach()
