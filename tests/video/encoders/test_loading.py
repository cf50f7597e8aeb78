"""Loading encoders by name, including custom encoders."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.quadrants import Quadrants

from sola.core.errors import SolaError
from sola.video.encoders.base import Encoder
from sola.video.encoders.efficientnet import EfficientNetEncoder
from sola.video.encoders.loading import is_own, load_encoder

CPU = torch.device("cpu")

OWN = """
from __future__ import annotations
import dataclasses
import numpy as np
from sola.video.framing import Framing

@dataclasses.dataclass
class Mine:
    device: object
    name: str = "mine"
    dim: int = 2
    framing: Framing = Framing(4, 4)
    fps: float = 1.0
    window: int = 3
    stride: int = 1
    license: str = "MIT"
    identity: str = "1"

    def __call__(self, frames):
        return np.zeros((len(frames), 2), np.float32)

def build(device):
    return Mine(device)

def lacking(device):
    mine = Mine(device)
    del mine.device
    return [mine]

nothing = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_encoder_of_tests.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_encoder_of_tests", None)


@pytest.mark.parametrize(
    "source", ["my_encoder_of_tests:build", "my_encoder_of_tests.py:build", "./my_encoder_of_tests.py:Mine"]
)
@pytest.mark.parametrize("window", [None, 3])
def test_custom_encoder_is_loaded(source: str, window: int | None, folder: Path) -> None:
    encoder = load_encoder(source, CPU, window=window)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.window, encoder.device) == ("mine", 3, CPU)
    assert encoder(np.zeros((5, 3, 4, 4, 3), np.uint8)).shape == (5, 2)


def test_custom_encoder_in_any_file_is_loaded(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_encoder(f"{folder / 'my_encoder_of_tests.py'}:build", CPU).name == "mine"


@pytest.mark.parametrize("name", ["av.py", "torch.py", "numpy.py"])
def test_file_named_like_a_library_does_not_replace_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(OWN)
    before = sys.modules.get(name[:-3])
    assert load_encoder(f"{tmp_path / name}:build", CPU).name == "mine"
    assert sys.modules.get(name[:-3]) is before


def test_two_files_with_the_same_name(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(OWN.replace('"mine"', f'"{name}"'))
    assert [load_encoder(f"{tmp_path / name / 'own.py'}:build", CPU).name for name in ("x", "y", "x")] == [
        "x",
        "y",
        "x",
    ]


def test_import_path_is_restored(folder: Path) -> None:
    before = list(sys.path)
    load_encoder("my_encoder_of_tests:build", CPU)
    with pytest.raises(SolaError):
        load_encoder("no_such_module_anywhere:build", CPU)
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("no_such_module_anywhere:build", "cannot be imported"),
        ("my_encoder_of_tests:none", "has no function 'none'"),
        ("my_encoder_of_tests:", "has no function ''"),
        ("my_encoder_of_tests:nothing", "has no function 'nothing'"),
        ("my_encoder_of_tests.py:nothing", "has no function 'nothing'"),
        ("my_encoder_of_tests:lacking", "lacks name, dim, framing, fps, window, stride, license, identity"),
        ("gone.py:build", "gone.py: no such file"),
        ("wrong.py:build", "cannot be imported"),
        (":build", "cannot be imported"),
        (".relative:build", "cannot be imported"),
        ("a b:build", "cannot be imported"),
        ("efficientnet-lite1", "no such encoder; expected efficientnet-lite0"),
        ("a/b/c", "no such encoder"),
    ],
)
def test_unknown_name_is_an_error(source: str, complaint: str, folder: Path) -> None:
    (folder / "wrong.py").write_text("def build(device:\n")
    with pytest.raises(SolaError, match=complaint.replace("(", r"\(")) as caught:
        load_encoder(source, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["name", "dim", "framing", "fps", "window", "stride", "license", "identity"])
def test_encoder_without_a_property_is_an_error(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from support import quadrants

    class Without(Quadrants):
        def __getattribute__(self, name: str) -> object:
            if name == part:
                raise AttributeError(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(quadrants, "quick", lambda device: Without())
    with pytest.raises(SolaError, match=f"the returned object lacks {part};"):
        load_encoder("support.quadrants:quick", CPU)


def test_encoder_that_is_not_callable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("def __call__", "def call"))
    with pytest.raises(SolaError, match="lacks __call__"):
        load_encoder(f"{tmp_path / 'own.py'}:build", CPU)


@pytest.mark.parametrize("window", [0, -3])
def test_invalid_window_is_an_error(window: int) -> None:
    with pytest.raises(SolaError, match=f"window={window}: expected a whole number of at least 1"):
        load_encoder("efficientnet-lite0", CPU, window=window)


def test_window_not_supported_by_a_custom_encoder_is_an_error() -> None:
    with pytest.raises(SolaError, match="requires windows of 1 frames, not 4"):
        load_encoder("support.quadrants:quick", CPU, window=4)


def test_the_default_encoder_is_loaded_by_name() -> None:
    encoder = load_encoder("efficientnet-lite0", CPU, window=5)
    assert isinstance(encoder, EfficientNetEncoder)
    assert isinstance(encoder, Encoder)
    assert encoder.window == 5


def test_folder_is_not_a_custom_encoder(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert not is_own(str(tmp_path / "a:b"))
    assert is_own("a:b")
