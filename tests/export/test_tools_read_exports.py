"""The data sets of the clones in SOLA_ACTIONFORMER_REFERENCE and SOLA_OPENTAD_REFERENCE read an export."""

import importlib
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exported import GRIDS, center, handed_over, opentad_config

from sola.data.annotations import read_annotations
from sola.data.timing import SnippetGrid


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
