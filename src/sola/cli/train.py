"""`sola train`."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli.config_flags import ConfigFlags, config_flags
from sola.cli.console import report_skipped, say
from sola.cli.options import (
    EXECUTION,
    INPUTS,
    OUTPUT,
    TRAINING,
    Features,
    LabelKey,
    OptionalAnnotationFile,
    Overwrite,
    Quiet,
    Reading,
    Resume,
    TensorBoard,
)
from sola.core.errors import SolaError
from sola.softlanding.config import TrainingConfig
from sola.softlanding.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    TrainingFlags = ConfigFlags
else:
    TrainingFlags = config_flags({"sola": TrainingConfig}, TRAINING)


def train(
    features: Features,
    /,
    *,
    annotations: OptionalAnnotationFile = None,
    train_subset: Annotated[
        str | None,
        Parameter(group=INPUTS, help="Subset whose videos are used, with --annotations: training by default."),
    ] = None,
    label_key: LabelKey = "label",
    reading: Reading = Reading(),
    recipe: Annotated[Recipe, Parameter(group=TRAINING)] = "anet",
    flags: TrainingFlags = TrainingFlags(),
    memory_limit: Annotated[
        float | None,
        Parameter(
            group=EXECUTION,
            help="Memory for features (GiB); above, they are read from a file next to RUN. Without it, 60% of the free "
            "memory.",
        ),
    ] = None,
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="RUN")],
    resume: Resume = False,
    overwrite: Overwrite = False,
    tensorboard: TensorBoard = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola train`.

    Args:
        recipe: Named settings. anet: Table 4a; hacs: the published code; thumos, gtea: ours; auto: from the features.
        out: Folder of the run.
    """
    from sola.data.annotations import read_annotations
    from sola.data.ids import match_videos
    from sola.softlanding.network import WEIGHTS
    from sola.softlanding.recipes import settle
    from sola.softlanding.train import train as train_module
    from sola.training.run import Run, may_begin

    if train_subset is not None and annotations is None:
        raise SolaError(f"--train-subset {train_subset}: needs --annotations, which list its videos")
    if memory_limit is not None and not 0 <= memory_limit < math.inf:
        raise SolaError(f"--memory-limit {memory_limit}: expected GiB, 0 or more")
    wanted = dataclasses.replace(RECIPES[recipe](), **flags.given())
    requested = {
        "recipe": recipe,
        "features": [str(path.absolute()) for path in features],
        "annotations": None if annotations is None else str(annotations.absolute()),
        "subset": train_subset,
        **dataclasses.asdict(wanted),
    }
    if not may_begin(Run(out), requested, resume=resume, overwrite=overwrite, product=WEIGHTS):
        if not quiet:
            say(f"{out}: finished already, nothing to do")
        return
    opened = reading.open(features)
    remarks = []
    if annotations is not None:
        subset = read_annotations(annotations, label_key).subset(train_subset or "training")
        match = match_videos(opened.videos, subset.videos, id_prefix=reading.id_prefix)
        opened = opened.only(tuple(match.videos))
        remarks.append(str(match))
    config, reasons = settle(wanted, opened)
    remarks += [f"{name} = {getattr(config, name)}: {reason}" for name, reason in reasons.items()]
    train_module(
        opened,
        config,
        out,
        requested=requested,
        reasons=reasons,
        remarks=remarks,
        resume=resume,
        overwrite=overwrite,
        track="tensorboard" if tensorboard else None,
        memory_limit=None if memory_limit is None else int(memory_limit * 2**30),
        quiet=quiet,
    )
    report_skipped(opened.skipped)
    if not quiet:
        say(f"{out}: trained; next: sola transform {out} FEATURES --out DIR")
