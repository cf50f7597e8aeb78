"""Folders of small feature files."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sola.core.errors import SolaError
from sola.data.features import FeatureSet

VIDEOS = ("a", "b", "c")


def array(length: int = 9, channels: int = 4, seed: int = 0, dtype: type = np.float16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((length, channels)).astype(dtype)


def make(folder: Path, suffix: str = ".npy", transposed: bool = False, dtype: type = np.float16) -> Path:
    """Write a folder of three videos of 9, 10 and 11 snippets and 4 channels."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, video in enumerate(VIDEOS):
        values = expected(i, dtype)
        values = values.T if transposed else values
        path = folder / f"{video}{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        elif suffix == ".npz":
            np.savez(path, features=values)
        elif suffix == ".pt":
            torch.save(torch.tensor(values), path)
        elif suffix == ".csv":
            names = ",".join(f"f{column}" for column in range(values.shape[1]))
            np.savetxt(path, values, delimiter=",", fmt="%.9g", header=names, comments="")
        else:
            with h5py.File(folder / "all.h5", "a") as file:
                file[video] = values
    return folder


def expected(i: int, dtype: type = np.float16) -> np.ndarray:
    return array(9 + i, seed=i, dtype=dtype)


def refuse(source: Path | list[Path], message: str, streams: Sequence[str] = (), **options: bool) -> None:
    """Check that opening and reading the source fails with a one-line error that matches `message`."""
    with pytest.raises(SolaError, match=message) as raised:
        list(FeatureSet.open(source, stream_suffixes=streams, **options).items())
    assert "\n" not in str(raised.value)
