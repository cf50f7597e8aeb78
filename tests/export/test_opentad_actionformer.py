"""Export to ActionFormer, OpenTAD and FiftyOne: layout, times, and rejected input.

The data sets of both tools are loaded from clones named by SOLA_ACTIONFORMER_REFERENCE and SOLA_OPENTAD_REFERENCE.
"""

import importlib
import importlib.util
import json
import os
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calling import refused, sola

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.data.detections import Detections
from sola.data.features import FeatureSet
from sola.data.segments import Segments, SegmentTable
from sola.data.timing import SnippetGrid
from sola.export import VideoFrames, common_clock, export_dataset, to_fiftyone
from sola.export.configurations import ExportedData, actionformer_yaml
from sola.export.fiftyone import support
from sola.export.opentad_actionformer import learnable

GRIDS = {
    "windows touch": SnippetGrid(30.0, 16, 16),
    "windows overlap": SnippetGrid(25.0, 4, 16),
    "halves of a frame": SnippetGrid(15.0, 1.5, 3, 2),
    "an odd window": SnippetGrid(29.97, 8, 15, 5),
    "starts before the video": SnippetGrid(24.0, 8, 16, -8),
    "a third of a frame": SnippetGrid(10.0, 1 / 3, 1, 0),
    "snippets a second": SnippetGrid(4.0),
}
LENGTHS = {"a": 40, "b": 31, "c": 57, "d": 20}
SUBSETS = {"a": "training", "b": "training", "c": "validation", "d": "validation"}
SEGMENTS = {  # as fractions of the time covered by features
    "a": [(0.1, 0.3, "jump"), (0.25, 0.9, "run")],
    "b": [(0.5, 0.75, "run")],
    "c": [(0.0, 0.2, "walk"), (0.4, 1.0, "jump")],
    "d": [],
}


def written(folder: Path, grid: SnippetGrid | None, *, prefix: str = "", durations: bool = True) -> tuple[Path, Path]:
    """Write features and annotations. A grid is written as manifest; without one, only durations give times."""
    features = folder / "features_in"
    features.mkdir(parents=True)
    database: dict[str, Any] = {}
    for seed, (video, length) in enumerate(LENGTHS.items()):
        array = np.random.default_rng(seed).normal(size=(length, 6)).astype(np.float16)
        np.save(features / f"{prefix}{video}.npy", array)
        end = 10.0 + seed if grid is None else float(center(grid, length - 1))
        database[video] = {
            "subset": SUBSETS[video],
            "duration": end,
            "annotations": [{"segment": [s * end, e * end], "label": label} for s, e, label in SEGMENTS[video]],
        }
        if not durations:
            del database[video]["duration"]
    if grid is not None:
        manifest = {"fps": grid.fps, "stride": grid.stride, "window": grid.window, "offset": grid.offset}
        (features / "features.json").write_text(json.dumps(manifest))
    (folder / "in.json").write_text(json.dumps({"database": database}))
    return features, folder / "in.json"


def handed_over(folder: Path, grid: SnippetGrid | None, **more: Any) -> Path:
    features, annotations = written(folder, grid, **more)
    export_dataset(Dataset.open(features, annotations), folder / "out")
    return folder / "out"


def center(grid: SnippetGrid, snippet: int) -> float:
    """Center of a snippet in seconds, computed independently from the definition of the manifest."""
    first_frame = grid.offset + snippet * grid.stride
    return (first_frame + (first_frame + grid.window)) / 2 / grid.fps


def database_of(out: Path) -> dict[str, Any]:
    database: dict[str, Any] = json.loads((out / "annotations.json").read_text())["database"]
    return database


def actionformer_config(out: Path) -> dict[str, Any]:
    config: dict[str, Any] = pytest.importorskip("yaml").safe_load((out / "actionformer.yaml").read_text())
    return config


def opentad_config(out: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec((out / "opentad.py").read_text(), names)
    return names


# --- the layout --------------------------------------------------------------------------------------------------


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


# --- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_both_tools_compute_the_same_snippet_centers(tmp_path: Path, grid: SnippetGrid) -> None:
    out = handed_over(tmp_path, grid)
    actionformer, opentad = actionformer_config(out)["dataset"], opentad_config(out)["dataset"]
    for video, record in database_of(out).items():
        expected = [center(grid, snippet) for snippet in range(LENGTHS[video])]
        snippets = np.arange(LENGTHS[video])
        stride, frames = actionformer["feat_stride"], actionformer["num_frames"]
        np.testing.assert_allclose((snippets * stride + 0.5 * frames) / record["fps"], expected, atol=1e-9)
        for part in opentad.values():
            assert part["fps"] == -1
            stride, offset = int(part["feature_stride"] * part["sample_stride"]), int(part["offset_frames"])
            fps = record["frame"] / record["duration"]
            np.testing.assert_allclose((snippets * stride + offset) / fps, expected, atol=1e-9)


def test_without_fps_snippets_tile_each_duration(tmp_path: Path) -> None:
    out = handed_over(tmp_path, None)
    config = actionformer_config(out)["dataset"]
    for video, record in database_of(out).items():
        got = (np.arange(LENGTHS[video]) * config["feat_stride"] + 0.5 * config["num_frames"]) / record["fps"]
        expected = (np.arange(LENGTHS[video]) + 0.5) * record["duration"] / LENGTHS[video]
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_integer_frames_are_unchanged() -> None:
    clock = common_clock({"a": SnippetGrid(30.0, 16, 16), "b": SnippetGrid(25.0, 16, 16)})
    assert (clock.stride, clock.first, clock.fps) == (16, 8, {"a": 30.0, "b": 25.0})


def test_videos_timed_by_duration_and_by_fps_share_a_clock() -> None:
    grids = {"a": SnippetGrid(30.0, 16, 16), "b": SnippetGrid.covering(10.0, 40)}
    clock = common_clock(grids)
    for video, grid in grids.items():
        seconds = [(snippet * clock.stride + clock.first) / clock.fps[video] for snippet in range(40)]
        assert seconds == pytest.approx([center(grid, snippet) for snippet in range(40)], abs=1e-12)


# --- rejected input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([SnippetGrid(30.0, 16, 16), SnippetGrid(4.0, 1, 3)], "video 'v1': .* time all by --fps"),
        ([SnippetGrid(30.0, 16, 16, -9)], "video 'v0': .* before the video begins"),
        ([SnippetGrid(30.0, 2**0.5)], "video 'v0': a stride of 1.41421356"),
        ([SnippetGrid(30.0, 1 / 999, 1 / 499)], "at least 1/1000"),
    ],
)
def test_times_that_the_tools_cannot_express(grids: list[SnippetGrid], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        common_clock({f"v{index}": grid for index, grid in enumerate(grids)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda database: [item.update(subset="training") for item in database.values()],
            "unknown subset 'validation'",
        ),
        (lambda database: [database[video].update(annotations=[]) for video in "ab"], "subset 'training': none of its"),
        (lambda database: database["a"]["annotations"][0].update(label="a\nb"), "would be two lines"),
    ],
)
def test_annotations_that_the_tools_would_misread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str
) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    document = json.loads(annotations.read_text())
    change(document["database"])
    annotations.write_text(json.dumps(document))
    assert message in refused(
        capsys, "export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features_in", "in.json"]


def test_refused_output_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    command = ["export", "opentad", features, "--annotations", annotations, "--overwrite", "--out"]
    assert "contains the input features" in refused(capsys, *command, features.parent)
    assert "as an archive" in refused(capsys, *command, tmp_path / "out.hdf5")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "annotations.json").write_text('{"database": {}}')
    assert "so it is not overwritten" in refused(capsys, *command, tmp_path / "other")


def test_an_exported_folder_is_replaced_only_with_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    command = ["export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out"]
    assert sola(*command, "--quiet") == 0
    assert "exists already" in refused(capsys, *command)
    assert sola(*command, "--overwrite", "--quiet") == 0


def test_a_value_beyond_float32_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    np.save(features / "b.npy", np.full((31, 6), 1e300))
    message = refused(capsys, "export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out")
    assert "video 'b': a value is NaN or exceeds the largest float32 value" in message
    assert not (tmp_path / "out").exists()


# --- data sets of the tools --------------------------------------------------------------------------------------


def clone(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"no {variable}: name a clone of the tool's repository")
    return Path(folder)


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    """Stub a module that is not installed, with the attributes needed to read a data set."""
    try:
        if importlib.util.find_spec(name) is not None:
            return
    except ModuleNotFoundError:
        pass
    module = types.ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def forget(package: str) -> None:
    """Remove all modules of a package from the import cache."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


@pytest.fixture
def actionformer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """ActionFormer's data sets and its configuration loader."""
    root = clone("SOLA_ACTIONFORMER_REFERENCE")
    pytest.importorskip("yaml")
    pytest.importorskip("h5py")
    stand_in(monkeypatch, "pandas")
    stand_in(monkeypatch, "joblib", Parallel=None, delayed=None)
    monkeypatch.syspath_prepend(str(root))
    utils = types.ModuleType("libs.utils")  # without its compiled NMS
    utils.__path__ = [str(root / "libs" / "utils")]
    monkeypatch.setitem(sys.modules, "libs.utils", utils)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised by dependencies
        metrics = importlib.import_module("libs.utils.metrics")
        utils.remove_duplicate_annotations = metrics.remove_duplicate_annotations
        datasets = importlib.import_module("libs.datasets")
        config = importlib.import_module("libs.core.config")
    yield types.SimpleNamespace(make_dataset=datasets.make_dataset, load_config=config.load_config)
    forget("libs")


@pytest.mark.parametrize("name", ["anet", "thumos"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_actionformer_reads_the_export(tmp_path: Path, actionformer: Any, grid: SnippetGrid, name: str) -> None:
    out = handed_over(tmp_path, grid)
    config = actionformer.load_config(str(out / "actionformer.yaml"))
    config["dataset"]["crop_ratio"] = None  # no random cropping
    truth = read_annotations(tmp_path / "in.json")
    seen = []
    for training, split in ((True, config["train_split"]), (False, config["val_split"])):
        for item in actionformer.make_dataset(name, training, split, **config["dataset"]):
            video = item["video_id"]
            seen.append(video)
            np.testing.assert_array_equal(item["feats"].numpy().T, np.load(tmp_path / "features_in" / f"{video}.npy"))
            segments = truth.videos[video].segments
            if not len(segments):
                assert item["segments"] is None
                continue
            expected = np.stack([grid.index(segments.start), grid.index(segments.end)], axis=1)
            np.testing.assert_allclose(item["segments"].numpy(), expected, rtol=1e-5, atol=1e-4)
            assert item["labels"].tolist() == segments.label.tolist()
            # back to seconds as in ActionFormer's postprocessing
            seconds = (expected * item["feat_stride"] + 0.5 * item["feat_num_frames"]) / item["fps"]
            np.testing.assert_allclose(seconds, np.stack([segments.start, segments.end], axis=1), atol=1e-9)
    assert seen == ["a", "b", "c", "d"]


class Registry:
    """The part of MMEngine's Registry that OpenTAD's data sets use."""

    def __init__(self, name: str) -> None:
        self.kinds: dict[str, Any] = {}

    def register_module(self) -> Any:
        def enter(kind: Any) -> Any:
            self.kinds[kind.__name__] = kind
            return kind

        return enter

    def build(self, config: dict[str, Any]) -> Any:
        return self.kinds[config["type"]](**{key: value for key, value in config.items() if key != "type"})


@pytest.fixture(scope="module")
def opentad() -> Iterator[Any]:
    """Builder of OpenTAD's data sets. Imported once, because MMEngine refuses to register a name twice."""
    root = clone("SOLA_OPENTAD_REFERENCE")
    transforms = Registry("transform")

    def compose(pipeline: list[dict[str, Any]]) -> Any:
        steps = [transforms.build(step) for step in pipeline]

        def through(item: Any) -> Any:
            for step in steps:
                item = step(item)
            return item

        return through

    with pytest.MonkeyPatch.context() as monkeypatch:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # raised by dependencies
            stand_in(monkeypatch, "pandas")
            stand_in(monkeypatch, "torchvision")
            stand_in(monkeypatch, "einops", rearrange=lambda array, _: array.T, reduce=None)
            stand_in(monkeypatch, "mmengine")
            stand_in(monkeypatch, "mmengine.registry", Registry=Registry, TRANSFORMS=transforms, build_from_cfg=None)
            stand_in(monkeypatch, "mmengine.dataset", Compose=compose)
            for package in (
                "opentad",
                "opentad.datasets",
                "opentad.datasets.transforms",
            ):  # without the video transforms
                module = types.ModuleType(package)
                module.__path__ = [str(root / package.replace(".", "/"))]
                monkeypatch.setitem(sys.modules, package, module)
            for name in ("anet", "transforms.loading", "transforms.formatting"):
                importlib.import_module(f"opentad.datasets.{name}")
        yield sys.modules["opentad.datasets.builder"].DATASETS.build
        forget("opentad")


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_opentad_reads_the_export(tmp_path: Path, opentad: Any, grid: SnippetGrid) -> None:
    out = handed_over(tmp_path, grid)
    truth = read_annotations(tmp_path / "in.json")
    seen = {}
    for part, config in opentad_config(out)["dataset"].items():
        for step in config["pipeline"]:
            if step["type"] == "RandomTrunc":
                step["crop_ratio"] = None
        data = opentad(config)
        seen[part] = [data[index]["metas"]["video_name"] for index in range(len(data))]
        for index, video in enumerate(seen[part]):
            item = data[index]
            meta, segments = item["metas"], truth.videos[video].segments
            array = np.load(tmp_path / "features_in" / f"{video}.npy")
            np.testing.assert_array_equal(item["inputs"].numpy().T[item["masks"].numpy()], array)
            # back to seconds as in OpenTAD's convert_to_seconds
            centers = (np.arange(len(array)) * meta["snippet_stride"] + meta["offset_frames"]) / meta["fps"]
            np.testing.assert_allclose(centers, [center(grid, i) for i in range(len(array))], atol=1e-9)
            if part != "test":
                expected = np.stack([grid.index(segments.start), grid.index(segments.end)], axis=1)
                np.testing.assert_allclose(item["gt_segments"].numpy(), expected, rtol=1e-5, atol=1e-4)
                assert item["gt_labels"].tolist() == segments.label.tolist()
    assert seen == {"train": ["a", "b"], "val": ["c"], "test": ["c", "d"]}


# --- FiftyOne ----------------------------------------------------------------------------------------------------


def detections_of(*rows: tuple[float, float, int, float, int]) -> Detections:
    """Return detections of the videos p and q from rows (start, end, label, score, video)."""
    start, end, label, score, video = (np.array(column) for column in zip(*rows, strict=True))
    return Detections(("p", "q"), ("jump", ""), SegmentTable(start, end, label, score, video))


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0.0, 4.0, [1, 100]),
        (1.0, 2.0, [26, 50]),  # frame 26 starts at 1.0 s, frame 50 ends at 2.0 s
        (1.01, 1.02, [26, 26]),
        (1.0, 1.0, [26, 26]),
        (0.28, 0.56, [8, 14]),  # 7.000000000000001 and 14.000000000000002 frames
        (-3.0, 0.5, [1, 13]),
        (3.5, 9.0, [88, 100]),
        (-2.0, -1.0, None),
        (4.0, 5.0, None),
    ],
)
def test_support_is_the_visible_frames(start: float, end: float, frames: list[int] | None) -> None:
    assert support("v", start, end, frame_rate=25.0, count=100) == frames


@pytest.fixture
def fiftyone() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised by dependencies
        return pytest.importorskip("fiftyone")


def test_temporal_detections_by_video(fiftyone: Any) -> None:
    detections = detections_of(
        (1.0, 2.0, 0, 0.75, 0), (9.0, 9.5, 0, 0.5, 0), (0.0, 1.0, 1, 0.25, 1), (0.5, 1.5, 0, 0.125, 0)
    )
    metadata = fiftyone.VideoMetadata(frame_rate=25.0, total_frame_count=100, duration=4.0)
    got = to_fiftyone(detections, {"p": metadata, "q": VideoFrames(10.0, 30)})
    assert all(isinstance(value, fiftyone.TemporalDetections) for value in got.values())
    assert {
        video: [(detection.label, list(detection.support), detection.confidence) for detection in value.detections]
        for video, value in got.items()
    } == {
        "p": [("jump", [26, 50], 0.75), ("jump", [13, 38], 0.125)],  # the detection outside the video is dropped
        "q": [(None, [1, 10], 0.25)],
    }
    sample = fiftyone.Sample(filepath="p.mp4", metadata=metadata, sola=got["p"])
    expected = [
        fiftyone.TemporalDetection.from_timestamps(times, metadata=metadata).support
        for times in ([1.0, 2.0], [0.5, 1.5])
    ]
    supports = [detection.support for detection in sample["sola"].detections]
    assert np.abs(np.array(supports) - np.array(expected)).max() <= 1


@pytest.mark.parametrize(
    ("row", "videos", "message"),
    [
        ((0.0, 1.0, 0, 1.0, 0), {"q": VideoFrames(25.0, 100)}, "video 'p': frame rate None and frame count None"),
        ((0.0, 1.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 0)}, "video 'p': frame rate 25.0 and frame count 0"),
        ((2.0, 1.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 100)}, "2 to 1 s ends before it starts"),
        ((8.0, 9.0, 0, 1.0, 0), {"p": VideoFrames(25.0, 100)}, "all detections are outside its 100 frames"),
    ],
)
def test_videos_and_segments_without_frames_are_refused(
    monkeypatch: pytest.MonkeyPatch, row: Any, videos: dict[str, VideoFrames], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", types.ModuleType("fiftyone"))  # never used
    with pytest.raises(SolaError, match=message):
        to_fiftyone(detections_of(row), videos)


def test_without_fiftyone_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(SolaError, match="pip install fiftyone"):
        to_fiftyone(detections_of((0.0, 1.0, 0, 1.0, 0)), {"p": VideoFrames(25.0, 100)})
