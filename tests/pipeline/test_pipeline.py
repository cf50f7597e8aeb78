"""`sola detect` on videos: rebuild the encoder and modules of a detector, or report what is missing."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.calling import refused, sola
from support.places import QUADRANTS
from support.rendering import picture, render

from sola.data.dataset import Dataset
from sola.data.detections import read_detections
from sola.data.manifest import Manifest
from sola.detectors.trained import TrainedDetector
from sola.pipeline import detect_job

pytestmark = pytest.mark.slow  # all tests need trained runs

ENCODER = f"{QUADRANTS}:quick"
SLOW = f"{QUADRANTS}:slow"
HEAD = [
    "--model", "bmn", "--recipe", "gtea", "--length", "8",
    "--window-size", "16", "--window-stride", "8", "--max-duration", "4",
    "--epochs", "1", "--classifier-epochs", "2", "--precision", "fp32", "--device", "cpu", "--quiet",
]  # fmt: skip
MODULE = ["--epochs", "1", "--hidden", "8", "--step", "1", "--quiet", "--device", "cpu"]


def clip(path: Path, seed: int, count: int = 160, lead: float = 0.0) -> Path:
    """A clip of 20 frames per second, whose first `lead` seconds have only sound."""
    path.parent.mkdir(exist_ok=True, parents=True)
    pictures = [picture(seed * 31 + number) for number in range(count)]
    return render(path, pictures=pictures, first=lead, sound=2 * lead)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """videos/, new/, annotations.json, features/, run/ (a module), softened/, plain/ and soft/ (detectors)."""
    root = tmp_path_factory.mktemp("world")
    database = {}
    for number in range(3):
        clip(root / "videos" / f"v{number}.mp4", number)
        segments = [{"segment": [1 + number / 2, 3 + number / 2], "label": "a"}, {"segment": [5, 7], "label": "b"}]
        database[f"v{number}"] = {"subset": "training", "duration": 8.0, "annotations": segments}
    clip(root / "new" / "n0.mp4", 7)
    clip(root / "new" / "n1.mkv", 8, count=120, lead=1.5)
    (root / "annotations.json").write_text(json.dumps({"database": database}))
    assert sola("extract", root / "videos", "--out", root / "features", "--encoder", ENCODER, "--quiet") == 0
    assert sola("train", root / "features", "--out", root / "run", *MODULE) == 0
    assert sola("transform", root / "run", root / "features", "--out", root / "softened", "--quiet") == 0
    for features, run in (("features", "plain"), ("softened", "soft")):
        localize(root / features, root / run)
    return root


def localize(features: Path, run: Path, *more: object) -> None:
    annotations = features.parent / "annotations.json"
    assert sola("train-detector", features, *more, "--annotations", annotations, "--out", run, *HEAD) == 0


def predict(world: Path, run: Path | str, out: Path, *more: object) -> list[object]:
    return ["detect", world / run, world / "new", "--out", out, "--encoder", ENCODER, "--quiet", *more]


def content(path: Path) -> dict[str, list[dict[str, object]]]:
    results: dict[str, list[dict[str, object]]] = json.loads(path.read_text())["results"]
    return results


@pytest.mark.parametrize("run", ["plain", "soft"])
def test_detections_equal_those_of_separate_commands(world: Path, tmp_path: Path, run: str) -> None:
    features, softened, expected, out = (tmp_path / name for name in ("features", "softened", "e.json", "out.json"))
    assert sola("extract", world / "new", "--out", features, "--encoder", ENCODER, "--quiet") == 0
    if run == "soft":
        assert sola("transform", world / "run", features, "--out", softened, "--quiet") == 0
        features = softened
    assert sola("detect", world / run, features, "--out", expected, "--quiet") == 0
    assert sola(*predict(world, run, out)) == 0
    assert content(out) == content(expected)
    assert set(content(out)) == {"n0", "n1"}
    assert min(map(len, content(out).values())) > 0


def test_actions_of_two_detectors_equal_those_of_separate_commands(world: Path, tmp_path: Path) -> None:
    annotations, features, expected, out = (tmp_path / name for name in ("verbs.json", "new", "e.json", "out.json"))
    small = ["--levels", "2", "--width", "8", "--length", "64", "--epochs", "1", "--warmup-epochs", "0", "--quiet"]
    for run, names in (("verbs", "ab"), ("nouns", "cd")):
        text = (world / "annotations.json").read_text(encoding="utf-8")
        annotations.write_text(text.replace('"a"', f'"{names[0]}"').replace('"b"', f'"{names[1]}"'), encoding="utf-8")
        files = [world / "features", "--annotations", annotations, "--out", tmp_path / run]
        assert sola("train-detector", *files, "--model", "actionformer", "--recipe", "gtea", *small) == 0
    assert sola("extract", world / "new", "--out", features, "--encoder", ENCODER, "--quiet") == 0
    pair = ["--nouns", tmp_path / "nouns"]
    assert sola("detect", tmp_path / "verbs", features, *pair, "--out", expected, "--quiet") == 0
    assert sola(*predict(world, tmp_path / "verbs", out, *pair)) == 0
    assert content(out) == content(expected)
    found = {detection["label"] for detections in content(out).values() for detection in detections}
    assert found == {"a,c", "a,d", "b,c", "b,d"}
    assert (tmp_path / "out" / "n0.png").is_file()


def test_each_video_is_drawn_and_no_other_files_remain(world: Path, tmp_path: Path) -> None:
    assert sola(*predict(world, "plain", tmp_path / "out.json")) == 0
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "out", "out.json", "out/n0.png", "out/n1.png",
    ]  # fmt: skip
    with Image.open(tmp_path / "out" / "n0.png") as image:
        assert image.width > 1000
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 1000  # colors of the frames


def test_pictures_of_ids_with_folders_are_in_folders(world: Path, tmp_path: Path) -> None:
    for place, name in (("P1", "n0.mp4"), ("P2", "n1.mkv")):
        (tmp_path / "new" / place).mkdir(parents=True)
        shutil.copy(world / "new" / name, (tmp_path / "new" / place / name).with_stem("cam"))
    arguments = predict(world, "soft", tmp_path / "out.json", "--id-from", "path")
    arguments[2] = tmp_path / "new"
    assert sola(*arguments) == 0
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")) == [
        "out/P1/cam.png", "out/P2/cam.png",
    ]  # fmt: skip
    assert sola(*predict(world, "soft", tmp_path / "expected.json", "--no-pictures")) == 0
    actual, expected = content(tmp_path / "out.json"), content(tmp_path / "expected.json")
    assert actual == {"P1/cam": expected["n0"], "P2/cam": expected["n1"]}


def test_no_pictures_writes_only_the_detections(world: Path, tmp_path: Path) -> None:
    assert sola(*predict(world, "plain", tmp_path / "out.json", "--no-pictures")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_bad_files_can_be_skipped(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    arguments = predict(world, "plain", tmp_path / "out.json", tmp_path / "bad.mp4")
    assert str(tmp_path / "bad.mp4") in refused(capsys, *arguments)
    assert not (tmp_path / "out.json").exists()
    assert sola(*arguments, "--skip-bad") == 0
    assert set(content(tmp_path / "out.json")) == {"n0", "n1"}


def test_a_moved_module_is_reported_and_can_be_passed(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world / "soft", tmp_path / "soft")
    config = json.loads((tmp_path / "soft" / "config.json").read_text())
    sola_entry = config["features"]["manifest"]["sola"]
    sola_entry["run"] = str(tmp_path / "gone")
    (tmp_path / "soft" / "config.json").write_text(json.dumps(config))
    line = refused(capsys, *predict(world, tmp_path / "soft", tmp_path / "out.json"))
    assert str(tmp_path / "gone") in line
    assert "--modules" in line
    assert sola("train", world / "features", "--out", tmp_path / "other", *MODULE, "--seed", "5") == 0
    line = refused(capsys, *predict(world, tmp_path / "soft", tmp_path / "out.json", "--modules", tmp_path / "other"))
    assert sola_entry["fingerprint"][:12] in line
    assert sola(*predict(world, tmp_path / "soft", tmp_path / "out.json", "--modules", world / "run")) == 0


def test_features_go_through_every_module_in_order(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "videos", tmp_path / "videos")
    shutil.copy(world / "annotations.json", tmp_path)
    assert sola("train", world / "softened", "--out", tmp_path / "second", *MODULE, "--seed", "3") == 0
    assert sola("transform", tmp_path / "second", world / "softened", "--out", tmp_path / "twice", "--quiet") == 0
    localize(tmp_path / "twice", tmp_path / "run")
    assert sola("detect", tmp_path / "run", tmp_path / "twice", "--out", tmp_path / "e.json") == 0
    arguments = predict(world, tmp_path / "run", tmp_path / "out.json")
    arguments[2] = world / "videos"
    assert sola(*arguments) == 0
    assert content(tmp_path / "out.json") == content(tmp_path / "e.json")


def test_a_detector_trained_on_other_features_is_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world / "plain", tmp_path / "plain")
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    del config["features"]["manifest"]["extraction"]
    (tmp_path / "plain" / "config.json").write_text(json.dumps(config))
    assert "sola detect" in refused(capsys, *predict(world, tmp_path / "plain", tmp_path / "out.json"))


def test_the_code_of_a_custom_encoder_is_not_run_automatically(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = predict(world, "plain", tmp_path / "out.json")
    place = arguments.index("--encoder")
    line = refused(capsys, *arguments[:place], *arguments[place + 2 :])
    assert f"--encoder {ENCODER}" in line


def test_another_encoder_is_refused(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = predict(world, "plain", tmp_path / "out.json")
    arguments[arguments.index("--encoder") + 1] = "efficientnet-lite0"
    assert "the weights or settings of the encoder efficientnet-lite0 differ" in refused(capsys, *arguments)


def test_a_renamed_encoder_is_recognized_by_its_identity(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "plain", tmp_path / "plain")
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    config["features"]["manifest"]["encoder"] = "old name"
    (tmp_path / "plain" / "config.json").write_text(json.dumps(config))
    assert sola(*predict(world, tmp_path / "plain", tmp_path / "out.json")) == 0


def test_joined_features_are_refused(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    localize(world / "features", tmp_path / "joined", world / "softened")
    line = refused(capsys, *predict(world, tmp_path / "joined", tmp_path / "out.json"))
    assert "joined" in line


def test_existing_output_is_not_overwritten(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert "--overwrite" in refused(capsys, *predict(world, "plain", tmp_path / "out.json"))


def test_features_of_differently_prepared_frames_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world / "features", tmp_path / "features")
    manifest = Manifest.read(tmp_path / "features").to_json()
    manifest["extraction"]["framing"]["short_side"] = 24
    (tmp_path / "features" / "features.json").write_text(json.dumps(manifest))
    line = refused(capsys, "detect", world / "plain", tmp_path / "features", "--out", tmp_path / "o.json")
    assert "differently prepared frames" in line


def test_a_stopped_detection_continues(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["detect", world / "plain", world / "features", "--quiet", "--out"]
    assert sola(*arguments, tmp_path / "expected.json") == 0
    calls: list[tuple[str, ...]] = []
    propose = detect_job.propose

    def stopping(detector: TrainedDetector, data: Dataset, **more: object) -> object:
        calls.append(tuple(video.id for video in data.videos))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return propose(detector, data, **more)

    monkeypatch.setattr(detect_job, "propose", stopping)
    monkeypatch.setattr(detect_job, "VIDEOS_AT_A_TIME", 1)
    assert sola(*arguments, tmp_path / "out.json") == 130
    assert not (tmp_path / "out.json").exists()
    assert sola(*arguments, tmp_path / "out.json") == 0
    assert calls == [("v0",), ("v1",), ("v2",), ("v2",)]
    assert {path.name for path in tmp_path.iterdir()} == {"expected.json", "out.json"}
    actual, expected = content(tmp_path / "out.json"), content(tmp_path / "expected.json")
    assert list(actual) == list(expected)
    for video in actual:
        assert len(actual[video]) == len(expected[video])


def test_a_killed_prediction_continues(world: Path, tmp_path: Path) -> None:
    arguments = predict(world, "plain", tmp_path / "out.json")
    arguments[arguments.index("--encoder") + 1] = SLOW
    command = [sys.executable, "-m", "sola", *map(str, arguments), "--jobs", "1", "--batch-size", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    first = tmp_path / ".out.json.partial" / "features" / "n0.npy"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = first.stat().st_mtime_ns
    assert not (tmp_path / "out.json").exists()
    seen, finished = set(), threading.Event()

    def watch() -> None:
        while not finished.wait(0.01):
            with suppress(FileNotFoundError):
                seen.add(first.stat().st_mtime_ns)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = sola(*command[3:])
    finished.set()
    watcher.join()
    assert code == 0
    assert seen == {made}  # it was not extracted again
    assert sola(*predict(world, "plain", tmp_path / "expected.json")) == 0
    assert content(tmp_path / "out.json") == content(tmp_path / "expected.json")
    assert set(read_detections(tmp_path / "out.json").videos) == {"n0", "n1"}
