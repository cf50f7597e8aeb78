"""A run: the folder of one training.

`config.json` has all that is needed to repeat the run, `metrics.jsonl` a row per epoch, and `checkpoint/` the state to
resume from. A finished run holds its product, such as the weights of a module.
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
"""Files of weights in a run's folder."""


@dataclass
class Run:
    """The folder of one training run."""

    folder: Path

    @property
    def config(self) -> Path:
        """All that is needed to repeat the run."""
        return self.folder / "config.json"

    @property
    def log(self) -> Path:
        """JSON lines, a row per epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Weights, optimizer and counters in one file."""
        return self.folder / "checkpoint" / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the epoch with the lowest validation loss so far."""
        return self.folder / "best.safetensors"

    def exists(self) -> bool:
        """Whether the folder holds anything but temporary files of a run that was killed."""
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(not path.match(".*.tmp") for path in self.folder.iterdir())

    def is_run(self) -> bool:
        """Whether the folder holds a run, finished or not."""
        if not self.config.is_file():
            return False
        config = read_json(self.config, "a run's config")
        return isinstance(config, dict) and "requested" in config

    def clear(self) -> None:
        """Remove the files that a run writes, and nothing else. Raises SolaError if that fails."""
        try:
            for name in (*PRODUCTS, "metrics.jsonl", "checkpoint/checkpoint.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
            for left in (*self.folder.glob(".*.tmp"), *self.folder.glob("checkpoint/.*.tmp")):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row to the log in a single write."""
        append_row(self.log, row)

    def rows(self) -> list[dict[str, Any]]:
        """The log's rows in order of epoch; of an epoch that was repeated after a resume, the last row."""
        rows = [row for row in read_rows(self.log) if "loss" in row and type(row.get("epoch")) is int]
        by_epoch = {row["epoch"]: row for row in rows}
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def can_start(run: Run, requested: Mapping[str, Any], *, resume: bool, overwrite: bool, product: str) -> bool:
    """Return whether there is work to do in this folder; False if the run is finished. Nothing is written.

    `requested` is what the user asked for, `product` the file that a finished run holds.

    Raises SolaError if the run exists and neither `resume` nor `overwrite` is given, if the run to be resumed has other
    settings, or if the folder holds anything but a run.
    """
    if resume and overwrite:
        raise SolaError("--resume and --overwrite: pass one of them; the first continues, the second starts again")
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
    """Write the run's config, and remove the files of an earlier run unless it is resumed.

    Raises SolaError if the checkpoint is of other features or settings, or the folder cannot be written.
    """
    if resume and run.checkpoint.is_file():
        for part in ("training", "features"):
            check_agreement(run, part, description[part])
    else:
        run.clear()
    write_json(run.config, description)


def check_agreement(run: Run, part: str, wanted: Mapping[str, Any]) -> None:
    """Raise SolaError, naming the value, unless the run's config has these values in this part."""
    config = read_json(run.config, "a run's config")
    before = config.get(part) if isinstance(config, dict) else None
    if not isinstance(before, dict):
        raise SolaError(f"{run.config}: not the config of a run; start again with --overwrite")
    for name, value in json.loads(json.dumps(wanted)).items():
        if before.get(name) != value:
            raise SolaError(
                f"{run.folder}: was started with {part} {name}={before.get(name)}, now it is {value}; "
                "resume it as it was, or start again with --overwrite"
            )


def environment(device: torch.device, precision: str, processes: int = 1) -> dict[str, Any]:
    """Return the software and hardware that the exact result of a run depends on."""
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
