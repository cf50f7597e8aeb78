"""Export of a module to a single ONNX file, with dynamic batch size and length."""

import copy
import logging
import warnings
from pathlib import Path

import torch

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.softlanding.multiscale import MultiScaleSoLa, Network


def export_onnx(module: Network, path: Path) -> None:
    """Write a module, with its conditioning and smoothing, as ONNX.

    The input `features` and the output `transformed` are [batch, time, channels]. Raises SolaError if onnxscript is
    not installed or the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401  (required by torch's exporter)
    except ImportError:
        raise SolaError("onnxscript is not installed; pip install 'sola-tal[export]'") from None
    # the example has no size of 1, which the exporter would treat as a constant
    if isinstance(module, MultiScaleSoLa):
        widest = max(module.average, module.wide_average or 1, *module.smoothings)
    else:
        widest = module.smoothing
    example = torch.zeros(2, 4 * module.kernel_size + widest, module.channels)
    sizes = {"features": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}}
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
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
        exporter_log.setLevel(level)
