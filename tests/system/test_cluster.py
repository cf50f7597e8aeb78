"""Jobs on a Ray cluster of two workers, with local files and files on a local S3 server."""

import json
import os
import secrets
import shlex
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

import numpy as np
import psutil
import pytest
from support.calling import refused, sola
from support.documents import shell_lines
from support.extraction import contents, rows_of
from support.places import DOCS, QUADRANTS
from support.rendering import render
from support.stores import put
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK, read_rows
from sola.data.manifest import Manifest
from sola.pipeline.stored_features import StoredFeatures

MODULE = ("--hidden", "16", "--epochs", "1", "--windows-per-video", "4", "--step", "1", "--quiet")
WORLD = SyntheticWorld(training_videos=6, validation_videos=4, length=80.0, length_spread=0.2, channels=16)


def on_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that uses Ray as slow, and ignore Ray's warnings."""
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
    """A Ray cluster on which commands run."""

    ray: int
    """Id of the process that started the cluster."""

    def call(self, *arguments: object) -> None:
        """Run a command on the cluster from this process."""
        assert sola(*arguments, "--executor", "ray") == 0

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that process videos."""
        descendants = psutil.Process(self.ray).children(recursive=True)
        return [process for process in descendants if any("MapWorker" in part for part in process.cmdline())]


def start(script: str, environment: dict[str, str]) -> tuple["subprocess.Popen[str]", str]:
    """Start a script that prints one line and runs until its stdin closes. Return the process and the line."""
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


def stop(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a Ray cluster with two CPUs, and an S3 server with a bucket `videos`."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    server, url = start(S3, dict(os.environ))
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": url, "OMP_NUM_THREADS": "1"}
    # processes without the token cannot join the cluster
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**keys, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem().mkdir("videos")
        head, address = start(RAY, environment)
        environment["RAY_ADDRESS"] = address
        for name, value in environment.items():
            patch.setenv(name, value)
        import ray

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(log_to_driver=False, logging_level="ERROR")
        yield Cluster(head.pid)
        ray.shutdown()
        stop(head)
        stop(server)
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with features, annotations, clips, a module and a detector."""
    folder = tmp_path_factory.mktemp("world")
    write(WORLD, folder / "data")
    (folder / "clips" / "more").mkdir(parents=True)
    for number in range(5):
        render(folder / "clips" / ("more" if number == 3 else "") / f"{number}.mp4", count=30 + number)
    features, annotations = folder / "data" / "features", folder / "data" / "annotations.json"
    module = ("--hidden", "16", "--epochs", "1", "--windows-per-video", "4", "--step", "2")
    assert sola("train", features, "--out", folder / "module", *module, "--quiet") == 0
    detector = ("--model", "bmn", "--length", "24", "--epochs", "2", "--decay-every", "1")
    train = ("train-detector", features, "--annotations", annotations, "--out", folder / "detector")
    assert sola(*train, *detector, "--quiet") == 0
    return folder


def upload(folder: Path, name: str) -> str:
    """Upload a folder to the bucket and return its location."""
    storage = Storage.of(f"s3://videos/{name}")
    for path in filter(Path.is_file, folder.rglob("*")):
        put(storage, path, path.relative_to(folder).as_posix())
    return storage.location


def download(location: str, folder: Path) -> Path:
    storage = Storage.of(location)
    with storage.fetched(*storage.names()) as fetched:
        shutil.copytree(fetched, folder)
    return folder


def assert_same_features(first: Path, second: Path) -> None:
    expected, actual = FeatureSet.open(first), FeatureSet.open(second)
    assert expected.videos == actual.videos
    for video in expected.videos:
        np.testing.assert_array_equal(expected.read(video), actual.read(video))


def manifest(folder: Path) -> Manifest:
    """Return the manifest without the path of the run."""
    read = Manifest.read(folder)
    return replace(read, sola=None if read.sola is None else {**read.sola, "run": ""})


@on_cluster
def test_extracted_features_match_one_process_after_a_worker_is_killed_and_can_be_extended(
    cluster: Cluster, world: Path, tmp_path: Path
) -> None:
    encoder = ("--encoder", f"{QUADRANTS}:slow", "--batch-size", "1", "--quiet", "--skip-bad")  # half a second per clip
    shutil.copytree(world / "clips", tmp_path / "clips")
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"no video")
    clips, out = upload(tmp_path / "clips", "clips"), Storage.of("s3://videos/features")
    assert sola("extract", tmp_path / "clips", "--out", tmp_path / "local", *encoder) == 0
    killed: list[psutil.Process] = []

    def kill_a_worker() -> None:
        deadline = time.monotonic() + 120
        while not any(name.endswith(".npy") for name in out.names()) and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.extend(cluster.workers()[:1])
        killed[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    cluster.call("extract", clips, "--out", out.location, *encoder)
    killer.join()
    assert killed
    remote = download(out.location, tmp_path / "remote")
    assert_same_features(tmp_path / "local", remote)
    assert not list(remote.glob(".*"))
    assert manifest(tmp_path / "local") == manifest(remote)
    rows = [row["video"] for row in read_rows(remote / JOURNAL) if "video" in row]
    assert sorted(rows) == ["0", "1", "2", "3", "4", "bad"]
    expected, actual = rows_of(tmp_path / "local"), rows_of(remote)
    assert actual["3"]["file"] == "s3://videos/clips/more/3.mp4"
    for video in ("0", "1", "2", "3", "4"):
        assert actual[video] | {"file": "", "changed": 0} == expected[video] | {"file": "", "changed": 0}
    assert actual["bad"]["skipped"].startswith("s3://videos/clips/bad.mp4: ")
    before = out.files()
    render(tmp_path / "new.mp4", count=33)
    put(Storage.of(clips), tmp_path / "new.mp4", "new.mp4")
    cluster.call("extract", clips, "--out", out.location, *encoder)
    after = {file.name: file for file in out.files()}
    assert all(after[file.name] == file for file in before if file.name.endswith(".npy"))
    assert "new.npy" in after


@pytest.mark.long  # extract and detect use the same executor
@on_cluster
def test_transformed_features_match_one_process_and_an_unfinished_folder_is_resumed(
    cluster: Cluster, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, out = world / "data" / "features", Storage.of("s3://videos/transformed")
    assert sola("transform", world / "module", features, "--out", tmp_path / "local", "--quiet") == 0
    module, stored = upload(world / "module", "module"), upload(features, "raw")
    call = ("transform", module, stored, "--out", out.location, "--quiet")
    cluster.call(*call)
    remote = download(out.location, tmp_path / "remote")
    assert_same_features(tmp_path / "local", remote)
    assert manifest(tmp_path / "local") == manifest(remote)
    assert Manifest.read(remote).sola["run"] == module

    whole, before = contents(remote), {file.name: file for file in out.files()}
    unchanged, removed, *_ = (name for name in before if name.endswith(".npy"))
    out.remove(removed)
    out.write_json(MARK, read_rows(remote / JOURNAL)[0]["job"])
    with pytest.raises(SolaError, match=f"^{out}: unfinished; run the same command again to continue"):
        StoredFeatures.of([out.location])
    put(Storage.of(stored), features / unchanged, "new.npy")
    cluster.call(*call)
    again = contents(download(out.location, tmp_path / "again"))
    assert again.pop("new.npy") == whole[unchanged]
    assert again == whole
    after = {file.name: file for file in out.files()}
    assert after[unchanged] == before[unchanged]
    assert sola(*call, "--executor", "ray") == 0  # nothing to do, so no worker starts
    assert {file.name: file for file in out.files()} == after
    upload(features, "others")
    others = ("transform", module, "s3://videos/others", "--out", out.location, "--executor", "ray")
    assert f"{out}: already exists with features" in refused(capsys, *others)
    assert {file.name: file for file in out.files()} == after


@on_cluster
def test_detections_match_one_process(cluster: Cluster, world: Path, tmp_path: Path) -> None:
    features, annotations = world / "data" / "features", world / "data" / "annotations.json"
    local = ("--annotations", annotations, "--proposals", tmp_path / "proposals.json", "--quiet")
    assert sola("detect", world / "detector", features, "--out", tmp_path / "local.json", *local) == 0
    detector, stored = upload(world / "detector", "detector"), upload(features, "detection-features")
    put(Storage.of("s3://videos"), annotations, "annotations.json")
    remote = ("--annotations", "s3://videos/annotations.json", "--proposals", "s3://videos/proposals.json", "--quiet")
    cluster.call("detect", detector, stored, "--out", "s3://videos/remote.json", *remote)
    for local_name, remote_name in (("local", "remote"), ("proposals", "proposals")):
        expected = json.loads((tmp_path / f"{local_name}.json").read_text())["results"]
        actual = Storage.of("s3://videos").read_json(f"{remote_name}.json")["results"]
        assert list(expected) == list(actual)
        for video in expected:
            assert [item["label"] for item in expected[video]] == [item["label"] for item in actual[video]]
            for key in ("segment", "score"):
                np.testing.assert_allclose(
                    [item[key] for item in expected[video]], [item[key] for item in actual[video]], atol=1e-5
                )


@pytest.mark.long  # other tests run the same commands
@on_cluster
def test_the_commands_of_the_guide_run(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    lines = shell_lines(DOCS / "guides" / "scale.md")
    extract, transform, detect = (shlex.split(line)[1:] for line in lines if line.startswith("sola "))
    at = extract.index("--worker-gpus")
    del extract[at : at + 2]
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    for number in range(3):
        render(Path("clips") / f"{number}.mp4", count=160)
    upload(Path("clips"), "2026")
    for bucket in ("features", "detections"):
        s3fs.S3FileSystem().mkdir(bucket)
    assert sola(*extract, "--quiet") == 0
    features = download("s3://features/2026", tmp_path / "features")
    assert sola("train", features, "--out", "runs/module", *MODULE) == 0
    assert sola(*transform, "--quiet") == 0
    softened = download("s3://features/2026-sola", tmp_path / "softened")
    instances = [{"segment": [1.0, 3.0], "label": "move"}, {"segment": [5.0, 6.0], "label": "stop"}]
    video = {"subset": "training", "duration": 8.0, "annotations": instances}
    database = {"database": dict.fromkeys(FeatureSet.open(softened).videos, video)}
    Path("annotations.json").write_text(json.dumps(database))
    training = ("--model", "bmn", "--recipe", "quick", "--epochs", "1", "--decay-every", "1", "--quiet")
    train = ("train-detector", softened, "--annotations", "annotations.json", "--out", "runs/detector")
    assert sola(*train, *training) == 0
    assert sola(*detect, "--quiet") == 0
    found = Storage.of("s3://detections").read_json("2026.json")["results"]
    assert sorted(found) == ["0", "1", "2"]


@pytest.mark.long
@on_cluster
def test_video_ids_with_folders_are_stored_in_folders_of_the_bucket(
    cluster: Cluster, world: Path, tmp_path: Path
) -> None:
    for number in range(2):
        (tmp_path / "clips" / f"P{number}").mkdir(parents=True)
        render(tmp_path / "clips" / f"P{number}" / "cam.mp4", count=100 + number)
    encoder = ("--encoder", f"{QUADRANTS}:quick", "--id-from", "path", "--quiet")
    assert sola("extract", tmp_path / "clips", "--out", tmp_path / "local", *encoder) == 0
    out = Storage.of("s3://videos/cameras")
    cluster.call("extract", upload(tmp_path / "clips", "camera-clips"), "--out", out.location, *encoder)
    with out.fetched(*out.names(recursive=True)) as remote:
        assert sorted(path.relative_to(remote).as_posix() for path in remote.rglob("*.npy")) == [
            "P0/cam.npy",
            "P1/cam.npy",
        ]
        for video in ("P0/cam", "P1/cam"):
            np.testing.assert_array_equal(
                np.load(remote / f"{video}.npy"), np.load(tmp_path / "local" / f"{video}.npy")
            )
    assert sola("train", tmp_path / "local", "--out", tmp_path / "run", *MODULE, "--id-from", "path") == 0
    options = ("--id-from", "path", "--quiet")
    assert sola("transform", tmp_path / "run", tmp_path / "local", "--out", tmp_path / "soft", *options) == 0
    soft = Storage.of("s3://videos/soft-cameras")
    cluster.call("transform", tmp_path / "run", out.location, "--out", soft.location, *options)
    with soft.fetched(*soft.names(recursive=True)) as remote:
        for video in ("P0/cam", "P1/cam"):
            np.testing.assert_array_equal(np.load(remote / f"{video}.npy"), np.load(tmp_path / "soft" / f"{video}.npy"))
    before = soft.files(recursive=True)
    cluster.call("transform", tmp_path / "run", out.location, "--out", soft.location, *options)
    assert soft.files(recursive=True) == before


def test_object_store_paths_need_the_ray_executor(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "transform", world / "module", "s3://videos/raw", "--out", "out")
    assert "s3://videos/raw: is in an object store; pass --executor ray" in line
    line = refused(capsys, "extract", world / "clips", "--out", "x", "--executor", "ray", "--workers", "0")
    assert "--workers" in line
