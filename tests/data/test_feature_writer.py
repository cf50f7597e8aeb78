"""Writing features in the place of others."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.feature_files import VIDEOS, expected, make

from sola.core.errors import SolaError
from sola.data.feature_writer import FeatureWriter
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest


def write(features: FeatureSet, out: Path, overwrite: bool = False) -> None:
    manifest = dataclasses.replace(features.manifest, sola={"gate": 0.5})
    with FeatureWriter(features, out, manifest, overwrite=overwrite) as writer:
        for video, values in features.items():
            writer.write(video, values.astype(np.float32))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv", ".h5"])
@pytest.mark.parametrize("transposed", [False, True])
def test_what_is_written_can_replace_what_was_read(tmp_path, suffix, transposed):
    dtype = np.float32 if suffix == ".csv" else np.float16
    source, out = make(tmp_path / "in", suffix, transposed, dtype), tmp_path / "deep" / "out"
    write(FeatureSet.open(source, channels_first=transposed), out)

    assert {path.name for path in out.glob("[!.]*")} == {path.name for path in source.iterdir()} | {"features.json"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    written = FeatureSet.open(out)  # the manifest says how the arrays lie
    assert written.manifest.sola == {"gate": 0.5}
    for i, (video, values) in enumerate(written.items()):
        np.testing.assert_array_equal(values, expected(i, dtype))
        assert values.dtype == dtype
        assert written.file_name(video) == FeatureSet.open(source, channels_first=transposed).file_name(video)


def test_joined_streams_are_written_as_one(tmp_path):
    features = FeatureSet.open([make(tmp_path / "rgb", ".csv", dtype=np.float32), make(tmp_path / "flow")])
    write(features, tmp_path / "out")
    written = FeatureSet.open(tmp_path / "out")
    assert written.file_name("a") == "a.csv"
    for video, values in features.items():
        np.testing.assert_array_equal(written.read(video), values)


def test_a_result_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    features = FeatureSet.open(make(tmp_path / "in"))

    def scaled_up() -> None:
        with FeatureWriter(features, tmp_path / "out", features.manifest) as writer:
            writer.write("a", expected(0))
            writer.write("b", np.full((10, 4), 7e4, np.float32))

    with pytest.raises(SolaError, match="video 'b': a result does not fit float16, whose largest value is 65504"):
        scaled_up()
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


MANIFEST = Manifest(sola={"sizes": (1, 2)})


def interrupted(features: FeatureSet, out: Path) -> None:
    """Write one video and be interrupted at the second."""
    with contextlib.suppress(KeyboardInterrupt), FeatureWriter(features, out, MANIFEST) as writer:
        writer.write("a", expected(0))
        raise KeyboardInterrupt


def test_an_interrupted_writer_is_gone_on_with(tmp_path):
    features, out = FeatureSet.open(make(tmp_path / "in")), tmp_path / "out"
    interrupted(features, out)
    assert not out.exists()
    (tmp_path / ".out.partial" / ".b.npy.7.tmp").touch()  # what a kill leaves of the file being written

    with FeatureWriter(features, out, MANIFEST) as writer:
        assert [writer.has(video) for video in VIDEOS] == [True, False, False]
        writer.write("b", expected(1))
        writer.write("c", expected(2))
    assert {path.name for path in out.glob("[!.]*")} == {"a.npy", "b.npy", "c.npy", "features.json"}


def test_what_was_written_is_not_written_again(tmp_path):
    features, out = FeatureSet.open(make(tmp_path / "in")), tmp_path / "out"
    write(features, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    write(features, out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    (out / "a.npy").unlink()
    with pytest.raises(SolaError, match="exists already"):
        write(features, out)


def test_what_another_module_wrote_is_not_gone_on_with(tmp_path):
    features, out = FeatureSet.open(make(tmp_path / "in")), tmp_path / "out"
    interrupted(features, out)
    with FeatureWriter(features, out, Manifest(sola={"gate": 1.0})) as writer:
        assert not writer.has("a")


def test_a_place_that_is_taken_is_kept_unless_told(tmp_path):
    features = FeatureSet.open(make(tmp_path / "in"))
    out = make(tmp_path / "out")
    with pytest.raises(SolaError, match=f"{out}: exists already.*--overwrite"):
        write(features, out)
    with pytest.raises(SolaError, match=r"has no features\.json of ours, so is not ours to overwrite"):
        write(features, out, overwrite=True)
    (out / "features.json").write_text('{"fps": 25}')  # a user's own features
    with pytest.raises(SolaError, match="not ours to overwrite"):
        write(features, out, overwrite=True)
    (out / "features.json").write_text('{"sola": {}}')
    (out / "z.npy").touch()
    write(features, out, overwrite=True)
    assert FeatureSet.open(out).manifest.sola == {"gate": 0.5}
    assert not (out / "z.npy").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_an_empty_folder_is_free(tmp_path):
    (tmp_path / "out").mkdir()
    write(FeatureSet.open(make(tmp_path / "in")), tmp_path / "out")
    assert FeatureSet.open(tmp_path / "out").videos == VIDEOS


@pytest.mark.parametrize("name", ["in", "."])
def test_the_features_that_are_read_are_never_replaced(tmp_path, name):
    source = make(tmp_path / "in")
    (source / "features.json").write_text("{}")
    with pytest.raises(SolaError, match="holds the features that are read"):
        write(FeatureSet.open(source), tmp_path / name, overwrite=True)
    assert (source / "a.npy").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SolaError, match=f"^{tmp_path}/file/out: cannot be written"):
        write(FeatureSet.open(make(tmp_path / "in")), tmp_path / "file" / "out")
