"""`sola export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sola.cli.console import parse, say
from sola.export.onnx import export_onnx
from sola.pipeline.transform_job import load_module


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the module of RUN as one ONNX file: features [batch, time, channels] in, the same shape out."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A finished run of `sola train`."""
    onnx: Annotated[Path, arg(metavar="FILE")]
    """The file to write."""


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Export, "export", arguments)
    export_onnx(load_module(options.run), options.onnx)
    say(f"{options.onnx}: written")
