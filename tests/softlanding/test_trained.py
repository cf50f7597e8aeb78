"""Save and load modules, and refuse invalid files."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule


def opened(channels: int = 6, **values: object) -> SoLa:
    """A module with random weights and an open gate."""
    torch.manual_seed(0)
    module = SoLa(channels, **{"hidden": 10, **values}).eval()
    torch.nn.init.constant_(module.alpha, 0.7)
    return module


def features(time: int) -> Tensor:
    return torch.randn(2, time, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"hidden": 0}, "hidden=0"),
        ({"kernel_size": 4}, "kernel_size=4"),
        ({"smoothing": 2}, "smoothing=2"),
        ({"hidden": math.inf}, "not the config of a SoLa module"),
        ({"form": "both"}, "both"),
        ({"conditioning": "whiten"}, "whiten"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, object], named: str, tmp_path: Path) -> None:
    """The value is in a config file."""
    module = opened()
    TrainedModule(module).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["module"] |= values
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SolaError, match=named):
        TrainedModule.load(tmp_path)


def test_a_loaded_module_has_exactly_the_same_output(tmp_path: Path) -> None:
    module = opened(conditioning="center+scale", smoothing=3, gate="linear")
    module.scale.fill_(3.0)
    TrainedModule(module).save(tmp_path)
    assert torch.equal(TrainedModule.load(tmp_path).network(features(9)), module(features(9)))


def test_saving_keeps_other_entries_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"training": {"step": 8}}')
    TrainedModule(opened()).save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["training"] == {"step": 8}


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SolaError, match=r"no module\.safetensors; expected"):
        TrainedModule.load(tmp_path)


def test_weights_that_are_not_safetensors_are_named(tmp_path: Path) -> None:
    TrainedModule(opened()).save(tmp_path)
    (tmp_path / "module.safetensors").write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(SolaError, match=r"module\.safetensors: not a readable safetensors file"):
        TrainedModule.load(tmp_path)


def test_weights_of_another_width_are_reported_in_one_line(tmp_path: Path) -> None:
    TrainedModule(opened(6)).save(tmp_path)
    TrainedModule(opened(7)).save_weights(tmp_path)
    with pytest.raises(SolaError, match=r"the weights do not match config\.json") as caught:
        TrainedModule.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_provenance_describes_the_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"training": {"epochs": 3}, "chosen": {"step": "why"}}')
    TrainedModule(opened()).save(tmp_path)
    module = TrainedModule.load(tmp_path)
    assert module.provenance == {
        "training": {"epochs": 3},
        "chosen": {"step": "why"},
        "stopped_by": "the last of 3 epochs: no label was looked at",
        "run": str(tmp_path.resolve()),
    }
    described = module.describe()
    assert list(described) == ["training", "chosen", "stopped_by", "run", "config", "gate", "scale", "fingerprint"]
    assert described["gate"] == pytest.approx(math.tanh(0.7))


def test_the_fingerprint_depends_on_the_weights() -> None:
    first, same, other = opened(), opened(), opened()
    torch.nn.init.constant_(other.alpha, 0.5)
    assert TrainedModule(first).fingerprint == TrainedModule(same).fingerprint != TrainedModule(other).fingerprint
