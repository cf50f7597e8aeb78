"""`run_training`: the steps that all trainings share around their data and task."""

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
from sola.training.trainer import Task, Trainer, kept_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a training runs."""

    device: torch.device
    precision: Literal["fp32", "bf16"]
    folder: Path
    """An existing folder for unnamed memory-mapped files."""
    free_memory: int
    """Free memory of each process on this machine, in bytes."""


@dataclass(frozen=True)
class Prepared:
    """A task, and what describes its run."""

    task: Task[Any, Any]
    epochs: int
    description: Mapping[str, Any]
    """Entries of config.json; "training" and "features" must be the same when the run is resumed."""
    notes: Sequence[str] = ()
    """Messages to log before training starts."""


@dataclass(frozen=True)
class Options:
    """Options of a run that do not change its result."""

    resume: bool = False
    """Continue from the run's checkpoint; start where there is none; do nothing if the run is finished."""
    overwrite: bool = False
    """Start again where a run exists."""
    tensorboard: bool = False
    """Also write the log's rows as TensorBoard event files."""
    quiet: bool = False
    """Show no progress bar."""


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
    """Train in the folder `out` unless it holds the finished run.

    Args:
        out: folder of the run.
        requested: settings that the user asked for; a run can only be resumed with the same.
        prepare: reads the data and returns the task; called only if the run is not finished.
        save: writes the product from the trained model.
        product: file that a finished run holds.
        device: device of the training.
        precision: precision of the predictions.
        options: resume, overwrite, and what is shown.

    Raises SolaError if the run exists and cannot be resumed or overwritten, or the folder cannot be written.
    """
    require_tensorboard(options.tensorboard)
    with joined(choose_device(device)) as processes:
        run = Run(out)
        if not can_start(run, requested, resume=options.resume, overwrite=options.overwrite, product=product):
            log.info("%s: finished already, nothing to do", out)
            return
        processes.wait()  # all have looked at the folder before the first writes to it
        chosen = choose_device(device)
        place = Place(
            chosen,
            choose_precision(precision, chosen),
            next(folder for folder in (out, *out.absolute().parents) if folder.is_dir()),
            int(psutil.virtual_memory().available / processes.here),
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
            model = kept_model(prepared.task)
            epoch = BestWeights(run.best).restore(model)
            if epoch is not None:
                log.info("kept epoch %d of %d, which has the lowest validation loss", epoch, prepared.epochs)
            save(model)
        processes.wait()


def fingerprint(header: object, arrays: Iterable[np.ndarray]) -> str:
    """Return a digest of a header and of all values: data with the same digest are the same."""
    digest = hashlib.sha256(repr(header).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def ids_digest(ids: Iterable[str]) -> str:
    """Return a short digest of the ids of videos, in their order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]


def _changes(run: Run, environment: Mapping[str, Any]) -> list[str]:
    """Describe the differences from the machine on which a resumed run was started."""
    if not (run.checkpoint.is_file() and run.is_run()):
        return []
    before = read_json(run.config, "a run's config").get("environment", {})
    changed = [f"{name} {before[name]}, now {now}" for name, now in environment.items() if before.get(name, now) != now]
    return [f"started with {'; '.join(changed)}: the result may differ in its last bits"] if changed else []
