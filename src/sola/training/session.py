"""`run_training`: the steps shared by all kinds of training."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from torch import nn

from sola.core.device import Device, Precision, choose_device, choose_precision
from sola.core.files import read_json
from sola.training.checkpoint import BestWeights
from sola.training.distributed import joined
from sola.training.run import Run, can_start, environment, start
from sola.training.tensorboard import require_tensorboard
from sola.training.trainer import Task, Trainer, evaluated_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Device, precision, folder and memory of a training run."""

    device: torch.device
    precision: Literal["fp32", "bf16"]
    folder: Path
    """Existing folder for temporary memory-mapped files."""
    free_memory: int
    """Free memory for each process on this machine (bytes)."""


@dataclass(frozen=True)
class Prepared:
    """A task and the description of its run."""

    task: Task[Any, Any]
    epochs: int
    description: Mapping[str, Any]
    """Entries of config.json; "training" and "features" must not change when the run is resumed."""
    notes: Sequence[str] = ()
    """Messages to log before training starts."""


@dataclass(frozen=True)
class Options:
    """Options of a run that do not change its result."""

    resume: bool = False
    """Whether to continue from the checkpoint if there is one, and do nothing if the run is finished."""
    overwrite: bool = False
    """Whether to replace an existing run."""
    tensorboard: bool = False
    """Whether to also write the log as TensorBoard event files."""
    quiet: bool = False
    """Whether to hide the progress bar."""


def run_training(
    out: Path,
    requested: Mapping[str, Any],
    prepare: Callable[[Place], Prepared],
    save: Callable[[nn.Module], None],
    *,
    product: str,
    device: Device,
    precision: Precision,
    options: Options,
) -> None:
    """Train in the folder `out`, unless it holds a finished run.

    Args:
        out: folder of the run.
        requested: settings requested by the user; a run can only be resumed with the same settings.
        prepare: function that reads the data and returns the task; called only if the run is not finished.
        save: function that writes the product of the trained model.
        product: name of the file that a finished run holds.
        device: device to train on.
        precision: precision of the forward pass.
        options: options that do not change the result.

    Raises:
        SolaError: if the run exists and cannot be resumed or overwritten, or if the folder cannot be written.
    """
    require_tensorboard(options.tensorboard)
    with joined(choose_device(device)) as processes:
        run = Run(out)
        if not can_start(run, requested, resume=options.resume, overwrite=options.overwrite, product=product):
            log.info("%s: already finished, nothing to do", out)
            return
        processes.wait()  # every process checks the folder before the main process writes to it
        chosen = choose_device(device)
        place = Place(
            chosen,
            choose_precision(precision, chosen),
            next(folder for folder in (out, *out.absolute().parents) if folder.is_dir()),
            int(psutil.virtual_memory().available / processes.local_count),
        )
        prepared = prepare(place)
        description = {
            "requested": dict(requested),
            **prepared.description,
            "environment": environment(place.device, place.precision, processes.count),
        }
        for note in (*prepared.notes, *_changes(run, description["environment"])):
            log.info("%s", note)
        if processes.leads:
            start(run, description, resume=options.resume)
        processes.wait()
        trainer = Trainer(run, place.device, place.precision, processes, options.tensorboard, options.quiet)
        trainer.fit(prepared.task, prepared.epochs, resume=options.resume)
        if processes.leads:
            model = evaluated_model(prepared.task)
            epoch = BestWeights(run.best).restore(model)
            if epoch is not None:
                log.info("selected epoch %d of %d, which has the lowest validation loss", epoch, prepared.epochs)
            save(model)
        processes.wait()


def fingerprint(header: object, arrays: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 hash of a header and the values of arrays."""
    digest = hashlib.sha256(repr(header).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def ids_digest(ids: Iterable[str]) -> str:
    """Return a short hash of video ids in this order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]


def _changes(run: Run, environment: Mapping[str, Any]) -> list[str]:
    """Describe the differences from the environment in which a resumed run was started."""
    if not (run.checkpoint.is_file() and run.is_run()):
        return []
    before = read_json(run.config, "a run's config").get("environment", {})
    changed = [f"{name} {before[name]}, now {now}" for name, now in environment.items() if before.get(name, now) != now]
    return [f"started with {'; '.join(changed)}: the result may differ by rounding"] if changed else []
