"""Save and load trained detectors, and refuse features unlike those they were trained on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest
from sola.detectors.detect import classify_proposals, detect, propose
from sola.detectors.trained import WEIGHTS, TrainedDetector


def test_a_loaded_detector_equals_the_saved_detector(
    detector: TrainedDetector, data: Dataset, run: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / WEIGHTS).unlink()
    detector.save_weights(copy)
    validation, results = data.subset("validation"), []
    for each in (detector, TrainedDetector.load(copy)):
        proposals = propose(each, validation, device="cpu")
        results.append(classify_proposals(each, validation, proposals))
    assert results[0].keys() == results[1].keys() == {video.id for video in validation.videos}
    for video in results[0]:
        for name in ("start", "end", "label", "score"):
            np.testing.assert_array_equal(getattr(results[0][video], name), getattr(results[1][video], name))


def test_loading_keeps_the_random_state_of_the_caller(run: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    TrainedDetector.load(run)
    assert torch.equal(torch.rand(3), expected)


def _no_weights(run: Path) -> None:
    (run / WEIGHTS).unlink()


def _truncated_weights(run: Path) -> None:
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:-100])


def _no_config(run: Path) -> None:
    (run / "config.json").unlink()


def _torn_config(run: Path) -> None:
    (run / "config.json").write_text((run / "config.json").read_text()[:-100])


def _list(run: Path) -> None:
    (run / "config.json").write_text("[1, 2]")


def _changed(*path: str, value: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        part = config
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        (run / "config.json").write_text(json.dumps(config))

    return change


def _without(key: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        del config[key]
        (run / "config.json").write_text(json.dumps(config))

    return change


def _half_a_classifier(run: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_file(run / WEIGHTS)
    del tensors["classifier/bias"]
    save_file(tensors, run / WEIGHTS)


@pytest.mark.parametrize(
    "damage",
    [
        _no_weights, _truncated_weights, _no_config, _torn_config, _list, _half_a_classifier,
        _without("training"), _without("classes"), _without("features"),
        _changed("training", "epochs", value=0), _changed("training", "unknown", value=1),
        _changed("training", "length", value=None), _changed("features", "channels", value=12),
        _changed("features", "channels", value=-4), _changed("features", "manifest", value={"fps": "fast"}),
        _changed("classes", value=["one", "class", "too", "many"]), _changed("classes", value="run"),
        _changed("training", "learning_rate", value=10**400), _changed("training", "max_detections", value=2.5),
        _changed("training", "length", value=10**9), _changed("features", "channels", value=10**9),
    ],
)  # fmt: skip
def test_a_damaged_run_is_reported_in_one_line(damage: Callable[[Path], None], run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "damaged")
    damage(copy)
    with pytest.raises(SolaError, match="damaged") as caught:
        TrainedDetector.load(copy)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"nowhere: no such folder"):
        TrainedDetector.load(tmp_path / "nowhere")


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("text")
    with pytest.raises(SolaError, match=r"expected a finished run of `sola train-detector`"):
        TrainedDetector.load(tmp_path)


MANIFEST = Manifest(dim=8, fps=30, stride=8, window=16, offset=0, encoder="tsp", sola={"fingerprint": "a" * 64})


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"fps": 25.0}, "fps=25.0.*fps=30"), ({"stride": 4.0}, "stride=4"), ({"window": 8.0}, "window=8"),
     ({"offset": 1.0}, "offset=1"), ({"encoder": "i3d"}, "encoder=i3d"), ({"dim": 16}, "dim=16"),
     ({"sola": None}, "no SoLa module.*the SoLa module aaaa"), ({"sola": {"fingerprint": "b" * 64}}, "bbbb.*aaaa")],
)  # fmt: skip
def test_features_with_another_manifest_are_refused(
    changed: dict[str, Any], named: str, detector: TrainedDetector
) -> None:
    with pytest.raises(SolaError, match=named):
        replace(detector, manifest=MANIFEST).check_compatible(replace(MANIFEST, **changed))


def test_transformed_features_are_refused_after_training_on_raw_features(detector: TrainedDetector) -> None:
    with pytest.raises(SolaError, match=r"the SoLa module aaaa.*no SoLa module"):
        replace(detector, manifest=replace(MANIFEST, sola=None)).check_compatible(MANIFEST)


@pytest.mark.parametrize("silent", ["fps", "stride", "window", "offset", "encoder", "dim"])
def test_unknown_manifest_values_are_accepted(silent: str, detector: TrainedDetector) -> None:
    detector = replace(detector, manifest=MANIFEST)
    detector.check_compatible(MANIFEST)
    detector.check_compatible(replace(MANIFEST, **{silent: None}))


def test_features_with_another_snippet_period_are_refused(detector: TrainedDetector, data: Dataset) -> None:
    """Without a manifest, the period comes from the durations. Runs of earlier versions have no period."""
    assert detector.snippet_period == pytest.approx(0.25)
    detector.check_timing(data)
    replace(detector, snippet_period=None).check_timing(data)
    message = (
        r"the features have a snippet every 0\.25 s, the detector was trained on features with one every 1 s: fps or "
        r"stride of one of them looks wrong by a factor of 4, or its features are padded; state the same "
        r"timing for both"
    )
    for call in (lambda other: other.check_timing(data), lambda other: detect(other, data, device="cpu")):
        with pytest.raises(SolaError, match=message):
            call(replace(detector, snippet_period=1.0))


def test_the_trained_classes_are_recorded(detector: TrainedDetector, data: Dataset) -> None:
    assert detector.trained_classes == data.classes
    assert set(detector.trained_classes) <= set(detector.classes)


def test_a_wrong_number_of_channels_is_refused_without_a_manifest(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    data = Dataset.open(tmp_path / "wide", timing={"fps": 4.0})
    with pytest.raises(SolaError, match=r"12 channels, the detector was trained on 8"):
        propose(detector, data, device="cpu")
