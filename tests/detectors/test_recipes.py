"""Recipes of detectors have the published values and build their networks."""

import pytest

from sola.core.errors import SolaError
from sola.detectors import DETECTORS, detector_family
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.base import DetectorConfig
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.bmn.network import BMN
from sola.detectors.gtad.network import GTAD
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.postprocess.soft_nms import Gaussian, WidthAdaptive
from sola.detectors.temporalmaxer.network import TemporalMaxer
from sola.detectors.tridet.network import TriDet

BMN_ANET = {
    "length": 100,
    "window_size": None,
    "window_stride": None,
    "max_duration": None,
    "epochs": 9,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "decay_every": 7,
    "max_detections": 100,
    "classes_per_proposal": 2,
    "candidates_only": False,
}
"""Lin et al., ICCV 2019, and their code, which scores every pair."""

GTAD_ANET = {
    "length": 100,
    "window_size": None,
    "max_duration": None,
    "epochs": 10,
    "batch_size": 16,
    "learning_rate": 4e-3,
    "weight_decay": 1e-4,
    "decay_every": 5,
    "max_detections": 100,
    "classes_per_proposal": 2,
    "bins": 32,
    "context_bins": 4,
    "kernel_size": 1,
    "candidates_only": True,
}
"""Xu et al., CVPR 2020, and the `anet` branch of their code."""


ACTIONFORMER_THUMOS = {
    "length": 2304,
    "resize_length": None,
    "multi_class": True,
    "width": 512,
    "attention_window": 19,
    "epochs": 35,
    "warmup_epochs": 5,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "regression_weight": 1.0,
    "label_smoothing": 0.0,
    "normalizer": 100.0,
    "crop": 0.9,
    "crop_overhang": 2.0,
    "clip_norm": 1.0,
    "ema_decay": 0.999,
    "sigma": 0.5,
    "min_score": 0.001,
    "max_detections": 200,
    "voting_iou": 0.7,
    "absolute_position": False,
    "global_last": False,
}
"""Zhang et al., ECCV 2022, and their code."""

ACTIONFORMER_ANET = {
    "resize_length": 192,
    "crop_overhang": 0.5,
    "multi_class": False,
    "width": 256,
    "attention_window": 7,
    "global_last": True,
    "epochs": 15,
    "absolute_position": True,
    "warmup_epochs": 5,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "regression_weight": 2.0,
    "label_smoothing": 0.1,
    "normalizer": 200.0,
    "sigma": 0.75,
    "min_score": 0.001,
    "max_detections": 100,
    "voting_iou": 0.9,
    "voting_weight": "score_iou",
    "classes_per_proposal": 2,
}


TRIDET_THUMOS = {
    "length": 2304,
    "multi_class": True,
    "width": 512,
    "levels": 6,
    "perception_window": 1,
    "window_scale": 5.0,
    "hidden": 768,
    "bins": 16,
    "overlap_power": 0.2,
    "input_noise": 0.0005,
    "epochs": 40,
    "warmup_epochs": 20,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "weight_decay": 0.025,
    "normalizer": 100.0,
    "clip_norm": 1.0,
    "ema_decay": 0.999,
    "voting_iou": 0.7,
    "voting_weight": "score",
    "crop_overhang": 0.0,
    "candidates": 2000,
    "max_detections": 2000,
    "min_score": 0.001,
    "sigma": 0.5,
}
"""Shi et al., CVPR 2023, and their code."""

TRIDET_EPIC_VERB = {
    "perception_window": 5,
    "window_scale": 2.0,
    "hidden": 1024,
    "overlapping_ranges": True,
    "overlap_power": 0.25,
    "normalizer": 250.0,
    "inside": 0.3,
    "epochs": 27,
    "warmup_epochs": 5,
    "final_rate": 0.5,
    "weight_decay": 0.05,
    "sigma": 0.4,
    "voting_iou": 0.75,
    "candidates": 5000,
}

TEMPORALMAXER_THUMOS = {
    "length": 2304,
    "multi_class": True,
    "width": 512,
    "levels": 6,
    "convolutions": 2,
    "level_normalization": "clip",
    "epochs": 65,
    "warmup_epochs": 5,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "normalizer": 100.0,
    "clip_norm": 1.0,
    "candidates": 2000,
    "max_detections": 200,
    "min_score": 0.001,
    "sigma": 0.5,
    "voting_iou": 0.7,
}
"""Tang et al., 2023, and the configurations of their code."""

SHARED_EPIC = {
    "overlapping_ranges": True,
    "normalizer": 250.0,
    "inside": 0.3,
    "candidates": 5000,
    "max_detections": 2000,
    "sigma": 0.4,
    "voting_iou": 0.75,
}

RECIPES = ("anet", "hacs", "thumos", "gtea", "quick")
EVERY = [(model, recipe) for model in DETECTORS for recipe in detector_family(model).recipes]
NETWORKS = {
    "bmn": BMN,
    "gtad": GTAD,
    "actionformer": ActionFormer,
    "temporalmaxer": TemporalMaxer,
    "tridet": TriDet,
}


def config_of(model: str, recipe: str) -> DetectorConfig:
    return detector_family(model).recipe(recipe)


@pytest.mark.parametrize("model", DETECTORS)
def test_there_is_a_recipe_for_every_data_set(model: str) -> None:
    family = detector_family(model)
    assert set(RECIPES) <= set(family.recipes)
    assert family.name == model
    for recipe in family.recipes.values():
        assert type(recipe) is family.config
        assert recipe.model == model


def test_unknown_names_are_refused_with_the_known_names() -> None:
    with pytest.raises(
        SolaError, match=r"model='afsd': expected one of actionformer, bmn, gtad, temporalmaxer, tridet"
    ):
        detector_family("afsd")
    with pytest.raises(SolaError, match=r"recipe='epic': expected one of anet, hacs, thumos, gtea"):
        detector_family("bmn").recipe("epic")


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (("bmn", "anet"), BMN_ANET),
        (("gtad", "anet"), GTAD_ANET),
        (("gtad", "hacs"), {"learning_rate": 5e-4, "batch_size": 32, "classes_per_proposal": 1}),
        (("bmn", "thumos"), {"length": 256, "window_size": 256, "max_duration": 64}),
        (("gtad", "thumos"), {"length": 256, "window_size": 256, "max_duration": 64}),
        (("actionformer", "thumos"), ACTIONFORMER_THUMOS),
        (("actionformer", "anet"), ACTIONFORMER_ANET),
        (("tridet", "thumos"), TRIDET_THUMOS),
        (("tridet", "epic-verb"), TRIDET_EPIC_VERB),
        (("actionformer", "epic-verb"), {**SHARED_EPIC, "attention_window": 9, "epochs": 21, "label_smoothing": 0.0}),
        (("actionformer", "epic-noun"), {**SHARED_EPIC, "attention_window": 9, "epochs": 21, "label_smoothing": 0.1}),
        (("temporalmaxer", "thumos"), TEMPORALMAXER_THUMOS),
        (("temporalmaxer", "epic-verb"), {**SHARED_EPIC, "epochs": 37, "level_normalization": "layer"}),
        (("temporalmaxer", "epic-noun"), {**SHARED_EPIC, "epochs": 37, "level_normalization": "clip"}),
        (("temporalmaxer", "multithumos"), {"convolutions": 3, "candidates": 3000, "max_detections": 300}),
    ],
)
def test_published_settings(name: tuple[str, str], published: dict[str, object]) -> None:
    config = config_of(*name)
    assert {key: getattr(config, key) for key in published} == published


def test_published_suppression() -> None:
    assert config_of("bmn", "anet").decay() == WidthAdaptive(0.4, 0.5, 0.9)
    assert config_of("gtad", "anet").decay() == Gaussian(0.8)


@pytest.mark.parametrize("name", EVERY, ids="-".join)
def test_a_recipe_builds_its_network(name: tuple[str, str]) -> None:
    config = config_of(*name)
    model = config.build(8, 3)
    assert model.predicts_classes == config.predicts_classes
    assert type(model) is NETWORKS[name[0]]
    if not isinstance(model, PointDetector):
        assert model.proposals.length == config.length
        assert model.proposals.longest == (config.max_duration or config.length)
    else:
        assert model.classes == (3 if config.multi_class else 1)
        assert model.length == (config.resize_length or config.length)


def test_sliding_windows_overlap_by_more_than_the_longest_proposal() -> None:
    """Then every action up to the longest proposal is completely inside a window."""
    for name in EVERY:
        config = config_of(*name)
        if not isinstance(config, PointPyramidConfig) and config.window_size is not None:
            assert config.window_stride is not None
            assert config.max_duration is not None
            assert (
                config.window_size - config.window_stride
            ) / config.window_size * config.length >= config.max_duration


@pytest.mark.parametrize(
    ("epochs_every", "expected"),
    [(7, [1, 1, 1, 1, 1, 1, 1, 0.1, 0.1]), (2, [1, 1, 0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4])],
)
def test_the_learning_rate_is_divided_by_ten_after_every_decay_interval(
    epochs_every: int, expected: list[float]
) -> None:
    config = BMNConfig(decay_every=epochs_every)
    assert [config.rate(epoch, 0, 5) for epoch in range(9)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"decay_every": 0}, "decay_every=0"),
        ({"max_detections": 0}, "max_detections=0"),
        ({"classes_per_proposal": 0}, "classes_per_proposal=0"),
        ({"seed": -1}, "seed=-1"),
        ({"classifier_epochs": -1}, "classifier_epochs=-1"),
        ({"learning_rate": 0.0}, "learning_rate=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1"),
        ({"length": 0}, "length=0"),
        ({"length": 8, "max_duration": 9}, "max_duration=9"),
        ({"window_size": 4, "window_stride": 5}, "window_stride=5"),
        ({"suppression": "gaussian", "sigma": 0.0}, "sig"),
        ({"sigma": -1.0}, "alpha|sigma"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(SolaError, match=named):
        BMNConfig(**values)
