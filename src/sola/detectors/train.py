"""Train a detector on features and annotations."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from sola.core.errors import SolaError
from sola.core.log import counted
from sola.data.dataset import Dataset
from sola.data.findings import seen_labels, unseen_classes
from sola.data.snippet_labels import most_classes_together
from sola.data.summary import lines_of, summaries_json
from sola.detectors import detector_family
from sola.detectors.base import Detector, DetectorConfig
from sola.detectors.clips import Clips, cut, outside_clips
from sola.detectors.snippet_classifier import SnippetClassifier, fit_snippet_classifier
from sola.detectors.task import DetectionTask
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.training.session import Options, Place, Prepared, fingerprint, ids_digest, run_training

MEMORY_SHARE = 0.4
"""Largest share of the free memory used for clips; larger clips are mapped from a file."""


def train_detector(
    data: Dataset,
    model: DetectorConfig | str = "bmn",
    recipe: str = "anet",
    out: Path | str = "detector",
    *,
    validation: Dataset | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    skipped: dict[str, str] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> TrainedDetector:
    """Train a detector on all annotated videos of `data`, and write the run to `out`.

    With `validation`, the detector has the weights of the epoch with the lowest validation loss, otherwise those of the
    last epoch. Do not evaluate it on the videos that selected the epoch.

    Args:
        data: features [time, channels] with annotations.
        model: a name in `sola.DETECTORS`, or a config, for which `recipe` is ignored.
        recipe: name of a recipe of the detector.
        out: folder of the run. It holds config.json, metrics.jsonl, checkpoint/ and, after training,
            detector.safetensors.
        validation: videos whose loss selects the epoch, or None for the last epoch.
        resume: continue from the checkpoint if there is one; do nothing if the run is finished.
        overwrite: replace an existing run.
        tensorboard: also write the log to out/tensorboard.
        skipped: dictionary that receives the reason for each skipped video with a bad file, by id in the features.
        quiet: show no progress bar.
        settings: fields of the config that override those of the recipe.

    Returns:
        The trained detector, loaded from `out`.

    Raises:
        SolaError: if the input is invalid, a value is out of range, the run exists already, or no clip has an instance.

    Examples:
        >>> import sola
        >>> data = sola.Dataset.open("softened", "annotations.json").subset("training")
        >>> settings = {"epochs": 1, "warmup_epochs": 0}
        >>> detector = sola.train_detector(data, "temporalmaxer", "quick", out="trained", quiet=True, **settings)
        >>> detector.config.model, detector.classes
        ('temporalmaxer', ('action_0', 'action_1'))
    """
    out = Path(out)
    if data.annotations is None:
        raise SolaError("the data set has no annotations; open it with Dataset.open(features, annotations)")
    config = detector_family(model).recipe(recipe) if isinstance(model, str) else model
    config = dataclasses.replace(config, **settings)
    classes = data.classes
    classifier: SnippetClassifier | None = None

    def prepare(place: Place) -> Prepared:
        nonlocal classifier, config
        limit = int(MEMORY_SHARE * place.free_memory)

        bad: dict[str, str] = {} if skipped is None else skipped
        clips_of = partial(
            cut, clipping=config.clipping(), keep_empty=False, memory_limit=limit, folder=place.folder, skipped=bad
        )
        clips = clips_of(data)
        held_out = None if validation is None else clips_of(validation)
        if config.classifier_epochs and classes and not config.predicts_classes:
            # fit the classifier before the detector, so that bad input fails early
            epochs = config.classifier_epochs
            classifier = fit_snippet_classifier(data, seed=config.seed, epochs=epochs, device=place.device)
        summaries = [data.without(bad).summary.plus(*outside_clips(data, config.clipping()))]
        if validation is not None:
            unused = (*outside_clips(validation, config.clipping()), *unseen_classes(data, validation))
            summaries.append(validation.without(bad).summary.plus(*unused))
        config, class_notes = _with_all_classes(config, data)
        description = {
            "data": summaries_json(*summaries),
            "sources": list(dict.fromkeys(str(stream.source) for stream in data.features.streams)),
            "training": dataclasses.asdict(config),
            "classes": list(classes),
            "trained_classes": [classes[label] for label in sorted(seen_labels(data))],
            "features": {
                "clips": len(clips),
                "videos": len(clips.videos),
                "channels": clips.values.shape[1],
                "fingerprint": _fingerprint(clips),
                "validation_fingerprint": None if held_out is None else _fingerprint(held_out),
                "snippet_period": data.snippet_period,
                "manifest": data.features.manifest.to_json(),
            },
        }
        notes = [
            f"{counted(len(clips), 'clip')} of {counted(len(clips.videos), 'video')} with "
            f"{counted(sum(map(len, clips.instances)), 'instance')}, {counted(clips.values.shape[1], 'channel')}",
            *class_notes,
        ]
        task = DetectionTask(config, clips, len(classes), place.device, held_out)
        return Prepared(task, config.epochs, description, [*lines_of(*summaries), *notes])

    def save(trained: nn.Module) -> None:
        assert isinstance(trained, Detector)
        TrainedDetector(trained, config, classes, data.features.manifest, classifier).save_weights(out)

    run_training(
        out,
        {
            "features": data.features.locations,
            "annotations": None if data.annotations.source is None else str(data.annotations.source.absolute()),
            "label_key": data.annotations.label_key,
            "videos": ids_digest(video.id for video in data.videos),
            "validation": None if validation is None else ids_digest(video.id for video in validation.videos),
            **dataclasses.asdict(config),
        },
        prepare,
        save,
        product=WEIGHTS,
        device=config.device,
        precision=config.precision,
        options=Options(resume, overwrite, tensorboard, quiet),
    )
    return TrainedDetector.load(out)


def _with_all_classes(config: DetectorConfig, data: Dataset) -> tuple[DetectorConfig, list[str]]:
    """Return the config with enough classes per proposal for those that share an annotated instance, and log notes.

    Classes that share an instance are about equally likely, so with fewer classes per proposal some would be missing
    from every proposal. With an external classifier (no classifier epochs), the published number does not change.
    """
    most, count = 0 if config.predicts_classes else most_classes_together(data), config.classes_per_proposal
    if most <= count:
        return config, []
    note = f"up to {most} classes share an annotated instance"
    if config.classifier_epochs == 0:
        return config, [f"{note}, but each proposal gets {count}; to assign all, pass --classes-per-proposal {most}"]
    return dataclasses.replace(config, classes_per_proposal=most), [f"{note}: each proposal gets {most}, not {count}"]


def _fingerprint(clips: Clips) -> str:
    """Return a hash of the features, placements and instances of all clips."""
    examples = map(clips.example, range(len(clips)))
    arrays = (part for values, *parts in examples for part in (values, *(tensor.numpy() for tensor in parts)))
    return fingerprint((clips.videos, clips.placements, clips.values.dtype.str), arrays)
