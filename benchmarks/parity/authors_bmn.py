"""JJBOY's BMN: run `BMN_Train`, `BMN_inference` and `BMN_post_processing` of `main.py` from a clone on a CPU.

The parts that need a GPU, worker processes or ActivityNet's files are replaced: `.cuda()`, the loader processes and
the evaluation. The program calls `scheduler.step()` before each epoch. In PyTorch 0.4.1, for which it was written, the
first call has no effect; since PyTorch 1.1, the learning rate decays one epoch earlier. So `step_size` is increased by
one here.
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
"""Number of frames of every video, all covered by features; a multiple of 16, to which the program rounds."""


def write(data: Dataset, length: int, folder: Path) -> None:
    """Write the video list, annotations and rescaled features in the format of the program."""
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
    """Return the settings as options of the program, for the files written by `write`."""
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
    """Import `main.py` inside the context. The yielded list receives the mean training loss of each epoch."""
    evaluation = types.ModuleType("eval")
    evaluation.evaluation_proposal = None  # type: ignore[attr-defined]
    on_cpu = (
        patch.object(torch.Tensor, "cuda", lambda self: self),
        patch.object(torch.nn.Module, "cuda", lambda self: self),
    )
    with on_cpu[0], on_cpu[1], patch.object(sys, "path", [str(clone), *sys.path]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the order of scheduler and optimizer steps
        sys.modules["eval"] = evaluation
        try:
            main: Any = importlib.import_module("main")
            losses: list[float] = []
            main.train_BMN = recording(main, losses)
            yield main, losses
        finally:
            imported = [
                name
                for name, module in sys.modules.items()
                if str(getattr(module, "__file__", "")).startswith(str(clone))
            ]
            for name in ("eval", *imported):
                del sys.modules[name]


def run(clone: Path, config: JJBOYConfig, data: Dataset, seed: int, folder: Path, out: Path) -> Any:
    """Train and detect. Return the mean loss of each epoch and the proposals for each validation video."""
    if not (folder / "bmn").is_dir():
        write(data, config.length, folder / "bmn")
    options = configuration(config, data, folder / "bmn", out)
    (out / "output" / "BMN_results").mkdir(parents=True)
    os.chdir(out)  # the program writes to the working directory
    torch.manual_seed(seed)
    np.random.seed(seed)
    loader = functools.partial(_in_process, torch.utils.data.DataLoader)
    with program(clone) as (main, losses), patch.object(torch.utils.data, "DataLoader", loader):
        main.opt = {**options, "mode": "train"}
        main.BMN_Train(main.opt)
        main.BMN_inference({**options, "mode": "inference"})
        main.BMN_post_processing(options)
    proposals = read_json(out / "proposals.json", "proposals")["results"]
    segments = {}
    for video in data.subset("validation").videos:
        rows = proposals[video.id]
        start, end = np.array([row["segment"] for row in rows]).T
        segments[video.id] = Segments(
            start, end, np.zeros(len(rows), np.int64), np.array([row["score"] for row in rows])
        )
    return losses, segments


def _in_process(loader: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return a loader without worker processes."""
    return loader(*arguments, **{**options, "num_workers": 0, "pin_memory": False})


def recording(main: Any, losses: list[float]) -> Callable[..., None]:
    """Wrap the program's `train_BMN` to append the mean loss of the epoch to `losses`."""
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
