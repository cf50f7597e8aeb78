"""The exported file against the module, under another runtime."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "gate", "conditioning", "smoothing"),
    [("adapter", "tanh", "center+scale", 5), ("direct", "linear", "none", 1)],
)
def test_onnx_equals_the_module_at_any_length(
    form: str, gate: str, conditioning: str, smoothing: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = SoLa(6, hidden=8, form=form, gate=gate, conditioning=conditioning, smoothing=smoothing).eval()
    if module.alpha is not None:
        torch.nn.init.constant_(module.alpha, 0.5)
    module.scale.fill_(2.0)
    TrainedModule(module).save(tmp_path / "run")
    # in a process of its own: the shape checks of the tests would make the exporter take sizes for constants
    command = ["export", "onnx", str(tmp_path / "run"), "--out", str(tmp_path / "module.onnx")]
    subprocess.run([sys.executable, "-m", "sola", *command], check=True)
    session = onnxruntime.InferenceSession(tmp_path / "module.onnx")
    for batch, time in ((1, 1), (1, 2), (3, 5), (2, 1000)):
        x = torch.randn(batch, time, 6, generator=torch.Generator().manual_seed(time))
        (got,) = session.run(None, {"features": x.numpy()})
        np.testing.assert_allclose(got, module(x).detach().numpy(), atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["module.onnx", "run"]
