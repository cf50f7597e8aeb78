"""Features in folders of an object store: streams, ids, and files that cannot be read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.feature_files import make
from support.stores import put

from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.pipeline.stored_features import StoredFeatures


def test_inconsistent_feature_folders_are_rejected(tmp_path: Path) -> None:
    features = make(tmp_path / "features")
    shutil.copytree(features, tmp_path / "fewer")
    removed = sorted((tmp_path / "fewer").glob("*.npy"))[0]
    removed.unlink()
    with pytest.raises(SolaError, match=f"fewer: the videos differ from those of .*, the first is '{removed.stem}'"):
        StoredFeatures.of([features, tmp_path / "fewer"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SolaError, match="empty: holds no feature files"):
        StoredFeatures.of([tmp_path / "empty"])
    (tmp_path / "empty" / "all.h5").touch()
    with pytest.raises(SolaError, match="expected one file per video"):
        StoredFeatures.of([tmp_path / "empty"])


def store_arrays(folder: Path, arrays: dict[str, np.ndarray]) -> Storage:
    """Write arrays to files in an object store."""
    storage = Storage.of(f"memory://{folder.name}/features")
    for name, values in arrays.items():
        np.save(folder / "file.npy", values)
        put(storage, folder / "file.npy", name)
    return storage


def test_streams_in_one_folder_of_a_store_are_concatenated(tmp_path: Path) -> None:
    rgb, flow = np.ones((5, 2), np.float32), np.zeros((4, 3), np.float32)
    storage = store_arrays(tmp_path, {"a_rgb.npy": rgb, "a_flow.npy": flow})
    with pytest.raises(
        SolaError, match=r"'a_rgb' and 'a_flow' are streams of the same video; join them with --streams"
    ):
        StoredFeatures.of([storage.location])
    features = StoredFeatures.of([storage.location], stream_suffixes=["rgb", "flow"])
    assert (features.videos, features.file_name("a")) == (("a",), "a.npy")
    assert features.locations == [storage.location]
    assert len(features.state("a")) == 2
    with features.fetched("a") as local:
        np.testing.assert_array_equal(local.read("a"), np.concatenate([rgb[:4], flow], axis=1))


def test_video_ids_in_a_store_may_contain_folders(tmp_path: Path) -> None:
    storage = store_arrays(tmp_path, {"P1/cam.npy": np.ones((5, 2)), "P2/cam.npy": np.full((2, 2), np.nan)})
    features = StoredFeatures.of([storage.location], id_from="path")
    assert features.videos == ("P1/cam", "P2/cam")
    with features.fetched("P1/cam") as local:
        assert local.file_name("P1/cam") == features.file_name("P1/cam") == "P1/cam.npy"
        assert local.read("P1/cam").shape == (5, 2)
    with (
        pytest.raises(
            SolaError, match=f"^{storage}/P2/cam.npy: contains NaN .*; repair or remove it, or pass --skip-bad$"
        ),
        features.fetched("P2/cam") as local,
    ):
        local.read("P2/cam")


def test_an_error_names_the_remote_file(tmp_path: Path) -> None:
    storage = Storage.of(f"memory://{tmp_path.name}/bad")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    put(storage, tmp_path / "bad.npy", "bad.npy")
    with (
        pytest.raises(SolaError, match=rf"^memory://{tmp_path.name}/bad/bad\.npy: "),
        StoredFeatures.of([storage.location]).fetched("bad"),
    ):
        pass
