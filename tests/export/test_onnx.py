"""The exported ONNX file in ONNX Runtime gives the outputs of the module."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sola.softlanding.multiscale import MultiScaleSoLa
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule

onnxruntime = pytest.importorskip("onnxruntime")


SETTINGS = {
    "adapter": {"form": "adapter", "gate": "tanh", "conditioning": "center+scale", "smoothing": 5},
    "direct": {"form": "direct", "gate": "linear", "conditioning": "none", "smoothing": 1},
}
# in a subprocess: with the shape checks of the tests active, the exporter would treat sizes as constants
EXPORT = """
import sys
from sola.cli import main
for run in sys.argv[1:]:
    try:
        main(["export", "onnx", run, "--out", run + ".onnx"])
    except SystemExit as stop:
        assert not stop.code
"""


@pytest.mark.slow
def test_onnx_equals_the_module_at_any_length(tmp_path: Path) -> None:
    torch.manual_seed(0)
    modules = {}
    for name, settings in SETTINGS.items():
        module = modules[name] = SoLa(6, hidden=8, **settings).eval()
        if module.alpha is not None:
            torch.nn.init.constant_(module.alpha, 0.5)
        module.scale.fill_(2.0)
        TrainedModule(module).save(tmp_path / name)
    several = MultiScaleSoLa(
        6, steps=(1, 2), random_steps=(4,), hidden=8, reduced=4, average=5, wide_average=11, mapped=7
    ).eval()
    several.part_means.copy_(torch.randn(sum(several.widths)))
    several.part_weights.copy_(torch.arange(1.0, 7.0))
    several.reduction.copy_(torch.randn(6, 4))
    modules["several steps"] = several
    TrainedModule(several).save(tmp_path / "several steps")
    subprocess.run([sys.executable, "-c", EXPORT, *(str(tmp_path / name) for name in modules)], check=True)
    for name, module in modules.items():
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx")
        for batch, time in ((1, 1), (1, 2), (3, 5), (2, 1000)):
            x = torch.randn(batch, time, 6, generator=torch.Generator().manual_seed(time))
            (got,) = session.run(None, {"features": x.numpy()})
            np.testing.assert_allclose(got, module(x).detach().numpy(), atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("adapter", "adapter.onnx", "direct", "direct.onnx"),
        *("several steps", "several steps.onnx"),
    ]
