"""The authors' ActionFormer or TriDet: run `train.py` and `eval.py` from a clone on a CPU.

Weights are loaded to the CPU instead of a GPU. `ModelEma` gets sola's decay, which `train.py` cannot set, and the
evaluator is replaced by a stub that stores the detections. The compiled NMS extension `nms_1d_cpu` and joblib, which
the metrics import, must be importable.
"""

import functools
import importlib
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml

from parity.features import ANNOTATIONS, FEATURES
from sola.data.dataset import Dataset
from sola.data.segments import Segments
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.point_pyramid.points import PointPyramid
from sola.detectors.tridet.config import TriDetConfig

RARELY = 10**9
"""Steps between log messages of the program, which synchronize with a GPU."""


def configuration(config: PointPyramidConfig, data: Dataset, seed: int, folder: Path) -> dict[str, Any]:
    """Return the settings in the format of the authors' configuration files."""
    grid = data.videos[0].grid
    model: dict[str, Any] = {
        "fpn_type": "identity",
        "max_buffer_len_factor": 6.0,
        "backbone_arch": [2, 2, config.levels - 1],
        "regression_range": [list(pair) for pair in PointPyramid(config.levels, ranges=config.ranges).ranges],
        "use_abs_pe": config.absolute_position,
        **dict.fromkeys(("embd_dim", "fpn_dim", "head_dim"), config.width),
    }
    if isinstance(config, ActionFormerConfig):
        model |= {"n_mha_win_size": config.attention_window}
    if isinstance(config, TriDetConfig):
        model |= {
            "n_sgp_win_size": config.perception_window,
            "k": config.window_scale,
            "sgp_mlp_dim": config.hidden,
            "init_conv_vars": config.deviation,
            "head_kernel_size": config.head_kernel_size,
            "boudary_kernel_size": config.boundary_kernel_size,
            "num_bins": config.bins,
            "iou_weight_power": config.overlap_power,
            "input_noise": config.input_noise,
            "use_trident_head": True,
        }
    return {
        "init_rand_seed": seed,
        "dataset_name": "thumos",
        "devices": ["cpu"],
        "train_split": ["training"],
        "val_split": ["validation"],
        "dataset": {
            "json_file": str(folder / ANNOTATIONS),
            "feat_folder": str(folder / FEATURES),
            "file_prefix": None,
            "file_ext": ".npy",
            "num_classes": len(data.classes),
            "input_dim": data.features.channels,
            "feat_stride": grid.stride,
            "num_frames": grid.window,
            "default_fps": grid.fps,
            "trunc_thresh": config.inside,
            "crop_ratio": [config.crop, 1.0],
            "max_seq_len": config.length,
        },
        "model": model,
        "opt": {
            "learning_rate": config.learning_rate,
            "warmup_epochs": config.warmup_epochs,
            "epochs": config.epochs - config.warmup_epochs,
            "weight_decay": config.weight_decay,
        },
        "loader": {"batch_size": config.batch_size, "num_workers": 1},
        "train_cfg": {
            "init_loss_norm": config.normalizer,
            "clip_grad_l2norm": config.clip_norm,
            "loss_weight": config.regression_weight,
            "label_smoothing": config.label_smoothing,
        },
        "test_cfg": {
            "pre_nms_topk": config.candidates,
            "max_seg_num": config.max_detections,
            "min_score": config.min_score,
            "nms_sigma": config.sigma,
            "duration_thresh": config.min_duration,
            "multiclass_nms": True,
        },
    }


def run(clone: Path, config: PointPyramidConfig, data: Dataset, seed: int, folder: Path, out: Path) -> Any:
    """Train and detect. Return the mean loss of each epoch and the segments for each validation video."""
    out.mkdir(parents=True)
    sys.path.insert(0, str(clone))
    train, evaluation = importlib.import_module("train"), importlib.import_module("eval")
    detections: dict[str, np.ndarray] = {}

    class StoringEvaluator:
        """Evaluator that stores the detections."""

        def __init__(self, *arguments: object, **options: object) -> None:
            pass

        def evaluate(self, results: dict[str, np.ndarray], verbose: bool = True) -> tuple[float, ...]:
            detections.update(results)
            return (0.0,) * (2 if isinstance(config, TriDetConfig) else 3)

    losses: list[float] = []
    path = out / "parity.yaml"
    path.write_text(yaml.safe_dump({**configuration(config, data, seed, folder), "output_folder": str(out)}))
    settings: dict[str, Any] = {"config": str(path), "print_freq": RARELY}
    with (
        patch.object(train, "ModelEma", functools.partial(train.ModelEma, decay=config.ema_decay)),
        patch.object(train, "train_one_epoch", recording(train.train_one_epoch, losses)),
        patch.object(evaluation, "ANETdetection", StoringEvaluator),
        patch.object(torch, "load", functools.partial(_on_cpu, torch.load)),
    ):
        train.main(Namespace(ckpt_freq=0, output="run", resume="", **settings))
        evaluation.main(Namespace(ckpt=str(out / "parity_run"), epoch=-1, topk=-1, saveonly=False, **settings))
    videos = np.array(detections["video-id"])
    segments = {
        video.id: Segments(*(detections[name][videos == video.id] for name in ("t-start", "t-end", "label", "score")))
        for video in data.subset("validation").videos
    }
    return losses, segments


def _on_cpu(load: Callable[..., Any], path: str, map_location: object) -> Any:
    """Load weights to the CPU; the program would load them to a GPU."""
    return load(path, map_location="cpu")


def recording(train_one_epoch: Callable[..., None], losses: list[float]) -> Callable[..., None]:
    """Wrap `train_one_epoch` to append the mean loss of the epoch to `losses`."""

    def recorded(loader: Any, model: torch.nn.Module, *others: Any, **options: Any) -> None:
        steps: list[float] = []
        hook = model.register_forward_hook(lambda model, inputs, output: steps.append(output["final_loss"].item()))
        train_one_epoch(loader, model, *others, **options)
        hook.remove()
        losses.append(sum(steps) / len(steps))

    return recorded
