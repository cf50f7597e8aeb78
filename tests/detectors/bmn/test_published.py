"""BMN equals two published programs, whose clones SOLA_BMN_REFERENCE and SOLA_MMACTION2_REFERENCE name."""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from support.boundary_matching import set_weights
from torch import Tensor, nn

from sola.detectors.bmn import checkpoint
from sola.detectors.bmn.network import BMN
from sola.detectors.proposal_map.loss import map_loss
from sola.detectors.proposal_map.map import MapPrediction


def reference_folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"no {variable}: name a clone of the published program to compare with it")
    return Path(folder)


def imported(name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_equal_outputs(head: BMN, features: Tensor, expected: tuple[Tensor, Tensor, Tensor]) -> MapPrediction:
    """Compare with the expected confidence map, start and end probabilities."""
    with torch.no_grad():
        prediction = head(features)
    for got, reference in zip((prediction.confidence, prediction.start, prediction.end), expected, strict=True):
        assert reference.std() > 0.05
        torch.testing.assert_close(got, reference, atol=1e-5, rtol=0)
    return prediction


def test_outputs_targets_and_losses_equal_the_program_of_jjboy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare outputs, targets, and the two losses that run without a GPU there; pandas is replaced by a stub."""
    folder = reference_folder("SOLA_BMN_REFERENCE")
    sizes = {"temporal_scale": 100, "feat_dim": 400, "prop_boundary_ratio": 0.5}
    model = imported("jjboy_models", folder / "models.py").BMN({**sizes, "num_sample": 32, "num_sample_perbin": 3})
    set_weights(model, 0)
    torch.save({"epoch": 1, "state_dict": nn.DataParallel(model).state_dict()}, tmp_path / "bmn.pth.tar")
    features = torch.randn(2, 400, 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(features)
    head = checkpoint.load(tmp_path / "bmn.pth.tar")
    prediction = assert_equal_outputs(head, features, expected)

    losses = imported("jjboy_losses", folder / "loss_function.py")
    instances = [torch.tensor([[10.0, 60.0]]), torch.tensor([[5.0, 30.0], [40.3, 99.1]])]
    targets = head.targets(instances, [], 100)
    actual = map_loss(head.proposals, prediction, targets, torch.Generator().manual_seed(0))
    boundary = losses.tem_loss_func(prediction.start, prediction.end, targets.start, targets.end)
    classification = losses.pem_cls_loss_func(prediction.confidence[:, 1], targets.iou, losses.get_mask(100))
    assert actual.boundary.item() == pytest.approx(boundary.item(), abs=1e-5)
    assert actual.classification.item() == pytest.approx(classification.item(), abs=1e-5)

    monkeypatch.setitem(sys.modules, "pandas", types.ModuleType("pandas"))
    monkeypatch.setitem(sys.modules, "utils", imported("jjboy_utils", folder / "utils.py"))
    dataset = imported("jjboy_dataset", folder / "dataset.py").VideoDataSet
    video = {"duration_frame": 1000, "duration_second": 100.0, "feature_frame": 1000}
    video["annotations"] = [{"segment": instance} for instance in instances[1].tolist()]
    anchors = [(t - 0.5) / 100 for t in range(100)], [(t + 0.5) / 100 for t in range(100)]
    data = types.SimpleNamespace(video_list=["one"], video_dict={"one": video}, temporal_gap=0.01, temporal_scale=100)
    for reference, got in zip(
        dataset._get_train_label(data, 0, *anchors), (targets.start[1], targets.end[1], targets.iou[1]), strict=True
    ):
        torch.testing.assert_close(got, reference, atol=1e-5, rtol=0)


def test_outputs_targets_and_proposals_equal_mmaction2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare outputs, targets and proposals before suppression; mmengine and the registry are replaced by stubs."""
    detectors = reference_folder("SOLA_MMACTION2_REFERENCE") / "mmaction/models/localizers"
    registry = types.SimpleNamespace(register_module=lambda: lambda module: module, build=lambda config: None)
    utils = imported("mmaction2_utils", detectors / "utils/proposal_utils.py")
    utils.post_processing = lambda proposals, *settings: proposals
    for name, module in {
        "mmengine": types.SimpleNamespace(),
        "mmengine.model": types.SimpleNamespace(BaseModel=nn.Module),
        "mmaction": types.SimpleNamespace(),
        "mmaction.registry": types.SimpleNamespace(MODELS=registry),
        "mmaction2_localizers": types.SimpleNamespace(__path__=[str(detectors)]),
        "mmaction2_localizers.utils": utils,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    settings = {"soft_nms_alpha": 0.4, "soft_nms_low_threshold": 0.5, "soft_nms_high_threshold": 0.9}
    model = imported("mmaction2_localizers.bmn", detectors / "bmn.py").BMN(
        100, 0.5, 32, 3, 400, post_process_top_k=100, **settings
    )
    set_weights(model, 0)
    torch.save({"meta": {}, "state_dict": model.state_dict()}, tmp_path / "bmn.pth")
    features = torch.randn(2, 400, 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model._forward(features)
    head = checkpoint.load(tmp_path / "bmn.pth")
    prediction = assert_equal_outputs(head, features, expected)

    sample = types.SimpleNamespace(metainfo={"video_name": "one"})
    with torch.no_grad():
        (result,) = model.predict(features, [sample])
    reference = result["proposal_list"][:, [0, 1, 6]]
    decoded = head.decode(prediction)[0]
    np.testing.assert_allclose(
        np.stack([decoded.start / 100, decoded.end / 100, decoded.score], 1), reference, atol=1e-5
    )
    assert len(decoded) > 100

    instances = torch.tensor([[0.1, 0.634], [0.401, 0.99]], dtype=torch.float64)
    iou, start, end = model.generate_labels([instances])
    actual = head.targets([instances * 100], [], 100)
    valid = torch.from_numpy(head.proposals.valid)
    np.testing.assert_allclose(actual.iou[:, valid], iou[:, valid], atol=1e-5)
    np.testing.assert_allclose(actual.start, start, atol=1e-5)
    np.testing.assert_allclose(actual.end, end, atol=1e-5)
