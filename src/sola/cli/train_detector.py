"""`sola train-detector`."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.cli.config_flags import ConfigFlags, config_flags, field_owners
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.detectors import DETECTORS, detector_family
from sola.detectors.base import DetectorConfig

FAMILIES = {model: detector_family(model) for model in DETECTORS}
CONFIGS = {model: family.config for model, family in FAMILIES.items()}
COMMON = ("epochs", "batch_size", "learning_rate", "seed", "device")
"""Settings that `--help` shows."""
RECIPES = tuple(dict.fromkeys(recipe for family in FAMILIES.values() for recipe in family.recipes))

if TYPE_CHECKING:
    from sola.data.dataset import Dataset
    from sola.detectors.clips import Clipping

    DetectorFlags = ConfigFlags
else:
    DetectorFlags = config_flags(CONFIGS, options.TRAINING, COMMON, without=("model",))

log = logging.getLogger(__name__)


def train_detector(
    features: options.Features,
    /,
    *,
    annotations: options.AnnotationFile,
    train_subset: options.TrainSubset = "training",
    validation_subset: Annotated[
        str | None,
        Parameter(
            group=options.MORE,
            help="Subset whose loss selects the best epoch; report results on another one. Without it, the last epoch "
            "is taken.",
        ),
    ] = None,
    label_key: options.LabelKey = "label",
    reading: options.Reading = options.Reading(),
    model: Annotated[str, Parameter(group=options.TRAINING, choices=tuple(DETECTORS))],
    recipe: Annotated[str, Parameter(group=options.TRAINING, choices=RECIPES)] = "anet",
    flags: DetectorFlags = DetectorFlags(),
    timing: options.Timing = options.Timing(),
    explain: Annotated[str | None, Parameter(metavar="VIDEO")] = None,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="RUN")],
    writing: options.RunWriting = options.RunWriting(),
) -> None:
    """Run `sola train-detector`.

    Args:
        model: Detector to train.
        recipe: Named settings, as published where the authors have published them (see docs/guides/detectors.md).
        explain: Print how frames of this video become seconds and detector units, and back; do not train.
        out: Folder of the run.
    """
    from sola.detectors.train import train_detector as train

    show_log(writing.quiet)
    config = configured(model, recipe, flags)
    data = reading.dataset(features, annotations, label_key, timing.given())
    if explain is not None:
        print(explained(explain, data, config.clipping()))
        options.report_data(data.summary)
        return
    skipped: dict[str, str] = {}
    train(
        data.subset(train_subset),
        config,
        out=out,
        validation=None if validation_subset is None else data.subset(validation_subset),
        skipped=skipped,
        **vars(writing),
    )
    options.report_skipped(data.features.unreadable, skipped)
    log.info("next: sola detect %s FEATURES --out detections.json", out)


def configured(model: str, recipe: str, flags: ConfigFlags) -> DetectorConfig:
    """Return the config of a recipe, changed by the flags. Raises SolaError for a flag of another model."""
    owners = field_owners(CONFIGS)
    given = flags.given()
    for field in given:
        if model not in owners[field]:
            flag = field.replace("_", "-")
            raise SolaError(f"--{flag}: {model} has no such setting, only {', '.join(owners[field])}")
    return dataclasses.replace(FAMILIES[model].recipe(recipe), **given)


def explained(name: str, data: "Dataset", clipping: "Clipping") -> str:
    """Return the text of --explain. Raises SolaError for an unknown video."""
    from sola.detectors.explain import explain

    for video in data.videos:
        if name in (video.feature_id, video.id):
            return explain(video, clipping)
    raise SolaError(
        f"--explain {name}: no such video; expected one of {len(data)}, such as {data.videos[0].feature_id}"
    )
