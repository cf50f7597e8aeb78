"""JJBOY's BMN: `BMN_Train`, `BMN_inference` and `BMN_post_processing` of its `main.py`, on a CPU, from a clone.

Only what needs a GPU, many processes or ActivityNet's files is replaced: `.cuda()`, the loaders' processes, and the
evaluation. Its learning rate: `scheduler.step()` comes before an epoch, which in the PyTorch 0.4.1 that it names has
no effect on the first; since PyTorch 1.1 everything is an epoch earlier, so `step_size` is one more here.
"""

import functools
import importlib
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from parity.settings import JJBOYConfig
from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.segments import Segments
from sola.detectors.clips import rescale

FRAMES = 1600
"""Frames of every video, all with features; a multiple of 16, to which the program rounds."""


def write(data: Dataset, length: int, folder: Path) -> None:
    """Write videos, annotations and rescaled features as the program reads them."""
    features = folder / f"csv_mean_{length}"
    features.mkdir(parents=True)
    names, annotations = ["video,subset"], {}
    for video in data.videos:
        name = f"v_{video.id}"
        header = ",".join(map(str, range(data.features.channels)))
        values = rescale(data.read(video).astype(np.float32), length)
        np.savetxt(features / f"{name}.csv", values, "%.9g", ",", header=header, comments="")
        pairs = zip(video.segments.start.tolist(), video.segments.end.tolist(), strict=True)
        names.append(f"{name},{'train' if video.subset == 'training' else video.subset}")
        annotations[name] = {
            "duration_frame": FRAMES,
            "feature_frame": FRAMES,
            "duration_second": video.grid.edge(video.length),
            "annotations": [{"segment": pair} for pair in pairs],
        }
    (folder / "videos.csv").write_text("\n".join(names) + "\n")
    write_json(folder / "annotations.json", annotations)


def configuration(config: JJBOYConfig, data: Dataset, folder: Path, out: Path) -> dict[str, Any]:
    """Return our settings as the program's options, for what `write` wrote."""
    return {
        "checkpoint_path": str(out),
        "training_lr": config.learning_rate,
        "weight_decay": config.weight_decay,
        "train_epochs": config.epochs,
        "batch_size": config.batch_size,
        "step_size": config.decay_every + 1,
        "step_gamma": 0.1,
        "video_info": str(folder / "videos.csv"),
        "video_anno": str(folder / "annotations.json"),
        "feature_path": f"{folder}/",
        "temporal_scale": config.length,
        "num_sample": config.samples,
        "num_sample_perbin": 3,
        "prop_boundary_ratio": 0.5,
        "feat_dim": data.features.channels,
        "post_process_thread": 1,
        "soft_nms_alpha": config.sigma,
        "soft_nms_low_thres": config.low,
        "soft_nms_high_thres": config.high,
        "result_file": str(out / "proposals.json"),
    }


@contextmanager
def program(clone: Path) -> Iterator[tuple[Any, list[float]]]:
    """Import `main.py`, and forget it afterwards; the list gets the mean training loss of each epoch."""
    evaluation = types.ModuleType("eval")
    evaluation.evaluation_proposal = None  # type: ignore[attr-defined]
    here = (
        patch.object(torch.Tensor, "cuda", lambda self: self),
        patch.object(torch.nn.Module, "cuda", lambda self: self),
    )
    with here[0], here[1], patch.object(sys, "path", [str(clone), *sys.path]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the order of scheduler and optimizer
        sys.modules["eval"] = evaluation
        try:
            main: Any = importlib.import_module("main")
            losses: list[float] = []
            main.train_BMN = recording(main, losses)
            yield main, losses
        finally:
            theirs = [
                name for name, at in sys.modules.items() if str(getattr(at, "__file__", "")).startswith(str(clone))
            ]
            for name in ("eval", *theirs):
                del sys.modules[name]


def run(clone: Path, config: JJBOYConfig, data: Dataset, seed: int, folder: Path, out: Path) -> Any:
    """Train and detect; return the mean loss of each epoch, and the proposals of each validation video."""
    if not (folder / "bmn").is_dir():
        write(data, config.length, folder / "bmn")
    options = configuration(config, data, folder / "bmn", out)
    (out / "output" / "BMN_results").mkdir(parents=True)
    os.chdir(out)  # the program writes there
    torch.manual_seed(seed)
    np.random.seed(seed)
    loader = functools.partial(_alone, torch.utils.data.DataLoader)
    with program(clone) as (main, losses), patch.object(torch.utils.data, "DataLoader", loader):
        main.opt = {**options, "mode": "train"}
        main.BMN_Train(main.opt)
        main.BMN_inference({**options, "mode": "inference"})
        main.BMN_post_processing(options)
    found = read_json(out / "proposals.json", "proposals")["results"]
    segments = {}
    for video in data.subset("validation").videos:
        rows = found[video.id]
        start, end = np.array([row["segment"] for row in rows]).T
        segments[video.id] = Segments(
            start, end, np.zeros(len(rows), np.int64), np.array([row["score"] for row in rows])
        )
    return losses, segments


def _alone(loader: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return a loader that works in this process."""
    return loader(*arguments, **{**options, "num_workers": 0, "pin_memory": False})


def recording(main: Any, losses: list[float]) -> Callable[..., None]:
    """Return the program's `train_BMN` with the mean loss of the epoch appended to `losses`."""
    train, loss_of = main.train_BMN, main.bmn_loss_func
    steps: list[float] = []

    def loss_recorded(*arguments: Any) -> Any:
        losses_of_step = loss_of(*arguments)
        steps.append(losses_of_step[0].item())
        return losses_of_step

    def recorded(*arguments: Any) -> None:
        steps.clear()
        train(*arguments)
        losses.append(sum(steps) / len(steps))

    main.bmn_loss_func = loss_recorded
    return recorded
