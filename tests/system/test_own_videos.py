"""The walk-through for a newcomer's own videos is run as it stands there, on clips rendered here."""

import json
import re
import shlex
from pathlib import Path

import av
import numpy as np
import pytest
from support.calling import sola
from support.places import DOCS

from sola.data.detections import read_detections
from sola.data.features import FeatureSet

PAGE = (DOCS / "own-videos.md").read_text(encoding="utf-8")
SECONDS = 16
RATE = 8
"""Frames a second."""
SEGMENTS = {"stripes": (3.0, 7.0), "disc": (10.0, 13.5)}


def render(path: Path, seed: int) -> None:
    """A noisy scene in which stripes pass for a while, and later a disc jumps about."""
    draw = np.random.default_rng(seed)
    scene = draw.integers(40, 120, (64, 96, 3), dtype=np.uint8)
    y, x = np.mgrid[:64, :96]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(SECONDS * RATE):
            picture, time = scene.copy(), number / RATE
            if SEGMENTS["stripes"][0] <= time < SEGMENTS["stripes"][1]:
                picture[(x + 3 * number) % 16 < 8] = 230
            if SEGMENTS["disc"][0] <= time < SEGMENTS["disc"][1]:
                row, column = draw.integers(16, 48), draw.integers(16, 80)
                picture[(y - row) ** 2 + (x - column) ** 2 < 200] = (220, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos/, new-videos/ and annotations.json."""
    root = tmp_path_factory.mktemp("own")
    database = {}
    for number in range(6):
        subset = "training" if number < 4 else "validation"
        path = root / ("videos" if number < 5 else "new-videos") / f"clip{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        render(path, number)
        if number < 5:
            annotations = [{"segment": list(segment), "label": name} for name, segment in SEGMENTS.items()]
            database[path.stem] = {"subset": subset, "duration": SECONDS, "annotations": annotations}
    (root / "annotations.json").write_text(json.dumps({"database": database}))
    return root


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("sola ")]


def quick(command: list[str]) -> list[str]:
    """The same with few epochs: what comes of it is not what is tested here."""
    few = {"train": ["--epochs", "1"], "train-detector": ["--epochs", "3"], "probe": ["--seeds", "1"]}
    return command + next((more for name, more in few.items() if " ".join(command).startswith(name + " ")), [])


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_page_runs_from_videos_to_detections(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names = [shlex.split(command)[1] for command in commands()]
    wanted = ("extract", "train", "inspect", "transform", "probe", "train-detector", "detect", "evaluate", "export")
    assert set(wanted) <= set(names)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    Path("mean_color.py").write_text(code)
    for command in commands():
        assert sola(*quick(shlex.split(command, comments=True)[1:])) == 0, command
    assert len(FeatureSet.open("colors").videos) == 5
    found = read_detections(folder / "new.json")
    assert found.videos == ("clip5",)
    assert (folder / "new" / "clip5.png").is_file()
