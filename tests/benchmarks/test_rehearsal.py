"""The rehearsal of the field's full data sets: what it lays out, how it reckons, and that its commands are real."""

import dataclasses
import json
import pickle
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import rehearsal
import torch
from rehearsal import LAYOUTS, Measured, Reckoned
from support.calling import sola
from support.places import DOCS

from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.class_scores import read_classifier
from sola.data.features import FeatureSet
from sola.data.segments import Segments


def annotated(video: str, subset: str, duration: float) -> VideoAnnotation:
    segments = Segments(np.array([1.0]), np.array([duration / 2]), np.array([1]), np.ones(1))
    return VideoAnnotation(video, subset, duration, None, segments)


RECORDS = [annotated("short", "training", 20.0), annotated("long", "validation", 60.0)]
NAMES = ("archery", "ballet")


def test_the_rescaled_layout_is_bsns(tmp_path: Path) -> None:
    rehearsal.lay(RECORDS, NAMES, LAYOUTS["anet"], 8, tmp_path)
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == ["v_long.csv", "v_short.csv"]
    features = FeatureSet.open(tmp_path / "features")
    assert {features.read(video).shape for video in features.videos} == {(100, 8)}


def test_the_sliding_layout_has_a_snippet_every_eight_frames(tmp_path: Path) -> None:
    """20 s at 15 frames a second are 300 frames, in which 34 windows of 32 fit."""
    rehearsal.lay(RECORDS, NAMES, LAYOUTS["hacs"], 8, tmp_path)
    features = FeatureSet.open(tmp_path / "features")
    assert [features.length(video) for video in ("short", "long")] == [34, 109]
    assert (features.manifest.fps, features.manifest.stride, features.manifest.window) == (15, 8, 32)
    assert features.manifest.dim == 8


def test_annotations_and_class_scores_are_read_as_the_real_ones(tmp_path: Path) -> None:
    rehearsal.lay(RECORDS, NAMES, LAYOUTS["anet"], 4, tmp_path)
    videos = read_annotations(tmp_path / "annotations.json").videos
    assert {name: (one.subset, one.duration) for name, one in videos.items()} == {
        "short": ("training", 20.0),
        "long": ("validation", 60.0),
    }
    scores = read_classifier(tmp_path / "classifier.json", videos=["long"], classes=NAMES)
    assert scores.of("long").argmax() == 1


def test_features_change_where_an_instance_begins() -> None:
    classes = np.array([[0.0, 0.0], [50.0, 50.0]], np.float32)
    values = rehearsal.features(RECORDS[1], 60, classes, seed=0)
    assert (values[:, 0] > 25).tolist() == [1 <= second + 0.5 < 30 for second in range(60)]


def test_videos_are_chosen_two_to_one_and_have_instances() -> None:
    empty = VideoAnnotation("empty", "training", 9.0, None, Segments.empty())
    videos = [
        empty,
        *(annotated(f"{subset}{i}", subset, 9.0) for subset in ("training", "validation") for i in range(9)),
    ]
    picked = rehearsal.chosen(Annotations({one.video: one for one in videos}, NAMES), 4)
    assert [one.video for one in picked] == [
        "training0",
        "training1",
        "training2",
        "training3",
        "validation0",
        "validation1",
    ]


def test_reckoned_along_the_line_through_both_sizes() -> None:
    row = Reckoned("train", Measured(10, 5.0, 100), Measured(20, 6.0, 120, epoch=2.0), videos=100, epochs=3)
    assert row.seconds == pytest.approx(6 + 80 * 0.1 + 3 * 2.0 * 100 / 20)
    assert row.peak == pytest.approx(120 + 80 * 2)


def test_more_videos_are_never_reckoned_cheaper() -> None:
    row = Reckoned("evaluate", Measured(10, 7.0, 200), Measured(20, 6.0, 120), videos=100)
    assert (row.seconds, row.peak) == (6.0, 120)


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "0.2 s"), (90, "90 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_in_the_unit_that_a_person_would_take(seconds: float, text: str) -> None:
    assert rehearsal.duration(seconds) == text


@pytest.mark.slow
@pytest.mark.long
def test_every_documented_step_runs_on_the_real_annotations(shared_data: Path, tmp_path: Path) -> None:
    annotations = read_annotations(shared_data / "annotations" / "activitynet-1.3.json")
    rehearsal.lay(rehearsal.chosen(annotations, 4), annotations.classes, LAYOUTS["anet"], 16, tmp_path)
    steps = rehearsal.rehearse(tmp_path, LAYOUTS["anet"], "anet", "gtad", videos=4)
    trainings, rest = {"train", "train-detector"}, {"transform", "probe", "detect"}
    assert set(steps) == trainings | rest | {"evaluate detections", "evaluate proposals"}
    assert {step for step, one in steps.items() if one.epoch > 0} == trainings
    assert all(one.seconds > 0 and one.peak > 2**25 for one in steps.values())
    assert len(json.loads((tmp_path / "detections.json").read_text())["results"]) == 2
    larger = {step: dataclasses.replace(one, videos=one.videos + 1) for step, one in steps.items()}
    told = rehearsal.table(rehearsal.reckoned(steps, larger, LAYOUTS["anet"], "anet", "gtad"))
    assert "| 9,649 videos with 500 epochs:" in told


@pytest.mark.slow
def test_a_command_that_fails_ends_the_rehearsal(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"sola transform .* failed"):
        rehearsal.measured(1, "transform", tmp_path / "none", tmp_path, "--out", tmp_path / "out")


# --- the documents -----------------------------------------------------------------------------------------------


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), flags=re.DOTALL)


def unrolled(script: str) -> str:
    """A script without its loops over words, so that its lines can be called in this process."""
    return re.sub(
        r"for (\w+) in (.*?); do\n(.*?)\ndone",
        lambda loop: "\n".join(loop[3].replace(f"${loop[1]}", word) for word in loop[2].split()),
        script,
        flags=re.DOTALL,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "layout", "annotations", "classifier", "explained"),
    [
        ("activitynet.md", "anet", "activitynet-1.3.json", "cuhk_val_simp_share.json", "QOlSCBRmfWY"),
        ("hacs.md", "hacs", "HACS_segments_v1.1.1.json", "CLASSES.json", "--0edUL8zmA"),
    ],
)
def test_the_documented_commands_run(
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document: str,
    layout: str,
    annotations: str,
    classifier: str,
    explained: str,
) -> None:
    """As they stand there, but for the epochs; the experiments and the rehearsal have tests of their own."""
    everything = read_annotations(shared_data / "annotations" / "activitynet-1.3.json")
    records = {one.video: one for one in [everything.videos[explained], *rehearsal.chosen(everything, 4)]}
    rehearsal.lay(list(records.values()), everything.classes, LAYOUTS[layout], 16, tmp_path)
    (tmp_path / "annotations.json").rename(tmp_path / annotations)
    (tmp_path / "classifier.json").rename(tmp_path / classifier)
    shutil.copy(tmp_path / annotations, tmp_path / "part.json")
    lines = "\n".join(blocks(document, "sh")).replace("\\\n", " ").splitlines()
    kept = [line for line in lines if not line.startswith(("sola reproduce", "python benchmarks"))]
    monkeypatch.chdir(tmp_path)
    for line in unrolled("\n".join(kept)).splitlines():
        quick = re.sub(r"( train(?:-detector)? (?!.*--explain).*)", r"\1 --epochs 1", line)
        command = shlex.split(quick, comments=True)
        if command:
            assert command[0] == "sola"
            assert sola(*command[1:]) == 0, line
    assert json.loads((tmp_path / "softened.json").read_text())["results"]


def test_the_documented_way_to_activitynets_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = {"duration_second": 9.0, "duration_frame": 90, "feature_frame": 80}
    record["annotations"] = [{"segment": [1.0, 2.0], "label": "Ballet"}]
    Path("anet_anno_action.json").write_text(json.dumps({"v_one": record}))
    Path("video_info_new.csv").write_text("video,numFrame,subset\nv_one,90,training\n")
    exec(compile(blocks("activitynet.md", "python")[0], "activitynet.md", "exec"), {})
    (video,) = read_annotations(Path("activitynet-1.3.json")).subset("training").videos.values()
    assert (video.video, video.features_duration) == ("one", pytest.approx(8.0))


def test_the_documented_way_from_tsps_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for subset in ("train", "valid"):
        with h5py.File(f"r2plus1d_34-tsp_on_activitynet-{subset}_features.h5", "w") as file:
            file[f"v_{subset}"] = np.ones((7, 512), np.float32)
    exec(compile(blocks("activitynet.md", "python")[1], "activitynet.md", "exec"), {})
    features = FeatureSet.open("features")
    assert {video: features.length(video) for video in features.videos} == {"v_train": 7, "v_valid": 7}


def test_the_documented_way_from_tcanets_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slowfast101/training").mkdir(parents=True)
    record = {"slow_feature": torch.ones(1, 2048, 30), "fast_feature": torch.zeros(1, 256, 30), "feature_frames": 9}
    Path("slowfast101/training/one.pkl").write_bytes(pickle.dumps(record))
    exec(compile(blocks("hacs.md", "python")[0], "hacs.md", "exec"), {})
    values = FeatureSet.open("features").read("one")
    assert (values.shape, values.dtype, values[0, 2047], values[0, 2048]) == ((30, 2304), np.float16, 1, 0)


def test_the_documented_way_to_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts = {"training": 2001, "validation": 501}
    one = {"duration": "9.0", "annotations": []}
    database = {f"{name}{i}": {"subset": name, **one} for name, count in counts.items() for i in range(count)}
    Path("HACS_segments_v1.1.1.json").write_text(json.dumps({"database": database}))
    exec(compile(blocks("hacs.md", "python")[1], "hacs.md", "exec"), {})
    part = read_annotations(Path("part.json"))
    assert {name: len(part.subset(name).videos) for name in counts} == {"training": 2000, "validation": 500}
