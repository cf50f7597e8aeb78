"""`sola train-detector` and `sola detect` on real files: the whole path, the chain of features, and bad input."""

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


def trained(features: Path, annotations: Path, out: Path, *more: object) -> Path:
    assert sola("train-detector", features, "--annotations", annotations, "--out", out, *SMALL, *more) == 0
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic world, written once and only read."""
    folder = tmp_path_factory.mktemp("shared") / "world"
    write(WORLD, folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def annotations(world: Path) -> Path:
    return world / "annotations.json"


@pytest.fixture(scope="module")
def run(world: Path, annotations: Path) -> Path:
    """A run trained on the raw features, only read."""
    return trained(world / "features", annotations, world.parent / "run")


@pytest.fixture(scope="module")
def through(world: Path) -> Callable[[int], Path]:
    """The features after an untrained SoLa module of that seed."""

    def transformed(seed: int) -> Path:
        import torch

        out = world.parent / f"through{seed}"
        if not out.exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                TrainedModule(SoLa(8, hidden=4)).save(world.parent / f"module{seed}")
            assert sola("transform", world.parent / f"module{seed}", world / "features", "--out", out, "--quiet") == 0
        return out

    return transformed


@pytest.fixture(scope="module")
def run_through(world: Path, annotations: Path, through: Callable[[int], Path]) -> Path:
    """A run trained on features after the first module, only read."""
    return trained(through(1), annotations, world.parent / "run_through")


# --- the way through ---------------------------------------------------------------------------------------------


def test_trained_run_and_evaluated(
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
    instances = sum(len(one["annotations"]) for one in truth if one["subset"] == "validation")
    for one in evaluated.values():
        assert one["instances"] == instances
        assert one["predictions"] > 0
        assert one["warnings"] == []
    assert evaluated["proposals"]["AR"]["100"] > 0


def test_detections_are_evaluated_frame_by_frame(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "detections.json"
    assert sola("detect", run, world / "features", "--out", found, "--annotations", annotations) == 0
    call = ("evaluate", found, "--annotations", annotations)
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


def test_detections_are_classes_of_the_annotations_best_first(
    run: Path, world: Path, annotations: Path, tmp_path: Path
) -> None:
    out = tmp_path / "detections.json"
    assert sola("detect", run, world / "features", "--out", out, "--annotations", annotations, "--quiet") == 0
    results = json.loads(out.read_text())["results"]
    assert sorted(results) == ["validation_0000", "validation_0001"]
    for found in results.values():
        scores = [one["score"] for one in found]
        assert scores == sorted(scores, reverse=True)
        assert {one["label"] for one in found} <= {"action_0", "action_1", "action_2"}


def test_each_proposal_is_named_twice(run: Path, world: Path, annotations: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "d.json", "--proposals", tmp_path / "p.json", "--annotations", annotations, "--quiet"]
    assert sola("detect", run, world / "features", *out) == 0
    detections, proposals = (read_detections(tmp_path / name) for name in ("d.json", "p.json"))
    assert len(detections.table) == 2 * len(proposals.table)
    assert set(detections.table.start) == set(proposals.table.start)


def test_without_annotations_every_video_is_predicted(run: Path, world: Path, tmp_path: Path) -> None:
    assert sola("detect", run, world / "features", "--out", tmp_path / "d.json", "--quiet") == 0
    results = json.loads((tmp_path / "d.json").read_text())["results"]
    assert sorted(results) == sorted(path.stem for path in (world / "features").glob("*.npy"))


def test_predicting_twice_gives_the_same_file(run: Path, world: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert sola("detect", run, world / "features", "--out", tmp_path / name, "--quiet") == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_run_keeps_what_repeats_it(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert (config["training"]["model"], config["training"]["length"]) == ("gtad", 8)
    assert config["requested"]["validation"] is None
    assert config["requested"]["annotations"].endswith("annotations.json")
    assert config["classes"] == ["action_0", "action_1", "action_2"]
    assert config["features"]["manifest"]["fps"] == 4.0
    assert (run / WEIGHTS).is_file()
    assert (run / "metrics.jsonl").is_file()


def test_flags_win_over_the_recipe_and_the_recipe_over_the_defaults(
    world: Path, annotations: Path, tmp_path: Path
) -> None:
    out = trained(world / "features", annotations, tmp_path / "run", "--recipe", "gtea", "--max-detections", "7")
    training = json.loads((out / "config.json").read_text())["training"]
    assert (training["max_detections"], training["learning_rate"], training["suppression"]) == (7, 1e-3, "gaussian")


def test_a_finished_run_is_not_touched_by_resume(run: Path, world: Path, annotations: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    trained(world / "features", annotations, run, "--resume")
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


@pytest.mark.parametrize("layout", ["json", "npy"])
def test_an_external_classifier_names_detections(
    layout: str, run: Path, world: Path, annotations: Path, tmp_path: Path
) -> None:
    """The array is UntrimmedNet's, so the videos and classes are THUMOS14's here."""
    features = shutil.copytree(world / "features", tmp_path / "features")
    renamed = {"action_0": "Diving", "action_1": "HighJump", "action_2": "Billiards"}
    record = json.loads(annotations.read_text())
    for number in (0, 1):
        video = f"video_test_000000{number + 1}"
        (features / f"validation_000{number}.npy").rename(features / f"{video}.npy")
        record["database"][video] = record["database"].pop(f"validation_000{number}")
    for one in record["database"].values():
        for instance in one["annotations"]:
            instance["label"] = renamed[instance["label"]]
    (tmp_path / "thumos.json").write_text(json.dumps(record))
    thumos = trained(
        features, tmp_path / "thumos.json", tmp_path / "run", "--classifier-epochs", "0", "--classes-per-proposal", "1"
    )
    if layout == "json":
        scores = {f"video_test_000000{n}": [0.1, 0.2, 0.7] for n in (1, 2)}
        file = tmp_path / "scores.json"
        file.write_text(json.dumps({"results": scores, "class": ["Diving", "Billiards", "HighJump"]}))
    else:
        table = np.zeros((1574, 101), np.float32)
        table[:2, 39] = 0.7  # UCF-101's class 40: HighJump
        file = tmp_path / "scores.npy"
        np.save(file, table)
    out = ["--out", tmp_path / "d.json", "--annotations", tmp_path / "thumos.json", "--quiet"]
    assert sola("detect", thumos, features, *out, "--classifier", file) == 0
    results = json.loads((tmp_path / "d.json").read_text())["results"]
    assert {one["label"] for found in results.values() for one in found} == {"HighJump"}


def test_skip_bad_leaves_bad_files_out_and_says_so(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for video in ("training_0000", "validation_0000"):
        (features / f"{video}.npy").write_bytes(b"\x93NUMPY")
    trained(features, annotations, tmp_path / "run", "--skip-bad")
    assert "2 bad files left out, the first: " in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["features"]["videos"] == 2
    out = tmp_path / "d.json"
    predict = ["detect", run, features, "--out", out, "--annotations", annotations, "--quiet"]
    assert sola(*predict, "--skip-bad") == 0
    assert list(json.loads(out.read_text())["results"]) == ["validation_0001"]


def test_files_that_turn_out_bad_when_they_are_read_are_in_the_config(
    world: Path, annotations: Path, tmp_path: Path
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    path = features / "training_0000.npy"
    np.save(path, np.full_like(np.load(path), np.nan))
    trained(features, annotations, tmp_path / "run", "--skip-bad")
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["training"]
    assert (data["videos"], [found["count"] for found in data["findings"] if found["kind"] == "unreadable"]) == (2, [1])


def test_training_on_nothing_but_bad_files_is_refused_with_the_reason(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for path in features.glob("*.npy"):
        np.save(path, np.full_like(np.load(path), np.nan))
    place = ["--annotations", annotations, "--out", tmp_path / "run"]
    line = refused(capsys, "train-detector", features, *place, *SMALL, "--skip-bad")
    assert "training_0000.npy: contains NaN" in line
    assert line.endswith("; none of 3 videos is left")


# --- the chain ---------------------------------------------------------------------------------------------------


def predicted(run: Path, features: Path, tmp_path: Path) -> list[object]:
    return ["detect", run, features, "--out", tmp_path / "d.json", "--quiet"]


def test_a_run_knows_the_module_that_its_features_went_through(
    run_through: Path, through: Callable[[int], Path]
) -> None:
    manifest = json.loads((through(1) / "features.json").read_text())
    config = json.loads((run_through / "config.json").read_text())
    assert config["features"]["manifest"] == manifest
    assert len(manifest["sola"]["fingerprint"]) == 64


def test_features_of_the_same_chain_are_accepted(
    run_through: Path, through: Callable[[int], Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(through(1), tmp_path / "elsewhere")
    assert sola(*predicted(run_through, copy, tmp_path)) == 0


def test_raw_features_are_refused_where_transformed_ones_were_learned(
    run_through: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *predicted(run_through, world / "features", tmp_path))
    assert "no SoLa module" in line
    assert not (tmp_path / "d.json").exists()


def test_transformed_features_are_refused_where_raw_ones_were_learned(
    run: Path, through: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "went through the SoLa module" in refused(capsys, *predicted(run, through(1), tmp_path))


def test_features_of_another_module_are_refused(
    run_through: Path, through: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *predicted(run_through, through(2), tmp_path))
    for seed in (1, 2):
        assert json.loads((through(seed) / "features.json").read_text())["sola"]["fingerprint"][:12] in line


@pytest.mark.parametrize(
    ("key", "value"), [("fps", 5.0), ("stride", 2), ("window", 3), ("offset", 1), ("encoder", "another")]
)
def test_features_that_lie_otherwise_in_time_are_refused(
    key: str, value: Any, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    manifest = json.loads((features / "features.json").read_text())
    (features / "features.json").write_text(json.dumps(manifest | {key: value}))
    assert f"{key}={value}" in refused(capsys, *predicted(run, features, tmp_path))


def test_features_of_another_width_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    line = refused(capsys, *predicted(run, tmp_path / "wide", tmp_path), "--fps", "4")
    assert "12" in line
    assert "8" in line


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "named"),
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
def test_a_bad_argument_of_train_is_one_line(
    changed: list[str], named: str, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run", *SMALL, *changed]
    assert named in refused(capsys, "train-detector", world / "features", *arguments)
    assert not (tmp_path / "run").exists()


def test_features_are_missing(annotations: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run"]
    assert "FEATURES" in refused(capsys, "train-detector", *arguments)
    assert "FEATURES" in refused(capsys, "detect", run, "--out", tmp_path / "d.json")


@pytest.mark.parametrize("left_out", ["--annotations", "--out", "--model"])
def test_a_required_option_is_named(left_out: str, world: Path, tmp_path: Path, capsys: object) -> None:
    both = {"--annotations": world / "annotations.json", "--out": tmp_path / "run", "--model": "bmn"}
    given = [part for flag, value in both.items() if flag != left_out for part in (flag, value)]
    assert left_out in refused(capsys, "train-detector", world / "features", *given)


@pytest.mark.parametrize("arguments", [["fly"], ["train-detector", "--model"], ["detect"]])
def test_half_a_command_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments)


def test_a_subset_without_an_instance_is_told(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(annotations.read_text())
    for one in record["database"].values():
        if one["subset"] == "validation":
            one["annotations"] = []
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


def test_a_subset_without_features_is_told(
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
    train = ["train-detector", features, "--annotations", annotations, "--out", tmp_path / "run", *SMALL]
    for arguments in (train, predicted(run, features, tmp_path)):
        line = refused(capsys, *arguments)
        assert "training_0000.npy" in line
        assert "--skip-bad" in line
    assert [path.name for path in tmp_path.iterdir()] == ["features"], "something was left behind"


def test_an_existing_run_is_refused(
    run: Path, world: Path, annotations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "train-detector", world / "features", "--annotations", annotations, "--out", run, *SMALL)
    assert "exists already; continue with --resume, or start again with --overwrite" in line


def test_a_strangers_folder_is_not_overwritten(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("ten years")
    arguments = ["--annotations", annotations, "--out", tmp_path / "home", *SMALL, "--overwrite"]
    assert "is not a run of sola" in refused(capsys, "train-detector", world / "features", *arguments)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("which", ["--out", "--proposals"])
def test_existing_predictions_are_not_overwritten_unless_told_to(
    which: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.json"
    there.write_text("mine")
    flags = ["--out", there] if which == "--out" else ["--out", tmp_path / "d.json", "--proposals", there]
    arguments = ["detect", run, world / "features", *flags, "--quiet"]
    assert "there.json: exists already" in refused(capsys, *arguments)
    assert there.read_text() == "mine"
    assert sola(*arguments, "--overwrite") == 0
    assert "results" in json.loads(there.read_text())


@pytest.mark.parametrize("what", ["nowhere", "a stranger's", "a module's", "unfinished"])
def test_what_is_no_finished_run_is_told(
    what: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "it"
    if what == "unfinished":
        shutil.copytree(run, folder)
        (folder / WEIGHTS).unlink()
    elif what == "a module's":
        TrainedModule(SoLa(8, hidden=4)).save(folder)
    elif what == "a stranger's":
        folder.mkdir()
    line = refused(capsys, *predicted(folder, world / "features", tmp_path))
    assert "it: " in line
    assert "expected a finished run of `sola train-detector`" in line


def test_a_subset_to_predict_needs_annotations(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *predicted(run, world / "features", tmp_path), "--test-subset", "validation")
    assert "--annotations" in line


def test_an_unknown_subset_to_predict_is_told(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--annotations", annotations, "--test-subset", "dev"]
    assert "unknown subset 'dev'" in refused(capsys, *predicted(run, world / "features", tmp_path), *flags)


def test_without_any_classifier_it_is_asked_for(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(world / "features", annotations, tmp_path / "run", "--classifier-epochs", "0")
    assert "--classifier" in refused(capsys, *predicted(run, world / "features", tmp_path))


def test_a_classifier_that_lacks_a_video_is_told(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"results": {"training_0000": [1, 0, 0]}}))
    line = refused(capsys, *predicted(run, world / "features", tmp_path), "--classifier", tmp_path / "s.json")
    assert "s.json: no video 'training_0001'" in line


def test_features_that_nothing_times_are_told(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    (features / "features.json").unlink()
    line = refused(capsys, *predicted(run, features, tmp_path))
    assert "snippet times are unknown" in line
    assert sola(*predicted(run, features, tmp_path), "--fps", "4") == 0


# --- killed, and seen to learn -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.long
def test_stopped_from_outside_it_ends_in_the_same_bits(world: Path, annotations: Path, tmp_path: Path) -> None:
    """At a moment that falls where it falls, after the first checkpoint; `test_endurance` kills it."""

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

    killed = subprocess.Popen(command("killed"), stderr=subprocess.DEVNULL)
    log = tmp_path / "killed" / "metrics.jsonl"
    while killed.poll() is None and not log.exists():
        time.sleep(0.01)
    killed.send_signal(signal.SIGTERM)
    killed.wait()
    assert not (tmp_path / "killed" / WEIGHTS).exists(), "it finished before it was killed"
    for run in ("whole", "killed"):
        subprocess.run(command(run), check=True)
    for name in (WEIGHTS, "best.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.long  # tests/detectors/test_overlapping_labels.py asks more of them
@pytest.mark.parametrize("head", ["bmn", "gtad"])
def test_on_an_easy_world_a_head_finds_nine_actions_in_ten(head: str, tmp_path: Path) -> None:
    """AR@100 at tIoU .5 on videos it has not seen, 9 windows a video; before training it is below .5."""
    easy = SyntheticWorld(
        training_videos=10, validation_videos=8, length=240, channels=32, action_length=16, action_spread=0.4,
        state=1.0, repetition=0, easy=True,
    )  # fmt: skip
    write(easy, tmp_path / "world")
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    validation = data.subset("validation")

    def recall(epochs: int, learning_rate: float) -> float:
        config = detector_family(head).config(
            length=24, window_size=48, window_stride=24, max_duration=20, epochs=epochs, batch_size=8, decay_every=4,
            learning_rate=learning_rate, suppression="gaussian", sigma=0.5, classifier_epochs=0, precision="fp32",
            device="cpu",
        )  # fmt: skip
        out = tmp_path / f"run{epochs}"
        detector = train_detector(data.subset("training"), config, out=out, quiet=True)
        found = propose(detector, validation, device="cpu")
        truth, proposals = (
            SegmentTable.joined([one[video.id] for video in validation.videos])
            for one in ({video.id: video.segments for video in validation.videos}, found)
        )
        return average_recall(truth, proposals, [0.5]).at(100)

    before, after = recall(1, 1e-12), recall({"bmn": 5, "gtad": 6}[head], 1e-3)
    print(f"{head}: AR@100 at tIoU .5 is {after:.3f}, untrained {before:.3f}")
    assert before < 0.5
    assert after >= 0.9
