"""Untrusted files: no code in them is run, no excessive memory is allocated, and no path escapes the folder."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.class_scores import read_classifier
from sola.data.detections import read_detections
from sola.data.features import FeatureSet
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.detectors.actionformer import checkpoint as actionformer
from sola.detectors.bmn import checkpoint as bmn
from sola.detectors.gtad import checkpoint as gtad
from sola.softlanding.network import SoLa
from sola.softlanding.trained import CONFIG, WEIGHTS, TrainedModule

WORLD = SyntheticWorld(training_videos=4, validation_videos=2, length=60.0, length_spread=0.0, channels=8)
TERABYTE = 10**12


class Malicious:
    """Create a folder when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def in_zip(payload: bytes) -> bytes:
    """Return an archive in the format of torch.save that contains the given pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def object_array(marker: Path, key: str | None = None) -> bytes:
    file, array = io.BytesIO(), np.array([[Malicious(marker)]], dtype=object)
    if key is None:
        np.save(file, array, allow_pickle=True)
    else:
        np.savez(file, allow_pickle=True, **{key: array})
    return file.getvalue()


def read_set(path: Path) -> None:
    features = FeatureSet.open(path.parent)
    features.read(features.videos[0])


def read_module(path: Path) -> None:
    module = SoLa(3, hidden=2)
    (path.parent / CONFIG).write_text(json.dumps({"module": module.config()}))
    TrainedModule.load(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "v.npy": read_set,
    "v.npz": read_set,
    "v.pt": read_set,
    "v.csv": read_set,
    "v.h5": read_set,
    MANIFEST_NAME: lambda path: Manifest.read(path.parent),
    "annotations.json": read_annotations,
    "detections.json": read_detections,
    "scores.npy": lambda path: read_classifier(path, ["v"], ["run"]),
    "scores.json": lambda path: read_classifier(path, ["v"], ["run"]),
    WEIGHTS: read_module,
    "bmn.pth": bmn.load,
    "gtad.pth.tar": gtad.load,
    "actionformer.pth.tar": actionformer.load,
}


class TestPickles:
    @pytest.mark.parametrize("wrapped", ["bare", "zip", "npy", "npz"])
    @pytest.mark.parametrize("name", READERS)
    def test_no_reader_runs_a_pickle(self, tmp_path: Path, name: str, wrapped: str) -> None:
        marker = tmp_path / "was here"
        payload = {
            "bare": pickle.dumps(Malicious(marker)),
            "zip": in_zip(pickle.dumps(Malicious(marker))),
            "npy": object_array(marker),
            "npz": object_array(marker, "features"),
        }[wrapped]
        path = tmp_path / "files" / name
        path.parent.mkdir()
        path.write_bytes(payload)
        with pytest.raises(SolaError):
            READERS[name](path)
        assert not marker.exists()

    def test_the_malicious_pickle_works_when_unpickled(self, tmp_path: Path) -> None:
        pickle.loads(pickle.dumps(Malicious(tmp_path / "was here")))
        assert (tmp_path / "was here").is_dir()

    @pytest.mark.slow
    def test_no_run_is_resumed_from_a_pickle(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(WORLD, tmp_path / "world")
        options = ("train", str(tmp_path / "world" / "features"), "--out", str(tmp_path / "run"), "--resume")
        assert sola(*options, "--hidden", "8", "--epochs", "1", "--step", "1", "--quiet") == 0
        (tmp_path / "run" / WEIGHTS).unlink()
        checkpoint = tmp_path / "run" / "checkpoint" / "checkpoint.safetensors"
        checkpoint.write_bytes(in_zip(pickle.dumps(Malicious(tmp_path / "was here"))))
        line = refused(capsys, *options, "--hidden", "8", "--epochs", "1", "--step", "1", "--quiet")
        assert "checkpoint.safetensors: not a checkpoint of this run" in line
        assert not (tmp_path / "was here").exists()


def terabyte_npy() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (TERABYTE // 400, 100)}
    )
    return file.getvalue() + bytes(64)


def terabyte_npz() -> bytes:
    """Return an archive whose directory also claims a terabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", terabyte_npy())
        archive.getinfo("features.npy").file_size = TERABYTE + 1000
    return file.getvalue()


def terabyte_pt() -> bytes:
    """Return a tensor that expands one number to a terabyte."""
    file = io.BytesIO()
    torch.save(torch.zeros(1, 1).expand(TERABYTE // 400, 100), file)
    return file.getvalue()


def terabyte_h5() -> bytes:
    """Return a dataset without stored chunks, which HDF5 reads as zeros."""
    file = io.BytesIO()
    with h5py.File(file, "w") as archive:
        archive.create_dataset("v", (TERABYTE // 400, 100), np.float32, chunks=(100, 100), compression="gzip")
    return file.getvalue()


TERABYTES = {"v.npy": terabyte_npy, "v.npz": terabyte_npz, "v.pt": terabyte_pt, "v.h5": terabyte_h5}


class TestSizes:
    @pytest.mark.parametrize("name", TERABYTES)
    def test_a_terabyte_is_rejected_before_allocation(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(TERABYTES[name]())
        assert (tmp_path / name).stat().st_size < 100_000
        with pytest.raises(SolaError, match=r"header describes|stores .* bytes"):
            read_set(tmp_path / name)

    def test_highly_compressed_zeros_are_read(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "v.npz", np.zeros((100_000, 100), np.float32))
        assert FeatureSet.open(tmp_path).read("v").shape == (100_000, 100)

    def test_a_config_larger_than_its_weights_is_rejected(self, tmp_path: Path) -> None:
        module = SoLa(3, hidden=2)
        config = {**module.config(), "hidden": TERABYTE // 4}
        (tmp_path / CONFIG).write_text(json.dumps({"module": config}))
        (tmp_path / WEIGHTS).write_bytes(
            save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})
        )
        with pytest.raises(SolaError, match="do not match"):
            TrainedModule.load(tmp_path)


class TestPaths:
    @pytest.mark.parametrize("kind", ["external link", "soft link", "external data", "virtual"])
    def test_an_archive_cannot_refer_to_other_files(self, tmp_path: Path, kind: str) -> None:
        values = np.ones((4, 3), np.float32)
        (tmp_path / "secret.raw").write_bytes(values.tobytes())
        with h5py.File(tmp_path / "secret.h5", "w") as secret:
            secret["v"] = values
        (tmp_path / "set").mkdir()
        with h5py.File(tmp_path / "set" / "a.h5", "w") as archive:
            if kind == "external link":
                archive["v"] = h5py.ExternalLink("../secret.h5", "/v")
            elif kind == "soft link":
                archive["v"] = h5py.SoftLink("/elsewhere")
            elif kind == "external data":
                raw = [(str(tmp_path / "secret.raw"), 0, values.nbytes)]
                archive.create_dataset("v", values.shape, values.dtype, external=raw)
            else:
                layout = h5py.VirtualLayout(values.shape, values.dtype)
                layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "v", values.shape)
                archive.create_virtual_dataset("v", layout)
        with pytest.raises(SolaError, match=r"links are not followed|not a plain dataset"):
            read_set(tmp_path / "set" / "a.h5")

    @pytest.mark.parametrize("name", ["../outside.npy", "/outside.npy"])
    def test_a_zip_member_is_not_written_outside(self, tmp_path: Path, name: str) -> None:
        file = io.BytesIO()
        np.save(file, np.ones((4, 3), np.float32))
        with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
            archive.writestr(name, file.getvalue())
        read_set(tmp_path / "v.npz")
        assert os.listdir(tmp_path) == ["v.npz"]
        assert not (tmp_path.parent / "outside.npy").exists()
