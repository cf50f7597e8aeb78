"""Data sets: features matched with annotations, and snippet times."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.data.snippet_labels import label_videos, reader
from sola.data.timing import SnippetGrid


def write_features(folder: Path, lengths: dict[str, int], fps: float | None = 2.0, fill: float = 1.0) -> Path:
    folder.mkdir(parents=True)
    for video, length in lengths.items():
        values = np.full((length, 3), fill, np.float32)
        values[-1] += 1  # otherwise the end would look like padding
        np.save(folder / f"{video}.npy", values)
    Manifest(fps=fps).write(folder)
    return folder


def annotate(subsets: dict[str, str], duration: float | None = None) -> Annotations:
    """Annotate an action of class 1 from 1 s to 2 s in each video."""
    segments = Segments(np.array([1.0]), np.array([2.0]), np.array([1]), np.ones(1))
    videos = {id_: VideoAnnotation(id_, subset, duration, None, segments) for id_, subset in subsets.items()}
    return Annotations(videos, ("jump", "run"))


def small(tmp_path: Path) -> Dataset:
    """Training videos a and b, validation video c; d lacks features, e annotations."""
    features = write_features(tmp_path / "features", {"a": 10, "b": 12, "c": 14, "e": 9})
    subsets = {"a": "training", "b": "training", "c": "validation", "d": "testing"}
    return Dataset.open(features, annotate(subsets, duration=6.0))


def ids(data: Dataset) -> list[str]:
    return [video.id for video in data.videos]


# --- matching ----------------------------------------------------------------------------------------------------


def test_videos_have_features_and_annotations(tmp_path: Path) -> None:
    data = small(tmp_path)
    assert ids(data) == ["a", "b", "c"]
    assert len(data) == 3
    assert data.classes == ("jump", "run")
    a = data.videos[0]
    assert (a.feature_id, a.length, a.duration, a.subset) == ("a", 10, 6.0, "training")
    assert a.segments.label.tolist() == [1]
    assert a.grid == a.timing == SnippetGrid(2.0)
    assert {str(finding) for finding in data.findings} == {
        "1 annotated video without features, such as 'd'",
        "1 video with features but without annotation, such as 'e'",
    }
    assert str(data) == "\n".join(
        [
            "testing and training and validation: 3 of 4 annotated videos with 3 of 4 instances",
            "1 video with features but without annotation, such as 'e'",
            "1 annotated video without features, such as 'd'",
        ]
    )
    assert str(data.subset("training")).startswith("training: 2 annotated videos with 2 instances\n")


def test_without_annotations_all_videos_are_included(tmp_path: Path) -> None:
    data = Dataset.open(write_features(tmp_path / "f", {"b": 5, "a": 4}))
    assert ids(data) == ["a", "b"]
    assert data.classes == ()
    assert data.findings == ()
    assert all(video.subset is None and video.duration is None and not len(video.segments) for video in data.videos)
    assert data.videos[1].grid == SnippetGrid(2.0)
    assert str(data) == "2 videos with features"
    with pytest.raises(SolaError, match=r"subset 'training': unknown without annotations"):
        data.subset("training")


def test_annotation_file_is_read_with_its_class_field(tmp_path: Path) -> None:
    action = {"segment": [0, 1], "verb": "cut"}
    write_json(tmp_path / "a.json", {"database": {"a": {"subset": "training", "annotations": [action]}}})
    features = write_features(tmp_path / "f", {"a": 4})
    assert Dataset.open(str(features), str(tmp_path / "a.json"), label_key="verb").classes == ("cut",)


@pytest.mark.parametrize(("ours", "theirs", "prefix"), [("v_{}", "{}", None), ("{}", "v_{}", None), ("x{}", "{}", "x")])
def test_ids_may_differ_by_a_prefix(tmp_path: Path, ours: str, theirs: str, prefix: str | None) -> None:
    features = write_features(tmp_path / "f", {ours.format(name): 5 for name in "abc"})
    annotations = annotate({theirs.format(name): "training" for name in "abc"})
    data = Dataset.open(features, annotations, id_prefix=prefix)
    assert ids(data) == [theirs.format(name) for name in "abc"]
    assert [video.feature_id for video in data.videos] == [ours.format(name) for name in "abc"]
    (finding,) = data.findings
    assert (finding.kind, finding.count) == ("ids", 3)
    assert repr(ours.format("a")) in str(finding)
    assert repr(theirs.format("a")) in str(finding)
    assert data.read(data.videos[2]).shape == (5, 3)


def test_no_common_video_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match="no video has both features and annotations"):
        Dataset.open(write_features(tmp_path / "f", {"a": 4}), annotate({"b": "training"}))


names = st.sets(st.sampled_from([f"video_{number}" for number in range(8)]), min_size=1)


@given(with_features=names, annotated=names, prefixed=st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_data_set_has_the_common_videos_and_findings_for_the_others(
    tmp_path_factory: pytest.TempPathFactory, with_features: set[str], annotated: set[str], prefixed: bool
) -> None:
    prefix = "test-" if prefixed else ""
    features = write_features(tmp_path_factory.mktemp("d") / "f", {prefix + video: 4 for video in with_features})
    annotations = annotate(dict.fromkeys(annotated, "training"))
    both = with_features & annotated
    if not both:
        with pytest.raises(SolaError, match="no video has both"):
            Dataset.open(features, annotations)
        return
    data = Dataset.open(features, annotations)
    assert ids(data) == sorted(both)
    assert [video.feature_id for video in data.videos] == [prefix + video for video in sorted(both)]
    found = {finding.kind: finding.count for finding in data.findings}
    assert found.get("no_features", 0) == len(annotated - both)
    assert found.get("no_annotation", 0) == len(with_features - both)
    assert ids(data.subset("training")) == sorted(both)


# --- timing ------------------------------------------------------------------------------------------------------


def test_given_timing_fills_in_missing_manifest_values(tmp_path: Path) -> None:
    features = write_features(tmp_path / "f", {"a": 8}, fps=2.0)
    data = Dataset.open(features, timing={"fps": 30.0, "stride": 4.0})
    assert data.videos[0].grid == SnippetGrid(2.0, 4.0, 4.0)
    assert (data.features.manifest.fps, data.features.manifest.stride) == (2.0, 4.0)


def test_duration_gives_snippet_times_without_manifest_timing(tmp_path: Path) -> None:
    features = write_features(tmp_path / "f", {"a": 8}, fps=None)
    data = Dataset.open(features, annotate({"a": "training"}, duration=4.0))
    assert data.videos[0].grid == SnippetGrid.covering(4.0, 8)


def test_grid_of_a_video_without_timing_is_an_error(tmp_path: Path) -> None:
    (video,) = Dataset.open(write_features(tmp_path / "f", {"a": 8}, fps=None)).videos
    assert video.timing is None
    with pytest.raises(SolaError, match=r"video 'a': snippet times are unknown.*--fps"):
        _ = video.grid


# --- parts -------------------------------------------------------------------------------------------------------


def test_a_subset_has_its_videos_features_and_annotations(tmp_path: Path) -> None:
    data = small(tmp_path)
    training = data.subset("training")
    assert ids(training) == ["a", "b"]
    assert training.features.videos == ("a", "b")
    assert training.annotations is not None
    assert set(training.annotations.videos) == {"a", "b"}
    assert training.classes == data.classes
    assert ids(training.subset("training")) == ["a", "b"]
    assert data.features.videos == ("a", "b", "c", "e")  # the whole data set has all


def test_unknown_and_empty_subsets_are_rejected(tmp_path: Path) -> None:
    data = small(tmp_path)
    with pytest.raises(SolaError, match=r"unknown subset 'dev'.*'training' \(2 videos\)"):
        data.subset("dev")
    with pytest.raises(SolaError, match="subset 'testing': none of its 1 videos has features"):
        data.subset("testing")


def test_only_accepts_ids_of_the_data_set(tmp_path: Path) -> None:
    data = small(tmp_path).only(["c", "a"])
    assert ids(data) == ["a", "c"]
    assert data.features.videos == ("a", "c")
    with pytest.raises(SolaError, match="no video 'b'"):
        data.only(["a", "b"])


# --- other features ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [False, True])
def test_other_features_of_the_same_videos(tmp_path: Path, opened: bool) -> None:
    data = small(tmp_path)
    folder = write_features(tmp_path / "soft", {"a": 10, "b": 12, "c": 14, "z": 3}, fps=None, fill=7.0)
    soft = data.with_features(FeatureSet.open(folder) if opened else folder)
    assert ids(soft) == ids(data)
    assert soft.features.videos == ("a", "b", "c")
    assert soft.features.manifest.fps == 2.0  # from the original features, because the manifest lacks fps
    assert [video.grid for video in soft.videos] == [video.grid for video in data.videos]
    assert soft.read(soft.videos[0])[0, 0] == 7.0
    assert data.read(data.videos[0])[0, 0] == 1.0
    assert ids(soft.subset("validation")) == ["c"]


def test_other_features_may_use_the_annotated_ids(tmp_path: Path) -> None:
    raw = write_features(tmp_path / "raw", {"v_a": 4, "v_b": 5})
    data = Dataset.open(raw, annotate({"a": "training", "b": "training"}))
    soft = data.with_features(write_features(tmp_path / "soft", {"a": 4, "b": 5}))
    assert [(video.id, video.feature_id) for video in soft.videos] == [("a", "a"), ("b", "b")]


def test_other_features_must_have_all_videos_and_snippets(tmp_path: Path) -> None:
    data = small(tmp_path)
    few = write_features(tmp_path / "few", {"a": 10, "c": 14})
    with pytest.raises(SolaError, match=f"{few}: no features of video 'b'"):
        data.with_features(few)
    assert ids(data.subset("validation").with_features(few)) == ["c"]
    short = write_features(tmp_path / "short", {"a": 10, "b": 11, "c": 14})
    with pytest.raises(SolaError, match="soft: video 'b': 11 snippets, but the raw features have 12"):
        data.with_features(short, name="soft")


# --- bad files ---------------------------------------------------------------------------------------------------


def with_bad_files(tmp_path: Path) -> Path:
    """Write features a to d, where b is truncated and c contains NaN."""
    folder = write_features(tmp_path / "f", dict.fromkeys("abcd", 6))
    (folder / "b.npy").write_bytes((folder / "b.npy").read_bytes()[:-8])
    np.save(folder / "c.npy", np.full((6, 3), np.nan, np.float32))
    return folder


def test_a_bad_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"b\.npy.*--skip-bad"):
        Dataset.open(with_bad_files(tmp_path))


def test_bad_files_are_skipped_when_they_are_read(tmp_path: Path) -> None:
    data = Dataset.open(with_bad_files(tmp_path), annotate(dict.fromkeys("abcd", "training")), skip_bad=True)
    assert ids(data) == ["a", "c", "d"]
    unreadable = next(finding for finding in data.findings if finding.kind == "unreadable")
    assert (unreadable.count, "b.npy" in str(unreadable)) == (1, True)
    skipped: dict[str, str] = {}
    assert [video.id for video, _ in data.items(skipped)] == ["a", "d"]
    assert list(skipped) == ["c"]
    assert ids(data.readable()) == ["a", "d"]
    assert ids(data) == ["a", "c", "d"]


def test_file_with_bad_header_is_skipped_when_the_data_set_is_opened(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for name, content in (("a", "1,2\n3,4\n"), ("b", "1,2,3\n"), ("c", "5,6\n")):
        (tmp_path / "f" / f"{name}.csv").write_text(content)
    data = Dataset.open(tmp_path / "f", skip_bad=True)
    assert ids(data) == ["a", "c"]
    assert list(data.features.unreadable) == ["b"]
    assert [finding.kind for finding in data.findings] == ["unreadable"]


def test_data_set_with_only_bad_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for name, content in (("a", "1,2\n3,4\n"), ("b", "1,2,3\n")):
        (tmp_path / "f" / f"{name}.csv").write_text(content)
    with pytest.raises(SolaError, match=r"b\.csv.*none of 1 videos is left"):
        Dataset.open(tmp_path / "f", annotate({"b": "training"}), skip_bad=True)


def test_videos_with_bad_values_are_a_finding(tmp_path: Path) -> None:
    data = Dataset.open(with_bad_files(tmp_path), annotate(dict.fromkeys("abcd", "training")), skip_bad=True)
    (finding,) = (finding for finding in data.readable().findings if finding.kind == "unreadable")
    assert finding.count == 2  # the header of b is bad, and the values of c
    assert data.readable().summary.videos == 2


def test_no_readable_video_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    data = small(tmp_path)
    for video in data.videos:
        np.save(tmp_path / "features" / f"{video.feature_id}.npy", np.full((video.length, 3), np.nan, np.float32))
    data = Dataset.open(tmp_path / "features", data.annotations, skip_bad=True)
    with pytest.raises(SolaError, match=rf"a\.npy: contains NaN .*; none of {len(data)} videos is left$"):
        data.readable()


def test_without_skip_bad_readable_reads_no_files(tmp_path: Path) -> None:
    data = small(tmp_path)
    np.save(tmp_path / "features" / "a.npy", np.full((10, 3), np.nan, np.float32))
    assert data.readable() is data


# --- labels ------------------------------------------------------------------------------------------------------


def test_snippets_are_labeled_without_reading_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FeatureSet, "read", lambda *_: pytest.fail("features are read"))
        labeled = label_videos(data.subset("training"))
    assert labeled.videos == ("a", "b")
    assert labeled.lengths == (10, 12)
    assert labeled.labels[0].tolist() == [-1, -1, 0, 0, *[-1] * 6]  # two snippets a second
    assert np.flatnonzero(labeled.sets[0]).tolist() == [1]
    np.testing.assert_allclose(labeled.stack(reader(data)), np.full((22, 3), 3**-0.5, np.float32))


def test_a_data_set_is_immutable_and_can_be_pickled(tmp_path: Path) -> None:
    data = small(tmp_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.videos = ()  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy.read(copy.videos[0]), data.read(data.videos[0]))
