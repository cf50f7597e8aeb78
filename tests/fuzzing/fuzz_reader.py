"""Feeds a reader what a fuzzer thinks of; anything but SolaError is a fault, and so is a crash, a hang or a hoard.

    python tests/fuzzing/fuzz_reader.py READER FOLDER [-runs=N] [-seed=N] [libFuzzer's other options]
    python tests/fuzzing/fuzz_reader.py                                    # which readers there are

Beginning from valid files, atheris changes bytes and keeps what reaches new lines of sola's or NumPy's readers. FOLDER
is for the corpus, and for the file that is read: a folder in memory (/dev/shm) is fastest. `tests/test_fuzzing.py` runs
each reader for a moment; docs/safety.md says for how long they have been run.
"""

import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import h5py
import numpy as np
import torch

with atheris.instrument_imports(include=["sola", "numpy.lib.format", "zipfile"]):
    from sola.data.annotations import read_annotations
    from sola.data.detections import read_detections
    from sola.data.formats import FORMATS
    from sola.data.manifest import MANIFEST_NAME, Manifest
    from sola.errors import SolaError
    from sola.heads.published import published_weights
    from sola.module import CONFIG, WEIGHTS, SoLa
    from sola.postprocess import read_scores

COUNTED = 500
"""Inputs between two times that FOLDER/READER.json says how many were read and how many refused."""

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
SEGMENT = {"segment": [1.5, 4], "label": "run"}


def read_features(path: Path) -> None:
    """Header and values, as a FeatureSet asks for them."""
    format_ = FORMATS[path.suffix]
    format_.header(path)
    np.isfinite(np.asarray(format_.read(path))).all()


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def archived(file: io.BytesIO) -> None:
    with h5py.File(file, "w") as archive:
        archive["v1"] = VALUES
        archive.create_dataset("v2", data=VALUES.astype(np.float16), compression="gzip", chunks=(2, 3))


def read_archive(path: Path) -> None:
    """Every video of an archive."""
    from sola.data.hdf5 import hdf5_videos

    for video in hdf5_videos(path):
        read_features_at(path / video)


def read_features_at(path: Path) -> None:
    format_ = FORMATS[".h5"]
    format_.header(path)
    np.isfinite(np.asarray(format_.read(path))).all()


def module_weights() -> bytes:
    from safetensors.torch import save

    return save({name: tensor.contiguous() for name, tensor in SoLa(3, hidden=2, kernel_size=1).state_dict().items()})


def read_module(path: Path) -> None:
    (path.parent / CONFIG).write_text(json.dumps({"module": SoLa(3, hidden=2, kernel_size=1).config()}))
    SoLa.from_pretrained(path.parent)


def read_config(path: Path) -> None:
    (path.parent / WEIGHTS).write_bytes(module_weights())
    SoLa.from_pretrained(path.parent)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


DATABASE = {"v1": {"subset": "training", "duration": "9.5", "fps": 25, "annotations": [SEGMENT]}}
SCORED = {"results": {"v1": [{**SEGMENT, "score": 0.5}]}, "version": "1", "external_data": {}}
MANIFEST = {"dim": 3, "fps": 25.0, "stride": 8, "window": 16, "offset": 0.5, "layout": "TC", "encoder": "i3d"}

READERS: dict[str, tuple[str, Callable[[Path], object], list[bytes]]] = {
    "npy": ("v.npy", read_features, [saved(lambda file: np.save(file, VALUES)), saved(lambda f: np.save(f, VALUES.T))]),
    "npz": (
        "v.npz",
        read_features,
        [
            saved(lambda file: np.savez(file, features=VALUES)),
            saved(lambda file: np.savez_compressed(file, VALUES)),
        ],
    ),
    "pt": (
        "v.pt",
        read_features,
        [
            saved(lambda file: torch.save(torch.from_numpy(VALUES), file)),
            saved(lambda file: torch.save({"features": torch.zeros(2, 2)}, file, _use_new_zipfile_serialization=False)),
        ],
    ),
    "csv": ("v.csv", read_features, [b"a,b,c\n0,1,2\n3,4,5\n", b"0.5,1e3,-2\n", b"0,1\n1,2\n"]),
    "h5": ("v.h5", read_archive, [saved(archived)]),
    "annotations": ("a.json", read_annotations, [encoded({"database": DATABASE})]),
    "detections": ("d.json", read_detections, [encoded(SCORED)]),
    "lines": (
        "d.txt",
        read_detections,
        [b"v1 0.5 2 7 0.25\nv1 1 2 3 .5\n", b"video,start,end,class,score\nv1,1,2,3,.5\n"],
    ),
    "manifest": (MANIFEST_NAME, lambda path: Manifest.read(path.parent), [encoded(MANIFEST)]),
    "scores": ("s.json", lambda path: read_scores(path, ["v1"], ["run"]), [encoded(SCORED)]),
    "published": (
        "w.pth",
        published_weights,
        [saved(lambda file: torch.save({"state_dict": {"module.a": torch.zeros(2)}}, file))],
    ),
    "module": (WEIGHTS, read_module, [module_weights()]),
    "config": (CONFIG, read_config, [encoded({"module": SoLa(3, hidden=2, kernel_size=1).config()})]),
}


def main() -> None:
    if len(sys.argv) < 3:
        print(*READERS)
        return
    reader, folder = sys.argv[1], Path(sys.argv[2])
    name, read, seeds = READERS[reader]
    corpus, place = folder / reader, folder / f"{reader}-file"
    for made in (corpus, place):
        made.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
        (place / name).write_bytes(seed)
        read(place / name)  # what is valid is read
    counts = {"read": 0, "refused": 0}

    def one(data: bytes) -> None:
        (place / name).write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(place / name)
            counts["read"] += 1
        except SolaError as error:
            if "\n" in str(error):
                raise AssertionError(f"an error of several lines: {error}") from error
            counts["refused"] += 1

    def counted(data: bytes) -> None:
        one(data)
        if sum(counts.values()) % COUNTED == 0:  # libFuzzer leaves without a word to Python
            (folder / f"{reader}.json").write_text(json.dumps(counts))

    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], counted)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
