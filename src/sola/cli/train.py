"""`sola train`."""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.cli.config_flags import ConfigFlags, config_flags
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.softlanding.config import TrainingConfig
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.recipes import RECIPES, MultiScaleRecipe, recipe_named

CONFIGS = {
    ", ".join(name for name, recipe in RECIPES.items() if recipe().kind is kind): kind
    for kind in (TrainingConfig, MultiScaleConfig)
}
"""Configs by the names of their recipes."""
COMMON = ("step", "epochs", "batch_size", "learning_rate", "seed", "device")
"""Settings that `--help` shows."""

if TYPE_CHECKING:
    TrainingFlags = ConfigFlags
else:
    TrainingFlags = config_flags(CONFIGS, options.TRAINING, COMMON, auto=MultiScaleRecipe.choosable)

log = logging.getLogger(__name__)


def train(
    features: options.Features,
    /,
    *,
    annotations: options.OptionalAnnotationFile = None,
    train_subset: Annotated[
        str | None,
        Parameter(group=options.INPUTS, help="Subset whose videos are used, with --annotations: training by default."),
    ] = None,
    label_key: options.LabelKey = "label",
    reading: options.Reading = options.Reading(),
    recipe: Annotated[str, Parameter(group=options.TRAINING, choices=tuple(RECIPES))] = "anet",
    flags: TrainingFlags = TrainingFlags(),
    memory_limit: Annotated[
        float | None,
        Parameter(
            group=options.EXECUTION,
            help="Memory for features (GiB); above, they are read from a file next to RUN. Without it, 60% of the free "
            "memory.",
        ),
    ] = None,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="RUN")],
    writing: options.RunWriting = options.RunWriting(),
) -> None:
    """Run `sola train`.

    Args:
        recipe: Named settings. anet: Table 4a; hacs: the published code; thumos, gtea: ours; auto: your own features.
        out: Folder of the run.
    """
    from sola.softlanding.train import train as train_module

    show_log(writing.quiet)
    if train_subset is not None and annotations is None:
        raise SolaError(f"--train-subset {train_subset}: needs --annotations, which list its videos")
    if memory_limit is not None and not 0 <= memory_limit < math.inf:
        raise SolaError(f"--memory-limit {memory_limit}: expected GiB, 0 or more")
    chosen, settings = recipe_named(recipe), flags.given()
    for name in settings:
        if name not in chosen.values:
            raise SolaError(f"--{name.replace('_', '-')}: not a setting of --recipe {recipe}; see sola train --help")
    chosen = chosen.override(**settings)
    data = reading.dataset(features, annotations, label_key)
    if annotations is not None:
        data = data.subset(train_subset or "training")
    skipped: dict[str, str] = {}
    train_module(
        data,
        chosen,
        out,
        memory_limit=None if memory_limit is None else int(memory_limit * 2**30),
        skipped=skipped,
        **vars(writing),
    )
    options.report_skipped(data.features.unreadable, skipped)
    log.info("next: sola transform %s FEATURES --out DIR", out)
