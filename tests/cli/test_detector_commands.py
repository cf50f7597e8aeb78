"""`sola train-detector`, `sola detect` and `sola evaluate` on files: results, records and skipped files."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.detector_commands import SMALL, train
from support.synthetic import SyntheticWorld, write

from sola.data.dataset import Dataset
from sola.data.detections import read_detections
from sola.data.segments import SegmentTable
from sola.detectors import detector_family
from sola.detectors.detect import propose
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS
from sola.evaluation.metrics.average_recall import average_recall


def test_train_detect_and_evaluate(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = ["--out", tmp_path / "detections.json", "--proposals", tmp_path / "proposals.json"]
    assert sola("detect", run, world / "features", *written, "--annotations", annotations) == 0
    assert "detections in 2 videos" in capsys.readouterr().err
    evaluated = {}
    for kind, more in (("detections", []), ("proposals", ["--proposals"])):
        assert sola("evaluate", tmp_path / f"{kind}.json", "--annotations", annotations, *more, "--json") == 0
        evaluated[kind] = json.loads(capsys.readouterr().out)
    truth = json.loads(annotations.read_text())["database"].values()
    instances = sum(len(record["annotations"]) for record in truth if record["subset"] == "validation")
    for metrics in evaluated.values():
        assert metrics["instances"] == instances
        assert metrics["predictions"] > 0
        assert metrics["warnings"] == []
    assert evaluated["proposals"]["AR"]["100"] > 0


def test_detections_are_evaluated_per_frame(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detections = tmp_path / "detections.json"
    assert sola("detect", run, world / "features", "--out", detections, "--annotations", annotations) == 0
    call = ("evaluate", detections, "--annotations", annotations)
    capsys.readouterr()
    assert sola(*call, "--segmentation", "--fps", "10", "--min-score", "0.1", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["F1"]) == {"0.10", "0.25", "0.50"}
    assert sola(*call, "--per-frame", "--dataset", "charades", "--test-subset", "validation") == 0
    assert "mAP" in capsys.readouterr().out
    for flags, message in (
        (["--segmentation", "--proposals"], "--proposals and --segmentation: pass one of them"),
        (["--min-score", ".3"], "--min-score: is for --segmentation"),
        (["--per-frame", "--recall-at", "1"], "--recall-at: is for detections, not with --per-frame"),
        (["--actions"], "expected a verb and a noun"),
    ):
        assert sola(*call, *flags) == 2
        assert message in capsys.readouterr().err


def test_detections_are_sorted_by_score_and_use_annotated_classes(
    run: Path, world: Path, annotations: Path, tmp_path: Path
) -> None:
    out = tmp_path / "detections.json"
    assert sola("detect", run, world / "features", "--out", out, "--annotations", annotations, "--quiet") == 0
    results = json.loads(out.read_text())["results"]
    assert sorted(results) == ["validation_0000", "validation_0001"]
    for detections in results.values():
        scores = [detection["score"] for detection in detections]
        assert scores == sorted(scores, reverse=True)
        assert {detection["label"] for detection in detections} <= {"action_0", "action_1", "action_2"}


def test_each_proposal_gets_two_classes(run: Path, world: Path, annotations: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "d.json", "--proposals", tmp_path / "p.json", "--annotations", annotations, "--quiet"]
    assert sola("detect", run, world / "features", *out) == 0
    detections, proposals = (read_detections(tmp_path / name) for name in ("d.json", "p.json"))
    assert len(detections.table) == 2 * len(proposals.table)
    assert set(detections.table.start) == set(proposals.table.start)


def test_without_annotations_detect_uses_every_video(run: Path, world: Path, tmp_path: Path) -> None:
    assert sola("detect", run, world / "features", "--out", tmp_path / "d.json", "--quiet") == 0
    results = json.loads((tmp_path / "d.json").read_text())["results"]
    assert sorted(results) == sorted(path.stem for path in (world / "features").glob("*.npy"))


def test_detecting_twice_gives_the_same_file(run: Path, world: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert sola("detect", run, world / "features", "--out", tmp_path / name, "--quiet") == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_run_records_its_configuration(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert (config["training"]["model"], config["training"]["length"]) == ("gtad", 8)
    assert config["requested"]["validation"] is None
    assert config["requested"]["annotations"].endswith("annotations.json")
    assert config["classes"] == ["action_0", "action_1", "action_2"]
    assert config["features"]["manifest"]["fps"] == 4.0
    assert (run / WEIGHTS).is_file()
    assert (run / "metrics.jsonl").is_file()


def test_flags_override_the_recipe_and_the_recipe_overrides_defaults(
    world: Path, annotations: Path, tmp_path: Path
) -> None:
    out = train(world / "features", annotations, tmp_path / "run", "--recipe", "gtea", "--max-detections", "7")
    training = json.loads((out / "config.json").read_text())["training"]
    assert (training["max_detections"], training["learning_rate"], training["suppression"]) == (7, 1e-3, "gaussian")


def test_resuming_a_finished_run_writes_nothing(run: Path, world: Path, annotations: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    train(world / "features", annotations, run, "--resume")
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


@pytest.mark.parametrize("layout", ["json", "npy"])
def test_an_external_classifier_labels_detections(
    layout: str, run: Path, world: Path, annotations: Path, tmp_path: Path
) -> None:
    """The array has the layout of UntrimmedNet scores, so the test uses video ids and classes of THUMOS14."""
    features = shutil.copytree(world / "features", tmp_path / "features")
    renamed = {"action_0": "Diving", "action_1": "HighJump", "action_2": "Billiards"}
    record = json.loads(annotations.read_text())
    for number in (0, 1):
        video = f"video_test_000000{number + 1}"
        (features / f"validation_000{number}.npy").rename(features / f"{video}.npy")
        record["database"][video] = record["database"].pop(f"validation_000{number}")
    for video_record in record["database"].values():
        for instance in video_record["annotations"]:
            instance["label"] = renamed[instance["label"]]
    (tmp_path / "thumos.json").write_text(json.dumps(record))
    thumos = train(
        features, tmp_path / "thumos.json", tmp_path / "run", "--classifier-epochs", "0", "--classes-per-proposal", "1"
    )
    if layout == "json":
        scores = {f"video_test_000000{n}": [0.1, 0.2, 0.7] for n in (1, 2)}
        file = tmp_path / "scores.json"
        file.write_text(json.dumps({"results": scores, "class": ["Diving", "Billiards", "HighJump"]}))
    else:
        table = np.zeros((1574, 101), np.float32)
        table[:2, 39] = 0.7  # class 40 of UCF-101 is HighJump
        file = tmp_path / "scores.npy"
        np.save(file, table)
    out = ["--out", tmp_path / "d.json", "--annotations", tmp_path / "thumos.json", "--quiet"]
    assert sola("detect", thumos, features, *out, "--classifier", file) == 0
    results = json.loads((tmp_path / "d.json").read_text())["results"]
    assert {detection["label"] for detections in results.values() for detection in detections} == {"HighJump"}


def test_skip_bad_skips_and_reports_bad_files(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for video in ("training_0000", "validation_0000"):
        (features / f"{video}.npy").write_bytes(b"\x93NUMPY")
    train(features, annotations, tmp_path / "run", "--skip-bad")
    assert "2 bad files left out, the first: " in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["features"]["videos"] == 2
    out = tmp_path / "d.json"
    predict = ["detect", run, features, "--out", out, "--annotations", annotations, "--quiet"]
    assert sola(*predict, "--skip-bad") == 0
    assert list(json.loads(out.read_text())["results"]) == ["validation_0001"]


def test_files_with_bad_values_are_recorded_in_the_config(world: Path, annotations: Path, tmp_path: Path) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    path = features / "training_0000.npy"
    np.save(path, np.full_like(np.load(path), np.nan))
    train(features, annotations, tmp_path / "run", "--skip-bad")
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["training"]
    unreadable = [finding["count"] for finding in data["findings"] if finding["kind"] == "unreadable"]
    assert (data["videos"], unreadable) == (2, [1])


def test_training_with_only_bad_files_is_rejected(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for path in features.glob("*.npy"):
        np.save(path, np.full_like(np.load(path), np.nan))
    options = ["--annotations", annotations, "--out", tmp_path / "run"]
    line = refused(capsys, "train-detector", features, *options, *SMALL, "--skip-bad")
    assert "training_0000.npy: contains NaN" in line
    assert line.endswith("; none of 3 videos is left")


@pytest.mark.slow
@pytest.mark.long
def test_an_interrupted_and_resumed_training_gives_identical_weights(
    world: Path, annotations: Path, tmp_path: Path
) -> None:
    """Terminate the training at an arbitrary time after the first epoch; `test_endurance` uses SIGKILL."""

    def command(run: str) -> list[str]:
        arguments = [world / "features", "--annotations", annotations, "--out", tmp_path / run, *SMALL]
        more = [
            "--validation-subset",
            "validation",
            "--epochs",
            "25",
            "--batch-size",
            "2",
            "--decay-every",
            "9",
            "--resume",
        ]
        return [sys.executable, "-m", "sola", "train-detector", *map(str, arguments), *more]

    interrupted = subprocess.Popen(command("interrupted"), stderr=subprocess.DEVNULL)
    log = tmp_path / "interrupted" / "metrics.jsonl"
    while interrupted.poll() is None and not log.exists():
        time.sleep(0.01)
    interrupted.send_signal(signal.SIGTERM)
    interrupted.wait()
    assert not (tmp_path / "interrupted" / WEIGHTS).exists(), "training finished before it was interrupted"
    for run in ("whole", "interrupted"):
        subprocess.run(command(run), check=True)
    for name in (WEIGHTS, "best.safetensors"):
        assert (tmp_path / "interrupted" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.long  # tests/detectors/test_overlapping_labels.py has stricter requirements
@pytest.mark.parametrize("model", ["bmn", "gtad"])
def test_a_detector_finds_nine_of_ten_actions_in_easy_data(model: str, tmp_path: Path) -> None:
    """Check AR@100 at tIoU 0.5 on validation videos of 9 windows each; it is below 0.5 before training."""
    easy = SyntheticWorld(
        training_videos=10, validation_videos=8, length=240, channels=32, action_length=16, action_spread=0.4,
        state=1.0, repetition=0, easy=True,
    )  # fmt: skip
    write(easy, tmp_path / "world")
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    validation = data.subset("validation")

    def recall(epochs: int, learning_rate: float) -> float:
        config = detector_family(model).config(
            length=24, window_size=48, window_stride=24, max_duration=20, epochs=epochs, batch_size=8, decay_every=4,
            learning_rate=learning_rate, suppression="gaussian", sigma=0.5, classifier_epochs=0, precision="fp32",
            device="cpu",
        )  # fmt: skip
        out = tmp_path / f"run{epochs}"
        detector = train_detector(data.subset("training"), config, out=out, quiet=True)
        proposed = propose(detector, validation, device="cpu")
        truth, proposals = (
            SegmentTable.joined([segments[video.id] for video in validation.videos])
            for segments in ({video.id: video.segments for video in validation.videos}, proposed)
        )
        return average_recall(truth, proposals, [0.5]).at(100)

    before, after = recall(1, 1e-12), recall({"bmn": 5, "gtad": 6}[model], 1e-3)
    print(f"{model}: AR@100 at tIoU .5 is {after:.3f}, untrained {before:.3f}")
    assert before < 0.5
    assert after >= 0.9
