"""The module for other runtimes: one ONNX file, any number of videos of any length."""

import copy
import logging
import warnings
from pathlib import Path

import torch

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.softlanding.network import SoLa


def export_onnx(module: SoLa, path: Path) -> None:
    """Write the module as ONNX: `features` [batch, time, channels] float32 to `transformed`, of the same shape.

    Conditioning and smoothing are in it: it takes whole videos, as `SoLa.forward` does.

    Raises:
        SolaError: when the extra is not installed, or the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError:
        raise SolaError("onnxscript is not installed; pip install 'sola-tal[export]'") from None
    # with one video or one snippet the exporter would take that size for a constant
    example = torch.zeros(2, 4 * module.kernel_size + module.smoothing, module.channels)
    sizes = {"features": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}}
    torchs_remarks = logging.getLogger("torch.onnx")
    level = torchs_remarks.level
    torchs_remarks.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), replacing(path) as aside:
            warnings.simplefilter("ignore")
            torch.onnx.export(
                copy.deepcopy(module).cpu().eval(),
                (example,),
                aside,
                input_names=["features"],
                output_names=["transformed"],
                dynamic_shapes=sizes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        torchs_remarks.setLevel(level)
