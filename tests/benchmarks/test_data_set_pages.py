"""The commands and scripts on the documentation pages of published data sets run as written."""

import csv
import json
import pickle
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import synthetic_data_set
import torch
from published_layouts import LAYOUTS
from support.calling import sola
from support.documents import run_script, shell_lines
from support.places import DATASET_PAGES

from sola.data.annotations import read_annotations
from sola.data.features import FeatureSet


def unrolled(script: str) -> str:
    """Unroll the for loops of a shell script so that its lines can be called in this process."""
    return re.sub(
        r"for (\w+) in (.*?); do\n(.*?)\ndone",
        lambda loop: "\n".join(loop[3].replace(f"${loop[1]}", word) for word in loop[2].split()),
        script,
        flags=re.DOTALL,
    )


def commands(document: str) -> list[str]:
    """Return the commands of a page, except experiments and rehearsals, which have their own tests."""
    lines = shell_lines(DATASET_PAGES / document)
    script = "\n".join(line for line in lines if not line.startswith(("sola reproduce", "python benchmarks")))
    return [line for line in unrolled(script).splitlines() if shlex.split(line, comments=True)]


def quick(line: str) -> str:
    """Reduce a training command to one epoch without warm-up, a small network and few candidates."""
    if not re.search(r" train(?:-detector)? (?!.*--explain)", line):
        return line
    model = re.search("--model ([a-z]+)", line)
    pyramid = "--width 16 --length 128 --candidates 100 --max-detections 20 --warmup-epochs 0"
    settings = {"": "", "gtad": "--length 32 --max-duration 32"}.get(model[1] if model else "", pyramid)
    shortened = re.sub("--(epochs|length|candidates|max-detections) [0-9]+", "", line)
    return f"{shortened} --epochs 1 {settings}"


def run_page(document: str) -> None:
    for line in commands(document):
        command = shlex.split(quick(line), comments=True)
        assert command[0] == "sola"
        assert sola(*command[1:]) == 0, line


def write_short_videos(name: str, folder: Path) -> None:
    """Write four training and two evaluation videos of a minute or less on average, in the layout of a data set."""
    layout = LAYOUTS[name]
    layout = replace(layout, statistics=replace(layout.statistics, duration=min(layout.statistics.duration / 2, 60.0)))
    annotations = synthetic_data_set.draw_annotations(layout, 4)
    records = synthetic_data_set.first_videos(annotations, layout, 4)
    synthetic_data_set.write_data_set(records, annotations.classes, layout, 8, folder)


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
@pytest.mark.parametrize(
    ("document", "layout", "detections"),
    [
        ("thumos14.md", "thumos14", ("features.json", "softened.json", "gtad.json")),
        ("multithumos.md", "multithumos", ("features.json", "softened.json")),
        ("charades.md", "charades", ("features.json", "softened.json")),
        (
            "epic-kitchens.md",
            "epic-kitchens-100",
            ("features-verbs.json", "features-nouns.json", "features-actions.json", "softened-actions.json"),
        ),
        ("ego4d.md", "ego4d-mq", ("features.json", "softened.json")),
        ("fineaction.md", "fineaction", ("features.json", "softened-proposals.json")),
    ],
)
def test_the_documented_commands_run_on_synthetic_annotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str, layout: str, detections: tuple[str, ...]
) -> None:
    write_short_videos(layout, tmp_path)
    if layout == "fineaction":
        (tmp_path / "classifier.json").rename(tmp_path / "new_swinB_1x1x256_views2x3_max_label_avg_prob.json")
    monkeypatch.chdir(tmp_path)
    run_page(document)
    for name in detections:
        results = json.loads((tmp_path / name).read_text())["results"]
        assert len(results) == 2
        assert all(results.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "layout", "annotations", "classifier", "explained"),
    [
        ("activitynet.md", "activitynet", "activitynet-1.3.json", "cuhk_val_simp_share.json", "QOlSCBRmfWY"),
        ("hacs.md", "hacs", "HACS_segments_v1.1.1.json", "CLASSES.json", "--0edUL8zmA"),
    ],
)
def test_the_documented_commands_run_on_real_annotations(
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document: str,
    layout: str,
    annotations: str,
    classifier: str,
    explained: str,
) -> None:
    everything = read_annotations(shared_data / "annotations" / "activitynet-1.3.json")
    videos = [everything.videos[explained], *synthetic_data_set.first_videos(everything, LAYOUTS[layout], 4)]
    records = {video.video: video for video in videos}
    synthetic_data_set.write_data_set(list(records.values()), everything.classes, LAYOUTS[layout], 16, tmp_path)
    (tmp_path / "annotations.json").rename(tmp_path / annotations)
    (tmp_path / "classifier.json").rename(tmp_path / classifier)
    shutil.copy(tmp_path / annotations, tmp_path / "part.json")
    monkeypatch.chdir(tmp_path)
    run_page(document)
    assert json.loads((tmp_path / "softened.json").read_text())["results"]


def test_the_documented_conversion_to_activitynet_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = {"duration_second": 9.0, "duration_frame": 90, "feature_frame": 80}
    record["annotations"] = [{"segment": [1.0, 2.0], "label": "Ballet"}]
    Path("anet_anno_action.json").write_text(json.dumps({"v_one": record}))
    Path("video_info_new.csv").write_text("video,numFrame,subset\nv_one,90,training\n")
    run_script(DATASET_PAGES / "activitynet.md")
    (video,) = read_annotations(Path("activitynet-1.3.json")).subset("training").videos.values()
    assert (video.video, video.features_duration) == ("one", pytest.approx(8.0))


def test_the_documented_conversion_of_tsp_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for subset in ("train", "valid"):
        with h5py.File(f"r2plus1d_34-tsp_on_activitynet-{subset}_features.h5", "w") as file:
            file[f"v_{subset}"] = np.ones((7, 512), np.float32)
    run_script(DATASET_PAGES / "activitynet.md", 1)
    features = FeatureSet.open("features")
    assert {video: features.length(video) for video in features.videos} == {"v_train": 7, "v_valid": 7}


def test_the_documented_conversion_of_tcanet_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slowfast101/training").mkdir(parents=True)
    record = {"slow_feature": torch.ones(1, 2048, 30), "fast_feature": torch.zeros(1, 256, 30), "feature_frames": 9}
    Path("slowfast101/training/one.pkl").write_bytes(pickle.dumps(record))
    run_script(DATASET_PAGES / "hacs.md")
    values = FeatureSet.open("features").read("one")
    assert (values.shape, values.dtype, values[0, 2047], values[0, 2048]) == ((30, 2304), np.float16, 1, 0)


def test_the_documented_selection_of_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts = {"training": 2001, "validation": 501}
    record = {"duration": "9.0", "annotations": []}
    database = {f"{name}{i}": {"subset": name, **record} for name, count in counts.items() for i in range(count)}
    Path("HACS_segments_v1.1.1.json").write_text(json.dumps({"database": database}))
    run_script(DATASET_PAGES / "hacs.md", 1)
    part = read_annotations(Path("part.json"))
    assert {name: len(part.subset(name).videos) for name in counts} == {"training": 2000, "validation": 500}


def test_the_documented_selection_of_rgb_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("features").mkdir()
    np.save("features/one.npy", np.arange(2 * 2048, dtype=np.float32).reshape(2, 2048))
    run_script(DATASET_PAGES / "multithumos.md")
    features = FeatureSet.open("rgb")
    assert features.manifest.dim == 1024
    assert features.read("one")[:, [0, -1]].tolist() == [[0, 1023], [2048, 3071]]


def test_the_documented_conversion_of_charades_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, actions in (("train", "c092 11.90 21.20;c147 0.00 12.60"), ("test", "")):
        with Path(f"Charades_v1_{name}.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, ["id", "actions", "length"])
            table.writeheader()
            table.writerow({"id": name, "actions": actions, "length": "24.83"})
    run_script(DATASET_PAGES / "charades.md")
    annotations = read_annotations(Path("charades.json"))
    assert {video.subset for video in annotations.videos.values()} == {"training", "testing"}
    (video,) = annotations.subset("training").videos.values()
    assert sorted(annotations.classes[label] for label in video.segments.label) == ["147", "92"]
    assert sorted(video.segments.end.tolist()) == [12.6, 21.2]
