"""A run is a folder: what is in it, when it may be begun, and how it is gone on with.

`config.json` holds all that repeats it, `metrics.jsonl` a row an epoch, `checkpoint/` what it goes on from, and its
product (a module's weights) is there when it is finished.
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

PRODUCTS = ("module.safetensors", "detector.safetensors", "best.safetensors")
"""Weights that a training leaves in its folder."""


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
        """A row an epoch; only ever appended to."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Weights, optimizer and counters in one file, so that they cannot disagree."""
        return self.folder / "checkpoint" / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the epoch with the lowest validation loss so far."""
        return self.folder / "best.safetensors"

    def exists(self) -> bool:
        """Whether there is anything in the folder, but for what a kill may have left half-written."""
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(not path.match(".*.tmp") for path in self.folder.iterdir())

    def is_run(self) -> bool:
        """Whether the folder holds a run, finished or not, and no stranger's files."""
        if not self.config.is_file():
            return False
        config = read_json(self.config, "a run's config")
        return isinstance(config, dict) and "requested" in config

    def clear(self) -> None:
        """Remove what a run writes, and nothing else; SolaError when it cannot be."""
        try:
            for name in (*PRODUCTS, "metrics.jsonl", "checkpoint/checkpoint.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
            for left in (*self.folder.glob(".*.tmp"), *self.folder.glob("checkpoint/.*.tmp")):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row to the log in a single write."""
        try:
            with self.log.open("a+b") as stream:
                # a machine that went down may have left a line cut short: it ends here
                stream.seek(max(stream.seek(0, os.SEEK_END) - 1, 0))
                torn = stream.read(1) not in (b"", b"\n")
                stream.write(("\n" * torn + json.dumps(row, allow_nan=False) + "\n").encode())
        except OSError as error:
            raise unwritable(self.log, error) from error

    def rows(self) -> list[dict[str, Any]]:
        """The log's rows; where an epoch was repeated after a resume, its last one stands."""
        if not self.log.exists():
            return []
        by_epoch: dict[int, dict[str, Any]] = {}
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):  # a line cut short when the machine went down
                continue
            if isinstance(row, dict) and "loss" in row and type(row.get("epoch")) is int:
                by_epoch[row["epoch"]] = row
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def may_begin(run: Run, wanted: Mapping[str, Any], *, resume: bool, overwrite: bool, product: str) -> bool:
    """Whether there is work to do in this folder, without touching it; False when the run is finished.

    `wanted` is what was asked for: a resumed run must have been asked for the same. `product` is the file that a
    finished run holds.

    Raises:
        SolaError: when the run exists and neither `resume` nor `overwrite` is given, when it was asked for something
            else, or when the folder holds something that is no run.
    """
    if resume and overwrite:
        raise SolaError("--resume and --overwrite: give one of them; the first goes on, the second starts again")
    if not run.exists():
        return True
    if not (resume or overwrite):
        raise SolaError(f"{run.folder}: exists already; go on with --resume, or start again with --overwrite")
    if not run.is_run():
        raise SolaError(f"{run.folder}: exists and is no run of sola's; choose another --out")
    if resume:
        must_agree(run, "requested", wanted)
        return not (run.folder / product).is_file()
    return True


def begin(run: Run, description: Mapping[str, Any], *, resume: bool) -> None:
    """Write the run's config, and clear what an earlier run left unless that is resumed.

    Raises:
        SolaError: when the checkpoint to be resumed stands on other features or another config, or the folder cannot
            be written.
    """
    if resume and run.checkpoint.is_file():
        for part in ("training", "features"):
            must_agree(run, part, description[part])
    else:
        run.clear()
    write_json(run.config, description)


def must_agree(run: Run, part: str, wanted: Mapping[str, Any]) -> None:
    """Raise SolaError, naming the value, unless that part of the run's config is what is wanted now."""
    config = read_json(run.config, "a run's config")
    before = config.get(part) if isinstance(config, dict) else None
    if not isinstance(before, dict):
        raise SolaError(f"{run.config}: not the config of a run; start again with --overwrite")
    for name, value in json.loads(json.dumps(wanted)).items():
        if before.get(name) != value:
            raise SolaError(
                f"{run.folder}: was begun with {part} {name}={before.get(name)}, now it is {value}; "
                "resume it as it was, or start again with --overwrite"
            )


def environment(device: torch.device, precision: str, processes: int = 1) -> dict[str, Any]:
    """Where a run was made: what its bits depend on."""
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
