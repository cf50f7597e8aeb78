"""Variants and published values of the experiments."""

import pytest

from sola.core.errors import SolaError
from sola.detectors import DETECTORS
from sola.softlanding.recipes import Recipe, anet, auto, gtea
from sola.studies.catalog import BASELINE, SOLA, Experiment, Variant, default_seeds, experiment, require_windows


def experiment_of(name: str, recipe: Recipe | None = None) -> Experiment:
    return experiment(name, recipe or anet(), "gtad")  # type: ignore[arg-type]


def changed(variant: Variant) -> dict[str, object]:
    base = anet().values
    return {name: value for name, value in variant.recipe.values.items() if value != base[name]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table1", {"SoLa, direct": {"form": "direct"}, "SoLa, adapter": {}}),
        (
            "table2",
            {
                "NT-Xent": {"loss": "nt_xent"},
                "softened, inside": {"loss": "softened_inside"},
                "softened, outside": {"loss": "softened_outside"},
                "similarity matching": {},
            },
        ),
        (
            "table5",
            {
                "K=4, s=8": {"k": 4.0},
                "K=8, s=8": {"k": 8.0},
                "K=32, s=8": {"k": 32.0},
                "K=16, s=2": {"step": 2},
                "K=16, s=4": {"step": 4},
                "K=16, s=12": {"step": 12},
                "K=16, s=8": {},
            },
        ),
        ("table6", {"symmetric": {"projector": "symmetric"}, "asymmetric": {}}),
    ],
)
def test_a_table_varies_one_setting(name: str, expected: dict[str, dict[str, object]]) -> None:
    assert {variant.name: changed(variant) for variant in experiment_of(name).variants} == expected


@pytest.mark.parametrize("name", ["table1", "table2", "table5", "table6", "figure1"])
def test_the_published_module_is_in_every_table(name: str) -> None:
    assert experiment_of(name).variants[-1].recipe.values == anet().values
    assert experiment_of(name).variants[-1].published == SOLA
    assert experiment_of(name).baseline == {"gtad": BASELINE}


def test_published_averages_are_consistent_with_the_thresholds() -> None:
    # the average over .5 to .95 is between the values at .95 and .5
    for name in ("table1", "table2", "table5", "table6"):
        for variant in experiment_of(name).variants:
            if variant.published is not None:
                by_key = variant.published
                assert by_key["mAP@0.50"] > by_key["mAP@0.75"] > by_key["average_mAP"] - 0.03 > by_key["mAP@0.95"]


def test_table_3_has_every_detector_with_its_published_values() -> None:
    table3 = experiment_of("table3")
    assert set(table3.detectors) == set(DETECTORS)
    assert table3.published is not None
    assert table3.baseline["bmn"]["AUC"] == 0.6716
    assert table3.published["actionformer"]["average_mAP"] == 0.3421


def test_a_table_can_vary_any_recipe() -> None:
    direct, adapter = experiment_of("table1", gtea()).variants
    assert (direct.recipe.values["form"], adapter.recipe.values["form"]) == ("direct", "adapter")
    assert direct.recipe.values["hidden"] == adapter.recipe.values["hidden"] == gtea().values["hidden"]


@pytest.mark.parametrize("name", ["table3", "figure1", "sectionC"])
def test_experiments_without_variants_accept_multi_scale_modules(name: str) -> None:
    assert [variant.recipe.values for variant in experiment_of(name, auto()).variants] == [auto().values]
    require_windows(experiment_of(name, auto()), 16)


def test_a_recipe_without_the_varied_setting_is_refused() -> None:
    with pytest.raises(
        SolaError, match="table5: varies step, which modules at several steps do not have; pass another"
    ):
        experiment_of("table5", auto())


def test_figure_1_has_the_seeds_of_the_supplement() -> None:
    assert default_seeds("figure1", "anet", quick=False) == 12
    assert default_seeds("figure1", "hacs", quick=False) == 5
    assert default_seeds("table1", "anet", quick=False) == 3


@pytest.mark.parametrize(
    ("name", "longest", "cure"),
    [
        ("table1", 64, "the longest has 64 snippets, the window 65; pass --recipe hacs or --recipe thumos$"),
        ("table1", 36, "pass --recipe hacs$"),
        ("table1", 22, "no recipe helps: extract features with a smaller stride$"),
        ("table5", 92, "a window of 'K=16, s=12': .* the window 93; no recipe helps"),
    ],
)
def test_videos_shorter_than_a_window_are_refused_with_a_suggested_recipe(name: str, longest: int, cure: str) -> None:
    with pytest.raises(SolaError, match=cure):
        require_windows(experiment_of(name), longest)


def test_videos_as_long_as_every_window_are_accepted() -> None:
    require_windows(experiment_of("table1"), 65)
    require_windows(experiment_of("table5"), 93)
