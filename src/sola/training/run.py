"""A run: the folder of a training run.

`config.json` has everything needed to repeat the run, `metrics.jsonl` has one row per epoch, and `checkpoint/` has the
state to resume from. A finished run also has a product, for example the weights of a module.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sola.core.errors import SolaError
from sola.core.files import read_json, unwritable, write_json
from sola.data.journal import append_row, read_rows

PRODUCTS = ("module.safetensors", "detector.safetensors", "best.safetensors")
"""Names of the weight files in the folder of a run."""


@dataclass
class Run:
    """The folder of a training run."""

    folder: Path

    @property
    def config(self) -> Path:
        """File with everything needed to repeat the run."""
        return self.folder / "config.json"

    @property
    def log(self) -> Path:
        """Log file in JSON lines format, with one row per epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """File with weights, optimizer state and counters."""
        return self.folder / "checkpoint" / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """File with the weights of the epoch with the lowest validation loss so far."""
        return self.folder / "best.safetensors"

    def exists(self) -> bool:
        """Return whether the folder holds anything except temporary files of a killed run."""
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(not path.match(".*.tmp") for path in self.folder.iterdir())

    def is_run(self) -> bool:
        """Return whether the folder holds a run, finished or not."""
        if not self.config.is_file():
            return False
        config = read_json(self.config, "a run's config")
        return isinstance(config, dict) and "requested" in config

    def clear(self) -> None:
        """Remove only the files that a run writes. Raises SolaError if that fails."""
        try:
            for name in (*PRODUCTS, "metrics.jsonl", "checkpoint/checkpoint.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
            for temporary in (*self.folder.glob(".*.tmp"), *self.folder.glob("checkpoint/.*.tmp")):
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row to the log in a single write."""
        append_row(self.log, row)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the log, sorted by epoch; an epoch repeated after a resume has only its last row."""
        rows = [row for row in read_rows(self.log) if "loss" in row and type(row.get("epoch")) is int]
        by_epoch = {row["epoch"]: row for row in rows}
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def can_start(run: Run, requested: Mapping[str, Any], *, resume: bool, overwrite: bool, product: str) -> bool:
    """Return True if a training should start in this folder, or False if the run is finished. Write nothing.

    Args:
        run: the folder.
        requested: settings requested by the user.
        resume: continue an existing run.
        overwrite: replace an existing run.
        product: name of the file that a finished run holds.

    Raises:
        SolaError: if the run exists and neither `resume` nor `overwrite` is set, if the run to resume has other
            settings, or if the folder exists and is not a run.
    """
    if resume and overwrite:
        raise SolaError("--resume and --overwrite: pass one of them; --resume continues, --overwrite starts again")
    if not run.exists():
        return True
    if not (resume or overwrite):
        raise SolaError(f"{run.folder}: exists already; continue with --resume, or start again with --overwrite")
    if not run.is_run():
        raise SolaError(f"{run.folder}: exists and is not a run of sola; choose another --out")
    if resume:
        check_agreement(run, "requested", requested)
        return not (run.folder / product).is_file()
    return True


def start(run: Run, description: Mapping[str, Any], *, resume: bool) -> None:
    """Write the config of the run, and remove the files of an earlier run unless it is resumed.

    Raises:
        SolaError: if the checkpoint was trained on other features or with other settings, or if the folder cannot be
            written.
    """
    if resume and run.checkpoint.is_file():
        for part in ("training", "features"):
            check_agreement(run, part, description[part])
    else:
        run.clear()
    write_json(run.config, description)


def check_agreement(run: Run, part: str, wanted: Mapping[str, Any]) -> None:
    """Raise SolaError if a part of the run's config differs from `wanted`; the message names the first difference."""
    config = read_json(run.config, "a run's config")
    before = config.get(part) if isinstance(config, dict) else None
    if not isinstance(before, dict):
        raise SolaError(f"{run.config}: not the config of a run; start again with --overwrite")
    for name, value in json.loads(json.dumps(wanted)).items():
        if before.get(name) != value:
            raise SolaError(
                f"{run.folder}: was started with {part} {name}={before.get(name)}, now it is {value}; "
                "resume with the same value, or start again with --overwrite"
            )


def environment(device: torch.device, precision: str, processes: int = 1) -> dict[str, Any]:
    """Return the software and hardware that can affect the exact result of a run."""
    return {
        "sola": version("sola-tal"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "precision": precision,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
