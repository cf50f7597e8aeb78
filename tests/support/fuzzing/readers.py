"""Readers to fuzz: the file name, the function that reads the file, and valid files to start from.

Each reader gets the path of a file in its own folder, and writes other files that it needs to that folder.
"""

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.core.published import published_weights
from sola.data.annotations import read_annotations, read_videos
from sola.data.class_scores import read_classifier
from sola.data.detections import read_detections
from sola.data.formats import FORMATS
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.base import DetectorConfig
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.trained import CONFIG as RUN_CONFIG
from sola.detectors.trained import WEIGHTS as LOCALIZER_WEIGHTS
from sola.detectors.trained import TrainedDetector
from sola.evaluation.results import read_result
from sola.report.sources import read_sources
from sola.softlanding.network import SoLa
from sola.softlanding.trained import CONFIG, WEIGHTS, TrainedModule
from sola.training.checkpoint import Checkpoints, TrainingState
from sola.training.run import Run
from sola.video.encoders.huggingface_preprocessing import read_preprocessing
from support.annotation_samples import SAMPLES

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
SEGMENT = {"segment": [1.5, 4], "label": "run"}


def is_read(read: Callable[[Path], object], path: Path, content: bytes) -> bool:
    """Return True if a reader accepts the content and False if it raises a one-line SolaError. Warnings are errors."""
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(path)
    except SolaError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {error}") from error
        return False
    return True


def read_features(path: Path) -> np.ndarray:
    """Read header and values in the same way as FeatureSet."""
    format_ = FORMATS[path.suffix]
    format_.header(path)
    values = np.asarray(format_.read(path))
    np.isfinite(values).all()
    return values


def written_bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def write_archive(file: io.BytesIO) -> None:
    with h5py.File(file, "w") as archive:
        archive["v1"] = VALUES
        archive.create_dataset("v2", data=VALUES.astype(np.float16), compression="gzip", chunks=(2, 3))


def read_archive(path: Path) -> None:
    """Read every video of an HDF5 archive."""
    from sola.data.formats import hdf5

    for video in hdf5.videos(path):
        read_features_at(path / video)


def read_features_at(path: Path) -> None:
    format_ = FORMATS[".h5"]
    format_.header(path)
    np.isfinite(np.asarray(format_.read(path))).all()


def module() -> SoLa:
    return SoLa(3, hidden=2, kernel_size=1)


def weights_of(model: nn.Module, prefix: str = "") -> bytes:
    return save({prefix + name: tensor.contiguous() for name, tensor in model.state_dict().items()})


def read_module(path: Path) -> None:
    (path.parent / CONFIG).write_text(json.dumps({"module": module().config()}))
    TrainedModule.load(path.parent)


def read_config(path: Path) -> None:
    (path.parent / WEIGHTS).write_bytes(MODULE)
    TrainedModule.load(path.parent)


def detector_config(config: DetectorConfig) -> bytes:
    features = {"channels": 4, "manifest": MANIFEST}
    return encoded({"training": asdict(config), "classes": ["run", "jump"], "features": features})


def read_detector(path: Path) -> None:
    """Load the config of a run of `sola train-detector`, next to weights of the detector it names."""
    (path.parent / LOCALIZER_WEIGHTS).write_bytes(
        DETECTOR_WEIGHTS["bmn" if '"bmn"' in decoded(path.read_bytes(), "replace") else "actionformer"]
    )
    TrainedDetector.load(path.parent)


def checkpoint() -> bytes:
    model = module()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(1, 5, 3)).sum().backward()
    optimizer.step()
    with TemporaryDirectory() as folder:
        Checkpoints(Path(folder) / "c.safetensors", model, optimizer, None).save(TrainingState(epoch=1))
        return (Path(folder) / "c.safetensors").read_bytes()


def read_checkpoint(path: Path) -> None:
    model = module()
    Checkpoints(path, model, torch.optim.AdamW(model.parameters()), None).restore()


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


MANIFEST = {"dim": 4, "fps": 25.0, "stride": 8, "window": 16, "offset": 0.5, "layout": "TC", "encoder": "i3d"}
MODULE = weights_of(module())
BMN = BMNConfig(length=6)
ACTIONFORMER = ActionFormerConfig(width=8, levels=2, length=4)
DETECTOR_WEIGHTS = {config.model: weights_of(config.build(4, 2), "model/") for config in (BMN, ACTIONFORMER)}
RUN = {"requested": {"features": ["f"], "annotations": "a.json", "label_key": "label"}, "module": {}, "sources": ["f"]}
EPOCH = {"epoch": 1, "loss": 0.5, "windows_per_s": 3.0}
SUMMARY = {"mean": 0.5, "std": 0.1, "values": [0.4, 0.6], "interval": [0.4, 0.6]}
ROW = {"name": "raw", "kind": "raw", "summaries": {"map": SUMMARY}}
COMPARISON = {"row": "raw", "against": "raw", "metric": "map", "difference": 0.5, "interval": [0.4, 0.6]}
RESULT = {
    "experiment": "table1",
    "title": "t",
    "lead": "l",
    "data": {"features": ["f"], "annotations": "a.json"},
    "metrics": [{"key": "map", "title": "mAP"}],
    "rows": [ROW],
    "comparisons": [COMPARISON | {"p": 0.1, "p_corrected": 0.2, "significant": False}],
}
COLORS = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 3, "rescale_factor": 0.5}
PREPROCESSING = COLORS | {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
DATABASE = {"v1": {"subset": "training", "duration": "9.5", "fps": 25, "annotations": [SEGMENT]}}
SCORED = {"results": {"v1": [{**SEGMENT, "score": 0.5}]}, "version": "1", "external_data": {}}

READERS: dict[str, tuple[str, Callable[[Path], object], list[bytes]]] = {
    "npy": (
        "v.npy",
        read_features,
        [written_bytes(lambda file: np.save(file, VALUES)), written_bytes(lambda f: np.save(f, VALUES.T))],
    ),
    "npz": (
        "v.npz",
        read_features,
        [
            written_bytes(lambda file: np.savez(file, features=VALUES)),
            written_bytes(lambda file: np.savez_compressed(file, VALUES)),
        ],
    ),
    "pt": (
        "v.pt",
        read_features,
        [
            written_bytes(lambda file: torch.save(torch.from_numpy(VALUES), file)),
            written_bytes(
                lambda file: torch.save({"features": torch.zeros(2, 2)}, file, _use_new_zipfile_serialization=False)
            ),
        ],
    ),
    "csv": ("v.csv", read_features, [b"a,b,c\n0,1,2\n3,4,5\n", b"0.5,1e3,-2\n", b"0,1\n1,2\n"]),
    "h5": ("v.h5", read_archive, [written_bytes(write_archive)]),
    "annotations": ("a.json", read_annotations, [encoded({"database": DATABASE})]),
    **{
        f"annotations-{sample.name}": (sample.name, partial(read_videos, **sample.options), [sample.text.encode()])
        for sample in SAMPLES
    },
    "detections": ("d.json", read_detections, [encoded(SCORED)]),
    "lines": (
        "d.txt",
        read_detections,
        [b"v1 0.5 2 7 0.25\nv1 1 2 3 .5\n", b"video,start,end,class,score\nv1,1,2,3,.5\n"],
    ),
    "manifest": (MANIFEST_NAME, lambda path: Manifest.read(path.parent), [encoded(MANIFEST)]),
    "scores": ("s.json", lambda path: read_classifier(path, ["v1"], ["run"]), [encoded(SCORED)]),
    "published": (
        "w.pth",
        published_weights,
        [written_bytes(lambda file: torch.save({"state_dict": {"module.a": torch.zeros(2)}}, file))],
    ),
    "module": (WEIGHTS, read_module, [MODULE]),
    "config": (CONFIG, read_config, [encoded({"module": module().config()})]),
    "detector": (RUN_CONFIG, read_detector, [detector_config(BMN), detector_config(ACTIONFORMER)]),
    "checkpoint": ("checkpoint.safetensors", read_checkpoint, [checkpoint()]),
    "run": (RUN_CONFIG, lambda path: read_sources([path.parent]), [encoded(RUN)]),
    "log": ("metrics.jsonl", lambda path: Run(path.parent).rows(), [encoded(EPOCH) + b"\n"]),
    "result": ("result.json", read_result, [encoded(RESULT)]),
    "preprocessing": (
        "preprocessor_config.json",
        lambda path: read_preprocessing(path.parent, PREPROCESSING),
        [encoded(PREPROCESSING)],
    ),
}
