"""Dataset → trained detector."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from rich.console import Console

from sola.core.device import choose_device, choose_precision
from sola.core.files import existing
from sola.data.dataset import Dataset
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.actionformer.task import PointTraining
from sola.detectors.clips import Clips, cut
from sola.detectors.config import DetectorConfig
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.proposal_map.task import ProposalTraining
from sola.detectors.snippet_classifier import fit_snippet_classifier
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.training.distributed import Processes, joined
from sola.training.run import Run, begin, environment, may_begin, must_agree
from sola.training.tensorboard import Track, must_be_there
from sola.training.trainer import fit


def train_detector(
    data: Dataset,
    config: ProposalMapConfig | ActionFormerConfig,
    out: Path,
    *,
    train_subset: str = "training",
    validation_subset: str | None = None,
    requested: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    track: Track | None = None,
    skipped: dict[str, str] | None = None,
    quiet: bool = False,
) -> TrainedDetector:
    """Train a head on one subset, and write the run to `out`.

    With `validation_subset` the weights of the epoch of the lowest loss on it are kept, else those of the last epoch.
    Figures on a subset that chose the epoch are figures that were tuned on it.

    Args:
        data: features and annotations.
        config: head, clips, optimizer.
        out: the run's folder: config.json, metrics.jsonl, checkpoint/, and at the end detector.safetensors.
        train_subset: whose instances are learned.
        validation_subset: whose loss picks the epoch; none keeps the last.
        requested: what the user asked for, if that is not `config`.
        resume: go on from the run's checkpoint.
        overwrite: start again, whatever is there.
        track: also write the log's rows to RUN/tensorboard; the run itself does not depend on it.
        skipped: gets the reasons why videos with bad files were left out, by id in the features.
        quiet: no progress bar.

    Raises:
        SolaError: for bad input, a run that exists, or when no clip has an instance.
    """
    must_be_there(track)
    with joined(choose_device(config.device)) as processes:
        console = Console(stderr=True, quiet=quiet or not processes.leads, soft_wrap=True)
        run = Run(out)
        wanted = requested or dataclasses.asdict(config)
        subsets = {"train": train_subset, "validation": validation_subset}
        work = may_begin(run, wanted, resume=resume, overwrite=overwrite, product=WEIGHTS)
        if resume and run.is_run():
            must_agree(run, "subsets", subsets)
        if not work:
            console.print(f"{out}: finished already, nothing to do", markup=False, highlight=False)
            return TrainedDetector.load(out)
        processes.wait()  # all have looked at the folder before the first writes to it
        device = choose_device(config.device)
        precision = choose_precision(config.precision, device)
        clips = clips_of(data, train_subset, config, existing(out), processes.here, skipped)
        validation = None
        if validation_subset is not None:
            validation = clips_of(data, validation_subset, config, existing(out), processes.here, skipped)
        description: dict[str, Any] = {
            "sources": [str(stream.source) for stream in data.features.streams],
            "requested": wanted,
            "training": dataclasses.asdict(config),
            "subsets": subsets,
            "classes": list(data.classes),
            "features": {
                "clips": len(clips),
                "videos": len(clips.videos),
                "channels": clips.values.shape[1],
                "fingerprint": fingerprint(clips),
                "validation_fingerprint": None if validation is None else fingerprint(validation),
                "manifest": data.features.manifest.to_json(),
            },
            "environment": environment(device, precision, processes.count),
        }
        instances = sum(map(len, clips.instances))
        console.print(
            f"{len(clips)} clips of {len(clips.videos)} videos with {instances} instances, "
            f"{clips.values.shape[1]} channels"
        )
        classifier = None
        if config.classifier_epochs and data.classes and not config.knows_classes:
            # before the head: what it refuses is refused at once
            classifier = fit_snippet_classifier(data, train_subset, seed=config.seed, epochs=config.classifier_epochs)
        task = task_of(config, clips, len(data.classes), out, device, validation, processes)
        if processes.leads:
            begin(run, description, resume=resume)
        processes.wait()
        fit(
            task,
            task.optimizer(),
            run,
            epochs=config.epochs,
            device=device,
            precision=precision,
            schedule=task.rate,
            clip_norm=task.clip_norm,
            average=task.average,
            resume=resume,
            track=track,
            quiet=quiet,
        )
        if processes.leads:
            head, best = task.finished_head()
            if best is not None:
                told = f"kept epoch {best} of {config.epochs}, the one of the lowest loss on {validation_subset!r}"
                console.print(told, markup=False, highlight=False)
            detector = TrainedDetector(head, config, data.classes, data.features.manifest, classifier)
            detector.save_weights(out)
        processes.wait()
        return TrainedDetector.load(out)


def task_of(
    config: ProposalMapConfig | ActionFormerConfig,
    clips: Clips,
    classes: int,
    folder: Path,
    device: torch.device,
    validation: Clips | None,
    processes: Processes,
) -> ProposalTraining | PointTraining:
    """The task that trains the head of this config."""
    if isinstance(config, ActionFormerConfig):
        return PointTraining(config, clips, classes, folder, device, validation, processes)
    return ProposalTraining(config, clips, folder, device, validation, processes)


def clips_of(
    data: Dataset,
    subset: str,
    config: DetectorConfig,
    folder: Path,
    processes: int = 1,
    skipped: dict[str, str] | None = None,
) -> Clips:
    """Cut the clips of a subset that hold instances; what does not fit in memory is mapped from a file in `folder`.

    So many `processes` share the memory.

    Raises SolaError for an unknown subset, or one without features or instances.
    """
    limit = int(0.4 * psutil.virtual_memory().available / processes)
    return cut(
        data.subset(subset), config.clipping(), keep_empty=False, memory_limit=limit, folder=folder, skipped=skipped
    )


def fingerprint(clips: Clips) -> str:
    """A digest of every value, where the clips lie, and their instances."""
    digest = hashlib.sha256(repr((clips.videos, clips.placements, clips.values.dtype.str)).encode())
    for i in range(len(clips)):
        digest.update(np.ascontiguousarray(clips.clip(i)).data)
        digest.update(clips.instances[i].numpy().tobytes())
        digest.update(clips.labels[i].numpy().tobytes())
    return digest.hexdigest()
