"""`sola train-detector`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from cyclopts import Parameter

from sola.cli.config_flags import ConfigFlags, config_flags, field_owners
from sola.cli.console import report_skipped, say
from sola.cli.options import (
    INPUTS,
    OUTPUT,
    TRAINING,
    AnnotationFile,
    Features,
    LabelKey,
    Overwrite,
    Quiet,
    Reading,
    Resume,
    TensorBoard,
    Timing,
    TrainSubset,
)
from sola.core.errors import SolaError
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.config import DetectorConfig
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.recipes import DETECTOR_RECIPES, DetectorName, DetectorRecipe

MODELS = get_args(DetectorName)
CONFIGS = {model: type(DETECTOR_RECIPES[model, "anet"]()) for model in MODELS}
"""The config class of each detector."""

if TYPE_CHECKING:
    from sola.data.annotations import Annotations
    from sola.data.features import FeatureSet

    DetectorFlags = ConfigFlags
else:
    DetectorFlags = config_flags(CONFIGS, TRAINING, without=("head",))


def train_detector(
    features: Features,
    /,
    *,
    annotations: AnnotationFile,
    train_subset: TrainSubset = "training",
    validation_subset: Annotated[
        str | None,
        Parameter(
            group=INPUTS,
            help="Subset whose loss selects the epoch that is kept; results on it are then tuned. Without it, the last "
            "epoch is kept.",
        ),
    ] = None,
    label_key: LabelKey = "label",
    reading: Reading = Reading(),
    model: Annotated[DetectorName, Parameter(group=TRAINING)],
    recipe: Annotated[DetectorRecipe, Parameter(group=TRAINING)] = "anet",
    flags: DetectorFlags = DetectorFlags(),
    timing: Timing = Timing(),
    explain: Annotated[str | None, Parameter(metavar="VIDEO")] = None,
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="RUN")],
    resume: Resume = False,
    overwrite: Overwrite = False,
    tensorboard: TensorBoard = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola train-detector`.

    Args:
        model: Detector to train.
        recipe: Named settings. anet: as published; hacs, thumos, gtea: ours where nothing is published.
        explain: Train nothing; print how this video gets from frames to seconds to units of the detector, and back.
        out: Folder of the run.
    """
    from sola.data.annotations import read_annotations
    from sola.detectors.train import train_detector as train
    from sola.detectors.trained import WEIGHTS
    from sola.training.run import Run, may_begin

    config = configured(model, recipe, flags)
    requested = {
        "recipe": recipe,
        "features": [str(path.absolute()) for path in features],
        "annotations": str(annotations.absolute()),
        "subset": train_subset,
        "validation": validation_subset,
        "label_key": label_key,
        **dataclasses.asdict(config),
    }
    if explain is not None:
        opened = timing.fill(reading.open(features))
        print(explained(explain, opened, read_annotations(annotations, label_key), config, reading.id_prefix))
        return
    if not may_begin(Run(out), requested, resume=resume, overwrite=overwrite, product=WEIGHTS):
        if not quiet:
            say(f"{out}: finished already, nothing to do")
        return
    annotated = read_annotations(annotations, label_key)
    opened = timing.fill(reading.open(features))
    train(
        opened,
        annotated,
        config,
        out,
        train_subset=train_subset,
        validation_subset=validation_subset,
        id_prefix=reading.id_prefix,
        requested=requested,
        resume=resume,
        overwrite=overwrite,
        track="tensorboard" if tensorboard else None,
        quiet=quiet,
    )
    report_skipped(opened.skipped)
    if not quiet:
        say(f"{out}: trained; next: sola detect {out} FEATURES --out detections.json")


def configured(
    model: DetectorName, recipe: DetectorRecipe, flags: ConfigFlags
) -> ProposalMapConfig | ActionFormerConfig:
    """Return the config of the recipe with the flags; SolaError for a flag of other models."""
    owners = field_owners(CONFIGS)
    given = flags.given()
    for field in given:
        if model not in owners[field]:
            flag = field.replace("_", "-")
            raise SolaError(f"--{flag}: {model} has no such setting, only {', '.join(owners[field])}")
    return dataclasses.replace(DETECTOR_RECIPES[model, recipe](), **given)


def explained(
    video: str, features: "FeatureSet", annotations: "Annotations", config: DetectorConfig, id_prefix: str | None
) -> str:
    """Return what --explain prints; SolaError when there is no such video."""
    from sola.data.ids import match_videos
    from sola.detectors.explain import explain

    matched = match_videos(features.videos, annotations.videos, id_prefix).videos
    for feature_id, annotated_id in matched.items():
        if video in (feature_id, annotated_id):
            return explain(features, feature_id, annotations.videos[annotated_id], config.clipping())
    raise SolaError(f"--explain {video}: no such video; expected one of {len(matched)}, such as {min(matched)}")
