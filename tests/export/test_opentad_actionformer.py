"""Files that an export gives to ActionFormer and OpenTAD, and the videos that it leaves out."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.exported import GRIDS, LENGTHS, actionformer_config, database_of, handed_over, opentad_config, written

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.export import export_dataset
from sola.export.configurations import ExportedData, actionformer_yaml
from sola.export.opentad_actionformer import learnable


def test_files_are_named_by_annotated_id(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows touch"], prefix="v_")
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    features = [f"features/{name}" for name in ("a.npy", "b.npy", "c.npy", "d.npy", "features.json")]
    assert files == ["actionformer.yaml", "annotations.json", "category_idx.txt", *features, "opentad.py"]


def test_features_are_unchanged_in_float32(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows touch"])
    for video in LENGTHS:
        array = np.load(out / "features" / f"{video}.npy")
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.load(tmp_path / "features_in" / f"{video}.npy"))


def test_label_ids_match_the_class_map(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows touch"])
    names = (out / "category_idx.txt").read_text().splitlines()
    assert names == ["jump", "run", "walk"]
    instances = [instance for record in database_of(out).values() for instance in record["annotations"]]
    assert all(names[instance["label_id"]] == instance["label"] for instance in instances)


def test_annotations_keep_segments_subsets_and_durations(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows overlap"])
    before, after = json.loads((tmp_path / "in.json").read_text())["database"], database_of(out)
    for video, record in before.items():
        assert {key: after[video][key] for key in ("subset", "duration")} == {
            key: record[key] for key in ("subset", "duration")
        }
        assert [instance["segment"] for instance in after[video]["annotations"]] == [
            instance["segment"] for instance in record["annotations"]
        ]


def test_a_video_without_duration_lasts_as_long_as_its_features(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows touch"], durations=False)
    assert {video: record["duration"] for video, record in database_of(out).items()} == pytest.approx(
        {video: length * 16 / 30 for video, length in LENGTHS.items()}
    )


def test_exported_features_and_annotations_can_be_read_back(tmp_path: Path) -> None:
    out = handed_over(tmp_path, GRIDS["windows overlap"])
    features = FeatureSet.open(out / "features")
    assert (features.manifest.fps, features.manifest.stride, features.manifest.window) == (25.0, 4.0, 16.0)
    assert set(read_annotations(out / "annotations.json").videos) == set(features.videos)


def renamed(annotations: Path, form: str) -> Path:
    """Format the video ids in an annotation file."""
    document = json.loads(annotations.read_text())
    document["database"] = {form.format(video): record for video, record in document["database"].items()}
    annotations.write_text(json.dumps(document))
    return annotations


def test_folders_in_ids_become_folders_of_files(tmp_path: Path) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    export_dataset(Dataset.open(features, renamed(annotations, "data/{}")), tmp_path / "out")
    written_files = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/**/*.npy")}
    assert written_files == {f"features/{video}.npy" for video in database_of(tmp_path / "out")}
    assert "features/data/a.npy" in written_files


def test_ids_outside_the_folder_are_refused(tmp_path: Path) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    data = Dataset.open(features, renamed(annotations, "../../{}"))
    with pytest.raises(SolaError, match=r"video '\.\./\.\./a': not a valid file name"):
        export_dataset(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_classes_of_exported_videos_are_counted(tmp_path: Path) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    document = json.loads(annotations.read_text())
    document["database"]["elsewhere"] = {
        "subset": "training", "duration": 9, "annotations": [{"segment": [1, 2], "label": "dive"}],
    }  # fmt: skip
    annotations.write_text(json.dumps(document))
    done = export_dataset(Dataset.open(features, annotations), tmp_path / "out")
    assert done.classes == ("jump", "run", "walk")
    assert "elsewhere" not in database_of(tmp_path / "out")
    assert actionformer_config(tmp_path / "out")["dataset"]["num_classes"] == 3


def test_a_training_video_without_an_instance_is_left_out(tmp_path: Path) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    document = json.loads(annotations.read_text())
    document["database"]["b"]["annotations"] = []
    annotations.write_text(json.dumps(document))
    done = export_dataset(Dataset.open(features, annotations), tmp_path / "out")
    assert (done.videos, done.left_out) == (("a", "c", "d"), ("b",))
    assert sorted(path.stem for path in (tmp_path / "out/features").glob("*.npy")) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1.0, 2.0, True),
        (1.0, 1.0005, False),  # too short
        (9.0, 12.9, True),  # 2 of its 3.9 s are inside: ActionFormer's features end at 11 s
        (9.0, 13.1, False),
        (10.9, 11.0, True),
        (11.1, 11.2, False),
    ],
)
def test_learnable_matches_actionformer(start: float, end: float, expected: bool) -> None:
    segments = Segments(np.array([start]), np.array([end]), np.zeros(1, np.int64), np.ones(1))
    assert learnable(segments, SnippetGrid(1.0), length=10) is expected


@pytest.mark.parametrize(
    ("longest", "clip", "factor"), [(10, 576, 6), (577, 1152, 6), (9000, 2304, 6), (20000, 2304, 9)]
)
def test_clip_length_depends_on_the_longest_video(longest: int, clip: int, factor: int) -> None:
    yaml = pytest.importorskip("yaml")
    data = ExportedData(Path("out"), 6, 3, 16, 8, longest, "Training", "test")
    config = yaml.safe_load(actionformer_yaml(data))
    assert config["dataset"]["max_seq_len"] == clip
    assert config["model"]["max_buffer_len_factor"] == factor
    assert (config["train_split"], config["val_split"]) == (
        ["training"],
        ["test"],
    )  # ActionFormer compares in lower case


@pytest.mark.parametrize(
    ("training", "test", "asked"),
    [
        (("Training", "Training"), ("Validation", "Validation"), ()),
        (("Train", "Train"), ("Val", "Val"), ()),
        (("validation", "validation"), ("test", "test"), ("--train-subset", "Validation", "--test-subset", "TEST")),
        (("training", "Training"), ("VALIDATION", "validation"), ()),
    ],
)
def test_subsets_have_one_name_each_however_they_are_spelled(
    tmp_path: Path, training: tuple[str, str], test: tuple[str, str], asked: tuple[str, ...]
) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    document = json.loads(annotations.read_text())
    for video, subset in zip("abcd", (*training, *test), strict=True):
        document["database"][video]["subset"] = subset
    annotations.write_text(json.dumps(document))
    command = ["export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out", "--quiet"]
    assert sola(*command, *asked) == 0
    subsets = {video: record["subset"] for video, record in database_of(tmp_path / "out").items()}
    assert subsets == {"a": training[0], "b": training[0], "c": test[0], "d": test[0]}
    actionformer, opentad = actionformer_config(tmp_path / "out"), opentad_config(tmp_path / "out")["dataset"]
    assert (actionformer["train_split"], actionformer["val_split"]) == ([training[0].lower()], [test[0].lower()])
    assert (opentad["train"]["subset_name"], opentad["test"]["subset_name"]) == ([training[0]], [test[0]])


@pytest.mark.parametrize("videos", ["ab", "cd", "abcd"])
def test_a_subset_whose_files_are_all_bad_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], videos: str
) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    for video in videos:
        np.save(features / f"{video}.npy", np.full((LENGTHS[video], 6), np.nan))
    command = ["export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out", "--skip-bad"]
    message = refused(capsys, *command)
    assert f"{videos[0]}.npy: contains NaN or infinity" in message
    assert message.endswith("none of 2 videos is left")


def test_skip_bad_leaves_out_a_damaged_file(tmp_path: Path) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    array = np.load(features / "b.npy")
    array[3, 2] = np.nan
    np.save(features / "b.npy", array)
    command = ["export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out", "--quiet"]
    assert sola(*command, "--skip-bad") == 0
    assert sorted(database_of(tmp_path / "out")) == ["a", "c", "d"]


def test_command_prints_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, None, prefix="v_")
    out = tmp_path / "out"
    assert sola("export", "opentad", features, "--annotations", annotations, "--out", out, "--id-prefix", "v_") == 0
    log = capsys.readouterr().err
    assert "4 videos matched by another id, such as 'v_a' for 'a'; ids differ by the prefix 'v_'" in log
    assert "4 videos, 3 classes" in log
