"""`sola train`."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import OmitArgPrefixes

from sola.cli.console import named, parse, say
from sola.cli.options import Features, Reading, ReadingFlags, report_skipped
from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.softlanding.config import TrainingConfig
from sola.softlanding.network import WEIGHTS
from sola.softlanding.recipes import RECIPES, Recipe, settle
from sola.softlanding.train import train
from sola.training.run import Run, may_begin
from sola.training.tensorboard import Track


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a SoLa module on all videos of FEATURES, without labels, and write the run to OUT.

    OUT gets module.safetensors, config.json (all that repeats the run) and metrics.jsonl (a row an epoch). The recipe
    sets every other option; `sola train --recipe hacs --help` shows what it sets, and options given beside it win.
    """

    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    recipe: Recipe = "anet"
    """anet: as published (Table 4a); hacs: the published code's; thumos, gtea: ours; auto: chosen from the features."""
    annotations: Path | None = None
    """Train on the videos of one subset of these annotations only. No label is used."""
    subset: str | None = None
    """That subset (default: training)."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun); no label is used, but each must have one."""
    resume: bool = False
    """Go on with a run that was stopped; begin it where there is none."""
    overwrite: bool = False
    """Start again where a run exists."""
    track: Track | None = None
    """tensorboard: curves of metrics.jsonl in RUN/tensorboard too (extra `track`)."""
    memory_limit: Annotated[float | None, tyro.conf.arg(metavar="GIB")] = None
    """What the features may take of memory; above, they are read from a file beside OUT (default: 60 % of what is
    free)."""
    quiet: bool = False
    """No progress bar, no remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    recipe = RECIPES[named(arguments, "recipe", RECIPES, "anet")]()  # type: ignore[index]

    def command(
        options: OmitArgPrefixes[Train], config: OmitArgPrefixes[TrainingConfig] = recipe
    ) -> tuple[Train, TrainingConfig]:
        return options, config

    command.__doc__ = Train.__doc__
    options, wanted = parse(command, "train", arguments)
    if options.subset is not None and options.annotations is None:
        raise SolaError(f"--subset {options.subset}: which videos that is, --annotations must say")
    if options.memory_limit is not None and not 0 <= options.memory_limit < math.inf:
        raise SolaError(f"--memory-limit {options.memory_limit}: expected GiB, 0 or more")
    requested = {
        "recipe": options.recipe,
        "features": [str(path.absolute()) for path in options.features],
        "annotations": None if options.annotations is None else str(options.annotations.absolute()),
        "subset": options.subset,
        **dataclasses.asdict(wanted),
    }
    if not may_begin(Run(options.out), requested, resume=options.resume, overwrite=options.overwrite, product=WEIGHTS):
        if not options.quiet:
            say(f"{options.out}: finished already, nothing to do")
        return
    features = options.reading.open(options.features)
    remarks = []
    if options.annotations is not None:
        annotations = read_annotations(options.annotations, options.label_key).subset(options.subset or "training")
        data = Dataset.open(features, annotations, id_prefix=options.reading.id_prefix)
        features = data.features.only(video.feature_id for video in data.videos)
        remarks.append(str(data))
    config, reasons = settle(wanted, features)
    remarks += [f"{name} = {getattr(config, name)}: {reason}" for name, reason in reasons.items()]
    skipped: dict[str, str] = {}
    train(
        features,
        config,
        options.out,
        requested=requested,
        reasons=reasons,
        remarks=remarks,
        resume=options.resume,
        overwrite=options.overwrite,
        track=options.track,
        memory_limit=None if options.memory_limit is None else int(options.memory_limit * 2**30),
        skipped=skipped,
        quiet=options.quiet,
    )
    report_skipped({**features.unreadable, **skipped})
    if not options.quiet:
        say(f"{options.out}: trained; next: sola transform {options.out} FEATURES --out DIR")
