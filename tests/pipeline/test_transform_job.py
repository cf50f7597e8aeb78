"""Transform jobs: file layout, continued jobs, and refused outputs."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.feature_files import VIDEOS, expected, make

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK
from sola.data.manifest import Manifest
from sola.pipeline.executors import Threads, run_job
from sola.pipeline.transform_job import RewriteJob, transform
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule


class Widened:
    """Returns arrays as float32, counts them, and fails after `stop_after` arrays."""

    def __init__(self, stop_after: int = 99, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.count = 0
        self.stop_after, self.error = stop_after, error

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if self.count == self.stop_after:
            raise self.error
        self.count += 1
        return values.astype(np.float32)


def write(
    features: FeatureSet, out: Path, change: object = None, *, kind: str = "widened", overwrite: bool = False
) -> dict[str, str]:
    def manifest(read: FeatureSet) -> Manifest:
        return dataclasses.replace(read.manifest, sola={"gate": 0.5})

    changed = change or Widened()
    job = RewriteJob(features, out, lambda: changed, manifest, {"kind": kind}, overwrite=overwrite)
    return run_job(job, Threads(), skip_bad=features.skip_bad)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv", ".h5"])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_output_has_the_layout_of_the_input(tmp_path: Path, suffix: str, transposed: bool) -> None:
    dtype = np.float32 if suffix == ".csv" else np.float16
    source, out = make(tmp_path / "in", suffix, transposed, dtype), tmp_path / "deep" / "out"
    write(FeatureSet.open(source, channels_first=transposed), out)

    assert {path.name for path in out.iterdir()} == {path.name for path in source.iterdir()} | {
        "features.json",
        JOURNAL,
    }
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    written = FeatureSet.open(out)  # the manifest has the layout of the arrays
    assert written.manifest.sola == {"gate": 0.5}
    for i, (video, values) in enumerate(written.items()):
        np.testing.assert_array_equal(values, expected(i, dtype))
        assert values.dtype == dtype
        assert written.file_name(video) == FeatureSet.open(source, channels_first=transposed).file_name(video)


def test_joined_streams_are_written_as_a_single_stream(tmp_path: Path) -> None:
    features = FeatureSet.open([make(tmp_path / "rgb", ".csv", dtype=np.float32), make(tmp_path / "flow")])
    write(features, tmp_path / "out")
    written = FeatureSet.open(tmp_path / "out")
    assert written.file_name("a") == "a.csv"
    for video, values in features.items():
        np.testing.assert_array_equal(written.read(video), values)


def test_a_result_out_of_range_for_the_dtype_is_refused(tmp_path: Path) -> None:
    features = FeatureSet.open(make(tmp_path / "in"), skip_bad=True)
    with pytest.raises(SolaError, match="video 'a': a result is NaN or exceeds the largest float16 value 65504"):
        write(features, tmp_path / "out", lambda values: np.full((10, 4), 7e4, np.float32))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {MARK, JOURNAL}


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_job_is_not_read_and_continues(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    features, out = FeatureSet.open(make(tmp_path / "in", suffix)), tmp_path / "out"
    with pytest.raises(error):
        write(features, out, Widened(1, error))
    with pytest.raises(SolaError, match="unfinished; run the same command again to continue"):
        FeatureSet.open(out)
    (out / ".b.npy.7.tmp").touch()  # a temporary file of a killed job
    again = Widened()
    write(features, out, again)
    assert again.count == (2 if suffix == ".npy" else 3)  # an archive is written again as a whole
    assert FeatureSet.open(out).videos == VIDEOS
    assert not list(out.glob(".*"))
    write(features, tmp_path / "at once")
    for path in (path for path in out.iterdir() if path.suffix == ".npy"):
        assert path.read_bytes() == (tmp_path / "at once" / path.name).read_bytes()


def test_written_videos_are_not_written_again(tmp_path: Path) -> None:
    features, out = FeatureSet.open(make(tmp_path / "in")), tmp_path / "out"
    write(features, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    write(features, out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
def test_missing_videos_and_videos_of_changed_files_are_written_again(tmp_path: Path, suffix: str) -> None:
    source, out = make(tmp_path / "in", suffix), tmp_path / "out"
    write(FeatureSet.open(source), out)
    (out / ("a.npy" if suffix == ".npy" else "all.h5")).unlink()
    if suffix == ".npy":
        np.save(source / "b.npy", expected(2))
    else:
        with h5py.File(source / "all.h5", "a") as file:
            file["b"][:1] = 1.0
    again = Widened()
    write(FeatureSet.open(source), out, again)
    assert again.count == (2 if suffix == ".npy" else 3)
    for video, values in FeatureSet.open(source).items():
        np.testing.assert_array_equal(FeatureSet.open(out).read(video), values)


def test_output_of_another_job_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    features, out = FeatureSet.open(make(tmp_path / "in")), tmp_path / "out"
    write(features, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(
        SolaError, match=f"{out}: already exists with kind widened, but now kind is other; .*--overwrite"
    ):
        write(features, out, kind="other")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    np.save(out / "z.npy", expected(0))
    write(features, out, kind="other", overwrite=True)
    assert FeatureSet.open(out).videos == VIDEOS


@pytest.mark.parametrize("overwrite", [False, True])
def test_features_without_a_journal_are_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    features, out = FeatureSet.open(make(tmp_path / "in")), make(tmp_path / "out")
    (out / "features.json").write_text('{"sola": {}}')
    with pytest.raises(SolaError, match=f"{out}: exists and was not written by `sola transform`"):
        write(features, out, overwrite=overwrite)


@pytest.mark.parametrize("name", ["in", "."])
def test_the_input_is_never_replaced(tmp_path: Path, name: str) -> None:
    source = make(tmp_path / "in")
    (source / "features.json").write_text("{}")
    with pytest.raises(SolaError, match="holds the features that are read"):
        write(FeatureSet.open(source), tmp_path / name, overwrite=True)
    assert (source / "a.npy").exists()


def test_bad_files_can_be_skipped(tmp_path: Path) -> None:
    source, out = make(tmp_path / "in"), tmp_path / "out"
    spoiled = expected(1)
    spoiled[3] = np.nan
    np.save(source / "b.npy", spoiled)
    with pytest.raises(SolaError, match=r"b\.npy: contains NaN .*--skip-bad"):
        write(FeatureSet.open(source), out)
    skipped = write(FeatureSet.open(source, skip_bad=True), out)
    assert list(skipped) == ["b"]
    assert FeatureSet.open(out).videos == ("a", "c")
    np.save(source / "a.npy", spoiled)  # the output is from an earlier file
    write(FeatureSet.open(source, skip_bad=True), out)
    assert FeatureSet.open(out).videos == ("c",)
    np.save(source / "c.npy", spoiled)
    with pytest.raises(SolaError, match="none of 3 videos is left"):
        write(FeatureSet.open(source, skip_bad=True), out)


def test_the_error_for_an_overflow_names_the_video(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "loud.npy", np.full((20, 6), 6e4, np.float16))
    module = SoLa(6, hidden=8, gate="linear").eval()
    torch.nn.init.constant_(module.alpha, 1e4)
    with pytest.raises(SolaError, match="loud"):
        transform(TrainedModule(module), FeatureSet.open(tmp_path / "in"), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.npy"))


def test_transform_returns_the_written_features(tmp_path: Path) -> None:
    features = FeatureSet.open(make(tmp_path / "in")).only(["a", "c"])
    calls: list[tuple[float, int, int]] = []
    module = TrainedModule(SoLa(4).eval())
    written = transform(module, features, tmp_path / "out", progress=lambda *values: calls.append(values))
    assert written.videos == ("a", "c")
    assert calls[-1][:2] == (2.0, 2)


def tree(folder: Path, suffix: str = ".npy") -> Path:
    for place in ("P1", "P2/day"):
        make(folder / place, suffix, dtype=np.float32)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_subfolders_are_preserved(tmp_path: Path, suffix: str) -> None:
    source, out = tree(tmp_path / "in", suffix), tmp_path / "out"
    features = FeatureSet.open(source, id_from="path")
    write(features, out)
    assert files(out) == files(source) | {"features.json", JOURNAL}
    written = FeatureSet.open(out, id_from="path")
    for video, values in features.items():
        np.testing.assert_array_equal(written.read(video), values)
    again = Widened()
    write(features, out, again)
    assert again.count == 0


def test_a_job_with_subfolders_continues(tmp_path: Path) -> None:
    features, out = FeatureSet.open(tree(tmp_path / "in"), id_from="path"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write(features, out, Widened(4))
    (out / "P1" / ".b.npy.7.tmp").touch()
    again = Widened()
    write(features, out, again)
    assert again.count == 2
    assert files(out) == files(tmp_path / "in") | {"features.json", JOURNAL}


def test_overwrite_keeps_other_files_in_subfolders(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in"), tmp_path / "out"
    write(FeatureSet.open(source, id_from="path"), out)
    np.save(out / "P1" / "other.npy", expected(0))
    (source / "P1" / "a.npy").unlink()
    write(FeatureSet.open(source, id_from="path"), out, kind="other", overwrite=True)
    assert files(out) == files(source) | {"P1/other.npy", "features.json", JOURNAL}


def test_streams_of_one_folder_are_written_as_a_single_stream(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i, video in enumerate(VIDEOS):
        np.save(tmp_path / "in" / f"{video}_rgb.npy", expected(i))
        np.save(tmp_path / "in" / f"{video}_flow.npy", expected(i)[:-1])
    features, out = FeatureSet.open(tmp_path / "in", stream_suffixes=["rgb", "flow"]), tmp_path / "out"
    write(features, out)
    assert files(out) == {"a.npy", "b.npy", "c.npy", "features.json", JOURNAL}
    written = FeatureSet.open(out)
    for i, (video, values) in enumerate(written.items()):
        np.testing.assert_array_equal(values, np.concatenate([expected(i)[:-1]] * 2, axis=1))
        assert written.header(video) == features.header(video)


@pytest.mark.parametrize("grouped", [False, True])
def test_an_archive_of_streams_is_written_as_a_single_stream(tmp_path: Path, grouped: bool) -> None:
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "in" / "all.h5", "w") as file:
        for name in ("a_rgb", "a_flow", "b_rgb", "b_flow"):
            file[f"{name}/values" if grouped else name] = expected(0)
    write(FeatureSet.open(tmp_path / "in", stream_suffixes=["rgb", "flow"]), tmp_path / "out")
    with h5py.File(tmp_path / "out" / "all.h5") as file:
        assert sorted(file) == ["a", "b"]
        assert file["a/values" if grouped else "a"].shape == (9, 8)


@pytest.mark.parametrize("name", ["..", ".hidden", "~", "a.npy"])
def test_names_in_an_archive_cannot_leave_the_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "in" / "all.h5", "w") as file:
        file[name] = expected(0)
    before = files(tmp_path)
    write(FeatureSet.open(tmp_path / "in"), tmp_path / "out" / "deep")
    assert files(tmp_path) - before == {f"out/deep/{name}" for name in ("all.h5", "features.json", JOURNAL)}
    np.testing.assert_array_equal(FeatureSet.open(tmp_path / "out" / "deep").read(name), expected(0))
