"""`sola train-detector` and `sola detect` on files: complete runs, provenance of features, and bad input."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.data.dataset import Dataset
from sola.data.detections import read_detections
from sola.data.segments import SegmentTable
from sola.detectors import detector_family
from sola.detectors.detect import propose
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS
from sola.evaluation.metrics.average_recall import average_recall
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule

WORLD = SyntheticWorld(training_videos=3, validation_videos=2, length=32, channels=8, action_length=8, classes=3)
SMALL = [
    "--model", "gtad", "--bins", "4", "--context-bins", "2", "--length", "8",
    "--window-size", "16", "--window-stride", "8",
    "--max-duration", "4", "--epochs", "1", "--classifier-epochs", "2", "--precision", "fp32", "--device", "cpu",
    "--quiet",
]  # fmt: skip


def train(features: Path, annotations: Path, out: Path, *more: object) -> Path:
    assert sola("train-detector", features, "--annotations", annotations, "--out", out, *SMALL, *more) == 0
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, shared by all tests and not modified."""
    folder = tmp_path_factory.mktemp("shared") / "world"
    write(WORLD, folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def annotations(world: Path) -> Path:
    return world / "annotations.json"


@pytest.fixture(scope="module")
def run(world: Path, annotations: Path) -> Path:
    """A run trained on the raw features; tests do not modify it."""
    return train(world / "features", annotations, world.parent / "run")


@pytest.fixture(scope="module")
def transformed_features(world: Path) -> Callable[[int], Path]:
    """Features transformed by an untrained SoLa module with the given seed."""

    def transform(seed: int) -> Path:
        import torch

        out = world.parent / f"transformed{seed}"
        if not out.exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                TrainedModule(SoLa(8, hidden=4)).save(world.parent / f"module{seed}")
            assert sola("transform", world.parent / f"module{seed}", world / "features", "--out", out, "--quiet") == 0
        return out

    return transform


@pytest.fixture(scope="module")
def run_on_transformed(world: Path, annotations: Path, transformed_features: Callable[[int], Path]) -> Path:
    """A run trained on features transformed by module 1; tests do not modify it."""
    return train(transformed_features(1), annotations, world.parent / "run_on_transformed")


# --- complete runs --------------------------------------------------------------------------------------------------


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


# --- provenance of features -----------------------------------------------------------------------------------------


def detect_command(run: Path, features: Path, tmp_path: Path) -> list[object]:
    return ["detect", run, features, "--out", tmp_path / "d.json", "--quiet"]


def test_a_run_records_the_module_that_transformed_its_features(
    run_on_transformed: Path, transformed_features: Callable[[int], Path]
) -> None:
    manifest = json.loads((transformed_features(1) / "features.json").read_text())
    config = json.loads((run_on_transformed / "config.json").read_text())
    assert config["features"]["manifest"] == manifest
    assert len(manifest["sola"]["fingerprint"]) == 64


def test_features_with_the_same_provenance_are_accepted(
    run_on_transformed: Path, transformed_features: Callable[[int], Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(transformed_features(1), tmp_path / "elsewhere")
    assert sola(*detect_command(run_on_transformed, copy, tmp_path)) == 0


def test_raw_features_are_rejected_after_training_on_transformed_features(
    run_on_transformed: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *detect_command(run_on_transformed, world / "features", tmp_path))
    assert "no SoLa module" in line
    assert not (tmp_path / "d.json").exists()


def test_transformed_features_are_rejected_after_training_on_raw_features(
    run: Path, transformed_features: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "went through the SoLa module" in refused(capsys, *detect_command(run, transformed_features(1), tmp_path))


def test_features_of_another_module_are_rejected(
    run_on_transformed: Path,
    transformed_features: Callable[[int], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refused(capsys, *detect_command(run_on_transformed, transformed_features(2), tmp_path))
    for seed in (1, 2):
        manifest = json.loads((transformed_features(seed) / "features.json").read_text())
        assert manifest["sola"]["fingerprint"][:12] in line


@pytest.mark.parametrize(
    ("key", "value"), [("fps", 5.0), ("stride", 2), ("window", 3), ("offset", 1), ("encoder", "another")]
)
def test_features_with_another_manifest_are_rejected(
    key: str, value: Any, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    manifest = json.loads((features / "features.json").read_text())
    (features / "features.json").write_text(json.dumps(manifest | {key: value}))
    assert f"{key}={value}" in refused(capsys, *detect_command(run, features, tmp_path))


def test_features_with_another_number_of_channels_are_rejected(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    line = refused(capsys, *detect_command(run, tmp_path / "wide", tmp_path), "--fps", "4")
    assert "12" in line
    assert "8" in line


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--model", "actionnet"], "--model actionnet: expected one of actionformer, bmn, gtad"),
        (["--recipe", "magic"], "--recipe magic: expected one of anet, hacs"),
        (["--train-subset", "dev"], "unknown subset 'dev'"),
        (["--validation-subset", "dev"], "unknown subset 'dev'"),
        (["--annotations", "nowhere.json"], "nowhere.json: no such file"),
        (["--epochs", "0"], "epochs=0"),
        (["--epochs", "many"], "many"),
        (["--epoch", "3"], "--epoch"),
        (["--max-duration", "9"], "max_duration=9"),
        (["--window-stride", "17"], "window_stride=17"),
        (["--label-key", "verb"], "--label-key"),
        (["--resume", "--overwrite"], "pass one of them"),
    ],
)
def test_a_bad_argument_of_train_detector_gives_a_one_line_error(
    changed: list[str], message: str, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run", *SMALL, *changed]
    assert message in refused(capsys, "train-detector", world / "features", *arguments)
    assert not (tmp_path / "run").exists()


def test_missing_features_are_rejected(
    annotations: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run"]
    assert "FEATURES" in refused(capsys, "train-detector", *arguments)
    assert "FEATURES" in refused(capsys, "detect", run, "--out", tmp_path / "d.json")


@pytest.mark.parametrize("missing", ["--annotations", "--out", "--model"])
def test_a_required_option_is_named(missing: str, world: Path, tmp_path: Path, capsys: object) -> None:
    options = {"--annotations": world / "annotations.json", "--out": tmp_path / "run", "--model": "bmn"}
    arguments = [part for flag, value in options.items() if flag != missing for part in (flag, value)]
    assert missing in refused(capsys, "train-detector", world / "features", *arguments)


@pytest.mark.parametrize("arguments", [["fly"], ["train-detector", "--model"], ["detect"]])
def test_an_incomplete_command_gives_a_one_line_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments)


def test_a_subset_without_instances_is_rejected(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(annotations.read_text())
    for video_record in record["database"].values():
        if video_record["subset"] == "validation":
            video_record["annotations"] = []
    (tmp_path / "a.json").write_text(json.dumps(record))
    arguments = [
        "--annotations",
        tmp_path / "a.json",
        "--out",
        tmp_path / "run",
        *SMALL,
        "--train-subset",
        "validation",
    ]
    assert "nothing to train on" in refused(capsys, "train-detector", world / "features", *arguments)


def test_a_subset_without_features_is_rejected(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for path in features.glob("training_*.npy"):
        path.unlink()
    arguments = ["--annotations", annotations, "--out", tmp_path / "run", *SMALL]
    assert "subset 'training': none of its 3 videos has" in refused(capsys, "train-detector", features, *arguments)


def test_a_bad_file_is_named(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    path = features / "training_0000.npy"
    path.write_bytes(path.read_bytes()[:-100])
    train_command = ["train-detector", features, "--annotations", annotations, "--out", tmp_path / "run", *SMALL]
    for arguments in (train_command, detect_command(run, features, tmp_path)):
        line = refused(capsys, *arguments)
        assert "training_0000.npy" in line
        assert "--skip-bad" in line
    assert [path.name for path in tmp_path.iterdir()] == ["features"], "unexpected files were left behind"


def test_an_existing_run_is_rejected(
    run: Path, world: Path, annotations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "train-detector", world / "features", "--annotations", annotations, "--out", run, *SMALL)
    assert "exists already; continue with --resume, or start again with --overwrite" in line


def test_a_foreign_folder_is_not_overwritten(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("ten years")
    arguments = ["--annotations", annotations, "--out", tmp_path / "home", *SMALL, "--overwrite"]
    assert "is not a run of sola" in refused(capsys, "train-detector", world / "features", *arguments)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("which", ["--out", "--proposals"])
def test_existing_detections_are_only_overwritten_with_overwrite(
    which: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    existing = tmp_path / "existing.json"
    existing.write_text("mine")
    flags = ["--out", existing] if which == "--out" else ["--out", tmp_path / "d.json", "--proposals", existing]
    arguments = ["detect", run, world / "features", *flags, "--quiet"]
    assert "existing.json: exists already" in refused(capsys, *arguments)
    assert existing.read_text() == "mine"
    assert sola(*arguments, "--overwrite") == 0
    assert "results" in json.loads(existing.read_text())


@pytest.mark.parametrize("kind", ["missing", "empty", "module", "unfinished"])
def test_folders_without_a_finished_run_are_rejected(
    kind: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    if kind == "unfinished":
        shutil.copytree(run, folder)
        (folder / WEIGHTS).unlink()
    elif kind == "module":
        TrainedModule(SoLa(8, hidden=4)).save(folder)
    elif kind == "empty":
        folder.mkdir()
    line = refused(capsys, *detect_command(folder, world / "features", tmp_path))
    assert "folder: " in line
    assert "expected a finished run of `sola train-detector`" in line


def test_detecting_on_a_subset_needs_annotations(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *detect_command(run, world / "features", tmp_path), "--test-subset", "validation")
    assert "--annotations" in line


def test_detecting_on_an_unknown_subset_is_rejected(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--annotations", annotations, "--test-subset", "dev"]
    assert "unknown subset 'dev'" in refused(capsys, *detect_command(run, world / "features", tmp_path), *flags)


def test_detecting_without_a_classifier_asks_for_one(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(world / "features", annotations, tmp_path / "run", "--classifier-epochs", "0")
    assert "--classifier" in refused(capsys, *detect_command(run, world / "features", tmp_path))


def test_a_classifier_without_scores_of_a_video_is_rejected(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"results": {"training_0000": [1, 0, 0]}}))
    line = refused(capsys, *detect_command(run, world / "features", tmp_path), "--classifier", tmp_path / "s.json")
    assert "s.json: no video 'training_0001'" in line


def test_features_without_timing_are_rejected(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    (features / "features.json").unlink()
    line = refused(capsys, *detect_command(run, features, tmp_path))
    assert "snippet times are unknown" in line
    assert sola(*detect_command(run, features, tmp_path), "--fps", "4") == 0


# --- interruption and learning --------------------------------------------------------------------------------------


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
