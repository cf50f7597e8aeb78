"""What each experiment of the supplement compares, and what the supplement reports for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sola.softlanding.recipes import Recipe

ExperimentName = Literal["table1", "table2", "table3", "table5", "table6", "figure1", "sectionC"]

RAW = "raw"
MAP_KEYS = ("mAP@0.50", "mAP@0.75", "mAP@0.95", "average_mAP")
RECALL_KEYS = ("AR@1", "AR@10", "AR@100", "AUC")
BASELINE = dict(zip(MAP_KEYS, (0.4978, 0.3446, 0.0796, 0.3384), strict=True))
"""G-TAD on raw features of ActivityNet-1.3: the first row of every table."""
SOLA = dict(zip(MAP_KEYS, (0.5117, 0.3570, 0.0831, 0.3499), strict=True))
"""The same head after SoLa as published: adapter, similarity matching, asymmetric, K = 16, s = 8."""

CLASSES, TRAINING_VIDEOS, TEST_VIDEOS = 200, 9000, 4600
"""Of ActivityNet-1.3; videos at least, for some can no longer be had."""

Published = Mapping[str, float]
"""Figures of ActivityNet-1.3 as fractions, by the key of the metric."""


@dataclass(frozen=True)
class Variant:
    """One module of an experiment: how its row is called, its recipe, what the supplement reports."""

    name: str
    recipe: Recipe
    published: Published | None = None


@dataclass(frozen=True)
class Experiment:
    """Modules to be compared with raw features and the controls, under each of the heads."""

    name: ExperimentName
    title: str
    variants: tuple[Variant, ...]
    heads: tuple[str, ...] = ("gtad",)
    baseline: Mapping[str, Published] | None = None
    """What the supplement reports for raw features, by head."""
    published: Mapping[str, Published] | None = None
    """What it reports after SoLa, by head, where one module stands under several."""
    stability: bool = False
    """Whether spread and effective rank over the training belong to what is shown."""


def table1(base: Recipe, head: str) -> Experiment:
    """The form of the module: x + gate·f(x), or f(x) alone."""
    direct = dict(zip(MAP_KEYS, (0.5074, 0.3535, 0.0829, 0.3466), strict=True))
    variants = (
        Variant("SoLa, direct", base.override(form="direct"), direct),
        Variant("SoLa, adapter", base.override(form="adapter"), SOLA),
    )
    return Experiment("table1", "Table 1: the form of the module", variants, (head,), {"gtad": BASELINE})


def table2(base: Recipe, head: str) -> Experiment:
    """The loss; NT-Xent is not in the supplement's table."""
    inside = dict(zip(MAP_KEYS, (0.4599, 0.3060, 0.0717, 0.3034), strict=True))
    outside = dict(zip(MAP_KEYS, (0.5021, 0.3514, 0.0840, 0.3440), strict=True))
    variants = (
        Variant("NT-Xent", base.override(loss="nt_xent")),
        Variant("softened, inside", base.override(loss="softened_inside"), inside),
        Variant("softened, outside", base.override(loss="softened_outside"), outside),
        Variant("similarity matching", base.override(loss="similarity_matching"), SOLA),
    )
    return Experiment("table2", "Table 2: the loss", variants, (head,), {"gtad": BASELINE})


def table3(base: Recipe, head: str) -> Experiment:
    """Three heads on raw features and after SoLa; the head given is not looked at."""
    actionformer = [(0.5022, 0.3381, 0.0775, 0.3319), (0.5164, 0.3481, 0.0802, 0.3421)]
    bmn = [(0.3359, 0.5679, 0.7505, 0.6716), (0.3425, 0.5775, 0.7586, 0.6807)]
    before: dict[str, Published] = {
        "gtad": BASELINE,
        "actionformer": dict(zip(MAP_KEYS, actionformer[0], strict=True)),
        "bmn": dict(zip(RECALL_KEYS, bmn[0], strict=True)),
    }
    after: dict[str, Published] = {
        "gtad": SOLA,
        "actionformer": dict(zip(MAP_KEYS, actionformer[1], strict=True)),
        "bmn": dict(zip(RECALL_KEYS, bmn[1], strict=True)),
    }
    heads: tuple[str, ...] = ("gtad", "actionformer", "bmn")
    return Experiment("table3", "Table 3: three heads", (Variant("SoLa", base),), heads, before, after)


def table5(base: Recipe, head: str) -> Experiment:
    """K of the target and the step s."""
    settings = {
        (4, 8): (0.5016, 0.3492, 0.0817, 0.3435),
        (8, 8): (0.5059, 0.3529, 0.0794, 0.3453),
        (32, 8): (0.5080, 0.3533, 0.0856, 0.3480),
        (16, 2): (0.5063, 0.3539, 0.0823, 0.3469),
        (16, 4): (0.5096, 0.3561, 0.0765, 0.3483),
        (16, 12): (0.5088, 0.3537, 0.0758, 0.3464),
        (16, 8): (0.5117, 0.3570, 0.0831, 0.3499),
    }
    variants = tuple(
        Variant(f"K={k}, s={step}", base.override(k=float(k), step=step), dict(zip(MAP_KEYS, reported, strict=True)))
        for (k, step), reported in settings.items()
    )
    return Experiment("table5", "Table 5: K of the target and the step s", variants, (head,), {"gtad": BASELINE})


def table6(base: Recipe, head: str) -> Experiment:
    """The projector on one side of the similarity map, or none."""
    symmetric = dict(zip(MAP_KEYS, (0.4975, 0.3458, 0.0690, 0.3373), strict=True))
    variants = (
        Variant("symmetric", base.override(projector="symmetric"), symmetric),
        Variant("asymmetric", base.override(projector="asymmetric"), SOLA),
    )
    title = "Table 6: the projector"
    return Experiment("table6", title, variants, (head,), {"gtad": BASELINE}, stability=True)


def figure1(base: Recipe, head: str) -> Experiment:
    """The main comparison over many seeds, of head and module."""
    variants = (Variant("SoLa", base, SOLA),)
    return Experiment("figure1", "Figure 1: error bars", variants, (head,), {"gtad": BASELINE})


def section_c(base: Recipe, head: str) -> Experiment:
    """The local-similarity assumption; no head is trained."""
    return Experiment("sectionC", "Section C: the local-similarity assumption", (Variant("SoLa", base),), ())


EXPERIMENTS: Mapping[ExperimentName, Callable[[Recipe, str], Experiment]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table5": table5,
    "table6": table6,
    "figure1": figure1,
    "sectionC": section_c,
}
