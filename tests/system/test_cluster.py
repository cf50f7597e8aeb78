"""Bulk work on a Ray cluster of two workers, with files here and in an S3 server of the test's own."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support.calling import refused, sola
from support.places import QUADRANTS
from support.rendering import render
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK, read_rows
from sola.data.manifest import Manifest
from sola.pipeline.stored_features import StoredFeatures
from sola.video.files import find_videos

MODULE = ("--hidden", "16", "--epochs", "1", "--windows-per-video", "4", "--step", "1", "--quiet")
WORLD = SyntheticWorld(training_videos=6, validation_videos=4, length=80.0, length_spread=0.2, channels=16)


def on_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Slow; Ray warns of itself."""
    return pytest.mark.slow(pytest.mark.filterwarnings("ignore")(test))


S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
RAY = """
import sys
import ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Cluster:
    """Where commands run, and what the outside looks like to them."""

    ray: int
    """The process that began the cluster."""

    def call(self, *arguments: object) -> None:
        """Run a command in this process, which has joined the cluster."""
        assert sola(*arguments, "--executor", "ray") == 0

    def workers(self) -> list[psutil.Process]:
        """Those that are at work on videos."""
        below = psutil.Process(self.ray).children(recursive=True)
        return [one for one in below if any("MapWorker" in part for part in one.cmdline())]


def started(script: str, environment: dict[str, str]) -> tuple["subprocess.Popen[str]", str]:
    """A process that says one thing and lives until its input ends; what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def ended(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers of Ray, and a bucket `videos` on a server."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    server, url = started(S3, dict(os.environ))
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": url, "OMP_NUM_THREADS": "1"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}  # who has none cannot join
    with pytest.MonkeyPatch.context() as here:
        for name, value in {**keys, "AWS_ENDPOINT_URL": url}.items():
            here.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem().mkdir("videos")
        head, address = started(RAY, environment)
        environment["RAY_ADDRESS"] = address
        for name, value in environment.items():
            here.setenv(name, value)
        import ray

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(log_to_driver=False, logging_level="ERROR")
        yield Cluster(head.pid)
        ray.shutdown()
        ended(head)
        ended(server)
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, clips, a module and a detector."""
    folder = tmp_path_factory.mktemp("world")
    write(WORLD, folder / "data")
    (folder / "clips" / "more").mkdir(parents=True)
    for number in range(5):
        render(folder / "clips" / ("more" if number == 3 else "") / f"{number}.mp4", count=30 + number)
    features, annotations = folder / "data" / "features", folder / "data" / "annotations.json"
    module = ("--hidden", "16", "--epochs", "1", "--windows-per-video", "4", "--step", "2")
    assert sola("train", features, "--out", folder / "module", *module, "--quiet") == 0
    head = ("--model", "bmn", "--length", "24", "--epochs", "2", "--decay-every", "1")
    train = ("train-detector", features, "--annotations", annotations, "--out", folder / "head")
    assert sola(*train, *head, "--quiet") == 0
    return folder


def put(place: Storage, path: Path, name: str) -> None:
    with place.writing(name) as aside:
        shutil.copyfile(path, aside)


def upload(folder: Path, name: str) -> str:
    """Put what is in a folder into the bucket; where it is then."""
    place = Storage.of(f"s3://videos/{name}")
    for path in filter(Path.is_file, folder.rglob("*")):
        put(place, path, path.relative_to(folder).as_posix())
    return place.location


def download(place: str, folder: Path) -> Path:
    storage = Storage.of(place)
    with storage.fetched(*storage.names()) as fetched:
        shutil.copytree(fetched, folder)
    return folder


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["video"]: row for row in read_rows(folder / JOURNAL) if "video" in row}


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without the journal, whose rows come in any order."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != JOURNAL}


def same_features(ours: Path, theirs: Path) -> None:
    here, there = FeatureSet.open(ours), FeatureSet.open(theirs)
    assert here.videos == there.videos
    for video in here.videos:
        np.testing.assert_array_equal(here.read(video), there.read(video))


def manifest(folder: Path) -> Manifest:
    """What it says, without where the run was."""
    read = Manifest.read(folder)
    return replace(read, sola=None if read.sola is None else {**read.sola, "run": ""})


@on_cluster
def test_features_in_a_bucket_are_those_of_one_process_though_a_worker_is_killed_and_grow(
    cluster: Cluster, world: Path, tmp_path: Path
) -> None:
    encoder = ("--encoder", f"{QUADRANTS}:slow", "--batch-size", "1", "--quiet", "--skip-bad")  # half a second a clip
    shutil.copytree(world / "clips", tmp_path / "clips")
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"no video")
    clips, out = upload(tmp_path / "clips", "clips"), Storage.of("s3://videos/features")
    assert sola("extract", tmp_path / "clips", "--out", tmp_path / "here", *encoder) == 0
    killed: list[psutil.Process] = []

    def kill_a_worker() -> None:
        until = time.monotonic() + 120
        while not any(name.endswith(".npy") for name in out.names()) and time.monotonic() < until:
            time.sleep(0.05)
        killed.extend(cluster.workers()[:1])
        killed[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    cluster.call("extract", clips, "--out", out.location, *encoder)
    killer.join()
    assert killed
    there = download(out.location, tmp_path / "there")
    same_features(tmp_path / "here", there)
    assert not list(there.glob(".*"))
    assert manifest(tmp_path / "here") == manifest(there)
    rows = [row["video"] for row in read_rows(there / JOURNAL) if "video" in row]
    assert sorted(rows) == ["0", "1", "2", "3", "4", "bad"]
    ours, theirs = rows_of(tmp_path / "here"), rows_of(there)
    assert theirs["3"]["file"] == "s3://videos/clips/more/3.mp4"
    for video in ("0", "1", "2", "3", "4"):
        assert theirs[video] | {"file": "", "changed": 0} == ours[video] | {"file": "", "changed": 0}
    assert theirs["bad"]["skipped"].startswith("s3://videos/clips/bad.mp4: ")
    before = out.files()
    render(tmp_path / "new.mp4", count=33)
    put(Storage.of(clips), tmp_path / "new.mp4", "new.mp4")
    cluster.call("extract", clips, "--out", out.location, *encoder)
    kept = {one.name: one for one in out.files()}
    assert all(kept[one.name] == one for one in before if one.name.endswith(".npy"))
    assert "new.npy" in kept


@pytest.mark.long  # extract and detect run the same executor
@on_cluster
def test_transformed_features_are_those_of_one_process_and_an_unfinished_folder_is_continued(
    cluster: Cluster, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, out = world / "data" / "features", Storage.of("s3://videos/transformed")
    assert sola("transform", world / "module", features, "--out", tmp_path / "here", "--quiet") == 0
    module, stored = upload(world / "module", "module"), upload(features, "raw")
    call = ("transform", module, stored, "--out", out.location, "--quiet")
    cluster.call(*call)
    there = download(out.location, tmp_path / "there")
    same_features(tmp_path / "here", there)
    assert manifest(tmp_path / "here") == manifest(there)
    assert Manifest.read(there).sola["run"] == module

    whole, before = contents(there), {file.name: file for file in out.files()}
    kept, lost, *_ = (name for name in before if name.endswith(".npy"))
    out.remove(lost)
    out.write_json(MARK, read_rows(there / JOURNAL)[0]["job"])
    with pytest.raises(SolaError, match=f"^{out}: unfinished; run the same command again to continue"):
        StoredFeatures.of([out.location])
    put(Storage.of(stored), features / kept, "new.npy")
    cluster.call(*call)
    again = contents(download(out.location, tmp_path / "again"))
    assert again.pop("new.npy") == whole[kept]
    assert again == whole
    after = {file.name: file for file in out.files()}
    assert after[kept] == before[kept]
    assert sola(*call, "--executor", "ray") == 0  # nothing to do: no worker starts
    assert {file.name: file for file in out.files()} == after
    upload(features, "others")
    others = ("transform", module, "s3://videos/others", "--out", out.location, "--executor", "ray")
    assert f"{out}: already exists with features" in refused(capsys, *others)
    assert {file.name: file for file in out.files()} == after


@on_cluster
def test_detections_are_those_of_one_process(cluster: Cluster, world: Path, tmp_path: Path) -> None:
    features, annotations = world / "data" / "features", world / "data" / "annotations.json"
    here = ("--annotations", annotations, "--proposals", tmp_path / "proposals.json", "--quiet")
    assert sola("detect", world / "head", features, "--out", tmp_path / "here.json", *here) == 0
    head, stored = upload(world / "head", "head"), upload(features, "found-in")
    put(Storage.of("s3://videos"), annotations, "annotations.json")
    there = ("--annotations", "s3://videos/annotations.json", "--proposals", "s3://videos/proposals.json", "--quiet")
    cluster.call("detect", head, stored, "--out", "s3://videos/there.json", *there)
    for ours, theirs in (("here", "there"), ("proposals", "proposals")):
        one = json.loads((tmp_path / f"{ours}.json").read_text())["results"]
        other = Storage.of("s3://videos").read_json(f"{theirs}.json")["results"]
        assert list(one) == list(other)
        for video in one:
            assert [found["label"] for found in one[video]] == [found["label"] for found in other[video]]
            for key in ("segment", "score"):
                np.testing.assert_allclose(
                    [found[key] for found in one[video]], [found[key] for found in other[video]], atol=1e-5
                )


@pytest.mark.long
@on_cluster
def test_ids_with_folders_are_files_in_folders_of_the_bucket(cluster: Cluster, world: Path, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "clips" / f"P{number}").mkdir(parents=True)
        render(tmp_path / "clips" / f"P{number}" / "cam.mp4", count=100 + number)
    encoder = ("--encoder", f"{QUADRANTS}:quick", "--id-from", "path", "--quiet")
    assert sola("extract", tmp_path / "clips", "--out", tmp_path / "here", *encoder) == 0
    out = Storage.of("s3://videos/cameras")
    cluster.call("extract", upload(tmp_path / "clips", "camera-clips"), "--out", out.location, *encoder)
    with out.fetched(*out.names(recursive=True)) as there:
        assert sorted(path.relative_to(there).as_posix() for path in there.rglob("*.npy")) == [
            "P0/cam.npy",
            "P1/cam.npy",
        ]
        for video in ("P0/cam", "P1/cam"):
            np.testing.assert_array_equal(np.load(there / f"{video}.npy"), np.load(tmp_path / "here" / f"{video}.npy"))
    assert sola("train", tmp_path / "here", "--out", tmp_path / "run", *MODULE, "--id-from", "path") == 0
    through = ("--id-from", "path", "--quiet")
    assert sola("transform", tmp_path / "run", tmp_path / "here", "--out", tmp_path / "soft", *through) == 0
    soft = Storage.of("s3://videos/soft-cameras")
    cluster.call("transform", tmp_path / "run", out.location, "--out", soft.location, *through)
    with soft.fetched(*soft.names(recursive=True)) as there:
        for video in ("P0/cam", "P1/cam"):
            np.testing.assert_array_equal(np.load(there / f"{video}.npy"), np.load(tmp_path / "soft" / f"{video}.npy"))
    before = soft.files(recursive=True)
    cluster.call("transform", tmp_path / "run", out.location, "--out", soft.location, *through)
    assert soft.files(recursive=True) == before


def test_a_place_in_an_object_store_needs_the_cluster(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "transform", world / "module", "s3://videos/raw", "--out", "out")
    assert "s3://videos/raw: is in an object store; pass --executor ray" in line
    line = refused(capsys, "extract", world / "clips", "--out", "x", "--executor", "ray", "--workers", "0")
    assert "--workers" in line


@pytest.mark.parametrize("kind", ["here", "there"])
def test_a_folder_here_and_in_a_store_are_alike(kind: str, tmp_path: Path) -> None:
    place = Storage.of(tmp_path / "folder" if kind == "here" else f"memory://{tmp_path.name}/folder")
    assert place.files() == []
    (tmp_path / "file").write_bytes(b"12345")
    for name in ("b.npy", "a.npy", ".hidden", "inner/c.npy"):
        put(place, tmp_path / "file", name)
    place.write_json("manifest.json", {"dim": 3})
    assert place.names() == ["a.npy", "b.npy", "manifest.json"]
    assert [one.name for one in place.files(recursive=True)] == ["a.npy", "b.npy", "inner/c.npy", "manifest.json"]
    assert [one.size for one in place.files()][:2] == [5, 5]
    assert place.has("a.npy")
    assert not place.has("c.npy")
    assert place.read_json("manifest.json") == {"dim": 3}
    assert place.read_json("other.json") is None
    with place.fetched("inner/c.npy") as folder:
        assert (folder / "inner/c.npy").read_bytes() == b"12345"
    place.remove("a.npy")
    place.remove("a.npy")
    assert place.names() == ["b.npy", "manifest.json"]
    place.delete()
    place.delete()
    assert place.files(recursive=True) == []


def test_a_file_that_is_not_in_a_store_is_named(tmp_path: Path) -> None:
    place = Storage.of(f"memory://{tmp_path.name}/folder")
    with pytest.raises(SolaError, match=r"folder/a\.npy: no such file"), place.fetched("a.npy"):
        pass


def test_a_url_that_was_a_path_is_a_url_again() -> None:
    assert Storage.of(Path("s3://bucket/folder/")).location == "s3://bucket/folder"
    assert Storage.of("gs:///bucket").location == "gs://bucket"
    assert Storage.of(Path("/folder")).local == Path("/folder")


def test_a_file_goes_to_a_store_when_it_is_whole(tmp_path: Path) -> None:
    place = Storage.of(f"memory://{tmp_path.name}")
    with pytest.raises(FileNotFoundError), place.writing("out.json") as path:
        path.with_name("not there").rename(path)
    assert place.names() == []
    with place.writing("out.json") as path:
        path.write_text("{}")
    assert place.read_json("out.json") == {}


def test_a_place_that_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"^nonsense://place: cannot be listed \("):
        Storage.of("nonsense://place").names()


def test_features_that_do_not_belong_together_are_refused(world: Path, tmp_path: Path) -> None:
    features = world / "data" / "features"
    shutil.copytree(features, tmp_path / "fewer")
    lost = sorted((tmp_path / "fewer").glob("*.npy"))[0]
    lost.unlink()
    with pytest.raises(SolaError, match=f"fewer: the videos differ from those of .*, the first is '{lost.stem}'"):
        StoredFeatures.of([features, tmp_path / "fewer"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SolaError, match="empty: no feature files"):
        StoredFeatures.of([tmp_path / "empty"])
    (tmp_path / "empty" / "all.h5").touch()
    with pytest.raises(SolaError, match="expected one file per video"):
        StoredFeatures.of([tmp_path / "empty"])


def stored(folder: Path, arrays: dict[str, np.ndarray]) -> Storage:
    """Files in an object store."""
    place = Storage.of(f"memory://{folder.name}/features")
    for name, values in arrays.items():
        np.save(folder / "file.npy", values)
        put(place, folder / "file.npy", name)
    return place


def test_streams_of_one_folder_in_a_store_are_joined(tmp_path: Path) -> None:
    rgb, flow = np.ones((5, 2), np.float32), np.zeros((4, 3), np.float32)
    place = stored(tmp_path, {"a_rgb.npy": rgb, "a_flow.npy": flow})
    with pytest.raises(
        SolaError, match=r"'a_rgb' and 'a_flow' are streams of the same video; join them with --streams"
    ):
        StoredFeatures.of([place.location])
    features = StoredFeatures.of([place.location], stream_suffixes=["rgb", "flow"])
    assert (features.videos, features.file_name("a")) == (("a",), "a.npy")
    assert features.locations == [place.location]
    assert len(features.state("a")) == 2
    with features.fetched("a") as local:
        np.testing.assert_array_equal(local.read("a"), np.concatenate([rgb[:4], flow], axis=1))


def test_ids_in_a_store_may_contain_folders(tmp_path: Path) -> None:
    place = stored(tmp_path, {"P1/cam.npy": np.ones((5, 2)), "P2/cam.npy": np.full((2, 2), np.nan)})
    features = StoredFeatures.of([place.location], id_from="path")
    assert features.videos == ("P1/cam", "P2/cam")
    with features.fetched("P1/cam") as local:
        assert local.file_name("P1/cam") == features.file_name("P1/cam") == "P1/cam.npy"
        assert local.read("P1/cam").shape == (5, 2)
    with (
        pytest.raises(
            SolaError, match=f"^{place}/P2/cam.npy: contains NaN .*; repair or remove it, or pass --skip-bad$"
        ),
        features.fetched("P2/cam") as local,
    ):
        local.read("P2/cam")


def test_an_error_names_the_file_where_it_is_kept(world: Path, tmp_path: Path) -> None:
    place = Storage.of(f"memory://{tmp_path.name}/bad")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    put(place, tmp_path / "bad.npy", "bad.npy")
    with (
        pytest.raises(SolaError, match=rf"^memory://{tmp_path.name}/bad/bad\.npy: "),
        StoredFeatures.of([place.location]).fetched("bad"),
    ):
        pass


def test_videos_here_and_in_a_store_are_found_together(world: Path, tmp_path: Path) -> None:
    place = Storage.of(f"memory://{tmp_path.name}/clips")
    put(place, world / "clips" / "0.mp4", "inner/9.mp4")
    found = find_videos([world / "clips", place.location])
    assert list(found) == ["0", "1", "2", "3", "4", "9"]
    assert found["9"].location == f"{place.location}/inner/9.mp4"
    assert find_videos([f"{place.location}/inner/9.mp4"])["9"].location == found["9"].location
    with pytest.raises(SolaError, match="no videos"):
        find_videos([f"memory://{tmp_path.name}/none"])
    put(place, world / "clips" / "0.mp4", "0.mp4")
    with pytest.raises(SolaError, match=r"clips/0\.mp4: same video id '0' as"):
        find_videos([world / "clips", place.location])
