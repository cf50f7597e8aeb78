"""FeatureSet → trained SoLa, without labels."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import torch
from rich.console import Console

from sola.core.device import choose_device, choose_precision
from sola.core.errors import SolaError
from sola.core.files import existing, read_json
from sola.data.features import FeatureSet
from sola.data.ragged import PackedFeatures, pack
from sola.softlanding.config import TrainingConfig
from sola.softlanding.network import WEIGHTS, SoLa
from sola.softlanding.task import SimilarityMatching
from sola.training.distributed import joined
from sola.training.run import Run, begin, environment, may_begin
from sola.training.tensorboard import Track, must_be_there
from sola.training.trainer import fit


def train(
    features: FeatureSet,
    config: TrainingConfig,
    out: Path,
    *,
    requested: Mapping[str, Any] | None = None,
    reasons: Mapping[str, str] | None = None,
    remarks: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    track: Track | None = None,
    memory_limit: int | None = None,
    skipped: dict[str, str] | None = None,
    quiet: bool = False,
) -> SoLa:
    """Train a SoLa module on all videos of `features` that are as long as a window, and write the run to `out`.

    Args:
        features: per-video arrays [time, channels].
        config: with every "auto" settled (`sola.softlanding.recipes.settle`).
        out: the run's folder: config.json, metrics.jsonl, checkpoint/, and at the end module.safetensors.
        requested: what the user asked for, if that is not `config`: a resumed run must have been asked for the same.
        reasons: why what was "auto" became what it is; kept in config.json.
        remarks: lines for the person, said once it is sure that training begins.
        resume: go on from the run's checkpoint; start afresh where there is none; do nothing if it is finished.
        overwrite: start again, whatever is there.
        track: also write the log's rows to RUN/tensorboard; the run itself does not depend on it.
        memory_limit: bytes that the features may take in each process; above, they are mapped from a file without a
            name beside `out`, which vanishes with the process. By default 60 % of what is free.
        skipped: gets the reasons why videos with bad files were left out, by id, if the features skip them.
        quiet: no progress bar.

    Raises:
        SolaError: for bad features, an open "auto", a run that exists, or no video as long as a window.
    """
    config.must_be_settled()
    must_be_there(track)
    with joined(choose_device(config.device)) as processes:
        console = Console(stderr=True, quiet=quiet or not processes.leads, soft_wrap=True)
        run = Run(out)
        wanted = requested or dataclasses.asdict(config)
        if not may_begin(run, wanted, resume=resume, overwrite=overwrite, product=WEIGHTS):
            console.print(f"{out}: finished already, nothing to do")
            return SoLa.from_pretrained(out)
        processes.wait()  # all have looked at the folder before the first writes to it
        device = choose_device(config.device)
        precision = choose_precision(config.precision, device)
        if memory_limit is None:
            memory_limit = int(0.6 * psutil.virtual_memory().available / processes.here)
        packed = pack(features, memory_limit, existing(out), skipped=skipped)
        short = int((packed.lengths < config.window).sum())
        if short == len(packed.videos):
            raise SolaError(
                f"no video is as long as a training window: the longest has {packed.lengths.max()} snippets, "
                f"the window {config.window} ({config.positions} positions at step {config.step} and a margin of "
                f"{config.margin}); "
                "take a smaller --step"
            )
        task = SimilarityMatching(config, packed, device, processes)
        optimizer = torch.optim.AdamW(
            task.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        description: dict[str, Any] = {
            "sources": [str(stream.source) for stream in features.streams],
            "requested": wanted,
            "module": task.model.module.config(),
            "training": dataclasses.asdict(config),
            "chosen": dict(reasons or {}),
            "features": {
                "videos": len(packed.videos),
                "snippets": int(packed.lengths.sum()),
                "too_short": short,
                "fingerprint": fingerprint(packed),
                "manifest": features.manifest.to_json(),
            },
            "environment": environment(device, precision, processes.count),
        }
        for remark in (*remarks, *_remarks(run, packed, config, short, description["environment"])):
            console.print(remark, markup=False, highlight=False)
        if processes.leads:
            begin(run, description, resume=resume)
        processes.wait()
        fit(
            task,
            optimizer,
            run,
            epochs=cast(int, config.epochs),
            device=device,
            precision=precision,
            resume=resume,
            track=track,
            quiet=quiet,
        )
        if processes.leads:
            task.model.module.save_weights(out)
        processes.wait()
        return SoLa.from_pretrained(out)


def _remarks(
    run: Run, packed: PackedFeatures, config: TrainingConfig, short: int, environment: Mapping[str, Any]
) -> list[str]:
    """What somebody would want to know before an hour of training."""
    lengths = packed.lengths
    said = [
        f"{len(lengths)} videos of {lengths.min()} to {lengths.max()} snippets, {packed.values.shape[1]} channels; "
        f"a window is {config.window} snippets"
    ]
    if short:
        said.append(
            f"{short} of {len(lengths)} videos are shorter than the window of {config.window} snippets: left out"
        )
    if run.checkpoint.is_file() and run.is_run():
        before = read_json(run.config, "a run's config").get("environment", {})
        changed = [
            f"{name} {before[name]}, now {now}" for name, now in environment.items() if before.get(name, now) != now
        ]
        if changed:
            said.append(f"begun with {'; '.join(changed)}: the result may differ in its last bits")
    return said


def fingerprint(packed: PackedFeatures) -> str:
    """A digest of ids, lengths and every value: features with the same one are the same features."""
    digest = hashlib.sha256(repr((packed.videos, packed.lengths.tolist(), packed.values.dtype.str)).encode())
    for i in range(len(packed.videos)):
        digest.update(np.ascontiguousarray(packed.video(i)).data)
    return digest.hexdigest()
