"""Folders on a local disk and in object stores behave alike, and errors name the file."""

from pathlib import Path

import pytest
from support.stores import put

from sola.core.errors import SolaError
from sola.core.storage import Storage


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_local_folders_and_object_stores_behave_alike(kind: str, tmp_path: Path) -> None:
    storage = Storage.of(tmp_path / "folder" if kind == "local" else f"memory://{tmp_path.name}/folder")
    assert storage.files() == []
    (tmp_path / "file").write_bytes(b"12345")
    for name in ("b.npy", "a.npy", ".hidden", "inner/c.npy"):
        put(storage, tmp_path / "file", name)
    storage.write_json("manifest.json", {"dim": 3})
    assert storage.names() == ["a.npy", "b.npy", "manifest.json"]
    assert [file.name for file in storage.files(recursive=True)] == ["a.npy", "b.npy", "inner/c.npy", "manifest.json"]
    assert [file.size for file in storage.files()][:2] == [5, 5]
    assert storage.has("a.npy")
    assert not storage.has("c.npy")
    assert storage.read_json("manifest.json") == {"dim": 3}
    assert storage.read_json("other.json") is None
    with storage.fetched("inner/c.npy") as folder:
        assert (folder / "inner/c.npy").read_bytes() == b"12345"
    storage.remove("a.npy")
    storage.remove("a.npy")
    assert storage.names() == ["b.npy", "manifest.json"]
    storage.delete()
    storage.delete()
    assert storage.files(recursive=True) == []


def test_a_missing_file_in_a_store_is_named(tmp_path: Path) -> None:
    storage = Storage.of(f"memory://{tmp_path.name}/folder")
    with pytest.raises(SolaError, match=r"folder/a\.npy: no such file"), storage.fetched("a.npy"):
        pass


def test_a_url_collapsed_by_path_is_restored() -> None:
    assert Storage.of(Path("s3://bucket/folder/")).location == "s3://bucket/folder"
    assert Storage.of("gs:///bucket").location == "gs://bucket"
    assert Storage.of(Path("/folder")).local == Path("/folder")


def test_a_file_is_uploaded_only_when_it_is_complete(tmp_path: Path) -> None:
    storage = Storage.of(f"memory://{tmp_path.name}")
    with pytest.raises(FileNotFoundError), storage.writing("out.json") as path:
        path.with_name("not there").rename(path)
    assert storage.names() == []
    with storage.writing("out.json") as path:
        path.write_text("{}")
    assert storage.read_json("out.json") == {}


def test_an_unreadable_location_gives_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"^nonsense://bucket: cannot be listed \("):
        Storage.of("nonsense://bucket").names()
