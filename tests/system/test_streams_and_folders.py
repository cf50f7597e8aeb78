"""Commands with several streams in one folder, and with video ids that contain folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.data.detections import read_detections
from sola.data.features import FeatureSet

WORLD = SyntheticWorld(training_videos=4, validation_videos=2, length=60, channels=16, action_length=10)
TRAIN = ("--step", "2", "--hidden", "8", "--projector-hidden", "8", "--epochs", "1", "--quiet")
DETECTOR = ("--model", "bmn", "--length", "24", "--epochs", "1", "--decay-every", "1", "--quiet")
RIDGE = ("--solver", "ridge", "--seeds", "1", "--quiet")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write(WORLD, tmp_path / "world", seed=0)
    return tmp_path / "world"


def arrays(world: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in (world / "features").glob("*.npy")}


def test_streams_in_one_folder(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for video, values in arrays(world).items():
        np.save(mixed / f"{video}_rgb.npy", values[:, :10])
        np.save(mixed / f"{video}_flow.npy", values[:-1, 10:])
    command = ("train", mixed, "--out", tmp_path / "run", *TRAIN)
    assert "join them with --streams rgb flow, or move one stream to another folder" in refused(capsys, *command)
    streams = ("--streams", "rgb", "flow")
    assert sola(*command, *streams) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["requested"]["features"] == [str(mixed)]
    assert sola("transform", tmp_path / "run", mixed, "--out", tmp_path / "soft", *streams, "--quiet") == 0
    soft = FeatureSet.open(tmp_path / "soft")
    assert {video: soft.header(video).shape for video in soft.videos} == {
        video: (len(values) - 1, 16) for video, values in arrays(world).items()
    }
    compare = ("--annotations", world / "annotations.json", "--compare", f"sola={tmp_path / 'soft'}", "--json")
    assert sola("probe", mixed, *streams, *compare, *RIDGE) == 0
    assert {"raw", "sola"} <= {row["name"] for row in json.loads(capsys.readouterr().out)["rows"]}


def test_commands_accept_ids_with_folders(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations = json.loads((world / "annotations.json").read_text())
    database = {}
    for number, (video, values) in enumerate(sorted(arrays(world).items())):
        (tmp_path / "tree" / f"P{number}").mkdir(parents=True)
        np.save(tmp_path / "tree" / f"P{number}" / "cam.npy", values)
        database[f"videos/P{number}/cam.mp4"] = annotations["database"][video]
    (tmp_path / "tree" / "features.json").write_bytes((world / "features" / "features.json").read_bytes())
    truth = tmp_path / "annotations.json"
    truth.write_text(json.dumps({"database": database}))
    train = ("train-detector", tmp_path / "tree", "--annotations", truth, "--out", tmp_path / "run", *DETECTOR)
    assert "pass --id-from path to read its subfolders, such as P0" in refused(capsys, *train)
    path = ("--id-from", "path")
    assert sola(*train, *path) == 0
    out = tmp_path / "detections.json"
    assert sola("detect", tmp_path / "run", tmp_path / "tree", *path, "--out", out, "--quiet") == 0
    assert read_detections(out).videos == tuple(f"P{number}/cam" for number in range(6))
    capsys.readouterr()
    assert sola("evaluate", out, "--annotations", truth, "--json") == 0
    warning = json.loads(capsys.readouterr().out)["warnings"][0]
    assert warning == (
        "ids differ by the folder 'videos/' and the suffix '.mp4' (predictions have 'P4/cam', "
        "annotations 'videos/P4/cam.mp4')"
    )
