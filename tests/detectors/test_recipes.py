"""Recipes of detectors: the published figures, and that every one of them builds what it says."""

from typing import get_args

import pytest

from sola.core.errors import SolaError
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.bmn.network import BMN
from sola.detectors.gtad.network import GTAD
from sola.detectors.postprocess import Gaussian, WidthAdaptive
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.recipes import DETECTOR_RECIPES, DetectorName, DetectorRecipe

BMN_ANET = {
    "length": 100, "span": None, "hop": None, "max_duration": None, "epochs": 9, "batch_size": 16,
    "learning_rate": 1e-3, "weight_decay": 1e-4, "decay_every": 7, "keep": 100, "top": 2, "candidates_only": False,
}  # fmt: skip
"""Lin et al., ICCV 2019, and their program, which scores every pair."""

GTAD_ANET = {
    "length": 100, "span": None, "max_duration": None, "epochs": 10, "batch_size": 16, "learning_rate": 4e-3,
    "weight_decay": 1e-4, "decay_every": 5, "keep": 100, "top": 2, "bins": 32, "context_bins": 4, "kernel_size": 1,
    "candidates_only": True,
}  # fmt: skip
"""Xu et al., CVPR 2020, and the `anet` branch of their program."""


ACTIONFORMER_THUMOS = {
    "length": 2304, "rescaled": None, "multi_class": True, "width": 512, "attention_window": 19, "epochs": 35,
    "warmup_epochs": 5, "batch_size": 2, "learning_rate": 1e-4, "weight_decay": 0.05, "regression_weight": 1.0,
    "label_smoothing": 0.0, "normalizer": 100.0, "crop": 0.9, "clip_norm": 1.0, "average": 0.999, "sigma": 0.5,
    "min_score": 0.001, "keep": 200, "voting": 0.7, "absolute_position": False, "global_last": False,
}  # fmt: skip
"""Zhang et al., ECCV 2022, and their program."""

ACTIONFORMER_ANET = {
    "rescaled": 192, "multi_class": False, "width": 256, "attention_window": 7, "global_last": True, "epochs": 15,
    "absolute_position": True, "warmup_epochs": 5, "batch_size": 16, "learning_rate": 1e-3, "regression_weight": 2.0,
    "label_smoothing": 0.1, "normalizer": 200.0, "sigma": 0.75, "min_score": 0.001, "keep": 100, "voting": 0.9,
    "voting_weight": "score_iou", "top": 2,
}  # fmt: skip


def test_there_is_a_recipe_for_every_head_and_data_set() -> None:
    assert set(DETECTOR_RECIPES) == {(h, r) for h in get_args(DetectorName) for r in get_args(DetectorRecipe)}


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (("bmn", "anet"), BMN_ANET),
        (("gtad", "anet"), GTAD_ANET),
        (("gtad", "hacs"), {"learning_rate": 5e-4, "batch_size": 32, "top": 1}),
        (("bmn", "thumos"), {"length": 256, "span": 256, "max_duration": 64}),
        (("gtad", "thumos"), {"length": 256, "span": 256, "max_duration": 64}),
        (("actionformer", "thumos"), ACTIONFORMER_THUMOS),
        (("actionformer", "anet"), ACTIONFORMER_ANET),
    ],
)
def test_published_figures(name: tuple[DetectorName, DetectorRecipe], published: dict[str, object]) -> None:
    config = DETECTOR_RECIPES[name]()
    assert {key: getattr(config, key) for key in published} == published


def test_published_suppression() -> None:
    assert DETECTOR_RECIPES["bmn", "anet"]().decay() == WidthAdaptive(0.4, 0.5, 0.9)
    assert DETECTOR_RECIPES["gtad", "anet"]().decay() == Gaussian(0.8)


@pytest.mark.parametrize("name", DETECTOR_RECIPES, ids="-".join)
def test_a_recipe_builds_its_head(name: tuple[DetectorName, DetectorRecipe]) -> None:
    config = DETECTOR_RECIPES[name]()
    head = config.build(8, 3)
    assert type(head) is {"bmn": BMN, "gtad": GTAD, "actionformer": ActionFormer}[name[0]]
    if isinstance(config, ProposalMapConfig):
        assert head.proposals.length == config.length
        assert head.proposals.longest == (config.max_duration or config.length)
    else:
        assert head.classes == (3 if config.multi_class else 1)
        assert head.length == (config.rescaled or config.length)


def test_sliding_windows_overlap_by_more_than_the_longest_proposal() -> None:
    """Then every action that a proposal can be lies whole in one window."""
    for recipe in DETECTOR_RECIPES.values():
        config = recipe()
        if isinstance(config, ProposalMapConfig) and config.span is not None:
            assert config.hop is not None
            assert config.max_duration is not None
            assert (config.span - config.hop) / config.span * config.length >= config.max_duration


@pytest.mark.parametrize(
    ("epochs_every", "expected"),
    [(7, [1, 1, 1, 1, 1, 1, 1, 0.1, 0.1]), (2, [1, 1, 0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4])],
)
def test_the_rate_falls_to_a_tenth_every_so_many_epochs(epochs_every: int, expected: list[float]) -> None:
    config = ProposalMapConfig(decay_every=epochs_every)
    assert [config.rate(epoch) for epoch in range(9)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "named"),
    [({"epochs": 0}, "epochs=0"), ({"batch_size": 0}, "batch_size=0"), ({"decay_every": 0}, "decay_every=0"),
     ({"keep": 0}, "keep=0"), ({"top": 0}, "top=0"), ({"seed": -1}, "seed=-1"),
     ({"classifier_epochs": -1}, "classifier_epochs=-1"), ({"learning_rate": 0.0}, "learning_rate=0"),
     ({"learning_rate": float("nan")}, "learning_rate=nan"), ({"weight_decay": -1.0}, "weight_decay=-1"),
     ({"length": 0}, "length=0"), ({"length": 8, "max_duration": 9}, "max_duration=9"),
     ({"span": 4, "hop": 5}, "hop=5"), ({"suppression": "gaussian", "sigma": 0.0}, "sig"),
     ({"sigma": -1.0}, "alpha|sigma")],
)  # fmt: skip
def test_a_value_out_of_range_is_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(SolaError, match=named):
        ProposalMapConfig(**values)
