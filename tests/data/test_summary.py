"""Data set summary: usable videos and instances, and problems by kind with an example."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.findings import KINDS, Finding, annotation_findings, instance_findings
from sola.data.manifest import Manifest
from sola.data.segments import Segments, SegmentTable
from sola.data.summary import lines_of, split_summaries, summaries_json
from sola.detectors.clips import Clipping, outside_clips


def instance(start: float, end: float, label: str = "jump") -> dict[str, Any]:
    return {"segment": [start, end], "label": label}


def database() -> dict[str, Any]:
    """Return six training videos of 20 s, each with a good instance and one problem, and one validation video."""
    faults = {
        "good": [instance(2, 6)],
        "empty": [],
        "zero": [instance(2, 6), instance(3, 3)],
        "late": [instance(2, 6), instance(18, 25)],
        "beyond": [instance(2, 6), instance(30, 40)],
        "missing": [instance(2, 6), instance(8, 9)],
    }
    videos = {id_: {"subset": "training", "duration": 20, "annotations": own} for id_, own in faults.items()}
    unseen = [instance(2, 6), instance(8, 9, "fly"), instance(10, 11, "swim")]
    videos["test"] = {"subset": "validation", "duration": 20, "annotations": unseen}
    return videos


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    features = tmp_path / "features"
    features.mkdir()
    rng = np.random.default_rng(0)
    for video in ("good", "empty", "zero", "late", "beyond", "test", "stray"):
        np.save(features / f"{video}.npy", rng.normal(size=(40, 4)).astype(np.float32))
    Manifest(fps=2.0).write(features)
    write_json(tmp_path / "a.json", {"database": database()})
    return Dataset.open(features, read_annotations(tmp_path / "a.json"))


def test_unused_videos_and_instances_are_counted_with_an_example(data: Dataset) -> None:
    training = data.subset("training")
    assert training.summary.lines == [
        "training: 5 of 6 annotated videos with 5 of 9 instances",
        "1 video with features but without annotation, such as 'stray'",
        "1 annotated video without features, such as 'missing'",
        "1 annotated video without an instance, such as 'empty'",
        "1 instance of zero length, such as 3 to 3 s in 'zero'",
        "2 instances outside the video, such as 30 to 40 s in 'beyond', which lasts 20 s",
    ]
    assert str(training) == "\n".join(training.summary.lines)
    assert training.findings == training.summary.findings


def test_the_summary_as_json_has_counts_and_messages(data: Dataset) -> None:
    summaries = split_summaries(data, "training", "validation")
    values = summaries_json(*summaries)
    assert list(values) == ["training", "validation"]
    counts = {
        key: values["training"][key] for key in ("videos", "annotated_videos", "instances", "annotated_instances")
    }
    assert counts == {"videos": 5, "annotated_videos": 6, "instances": 5, "annotated_instances": 9}
    last = values["validation"]["findings"][-1]
    assert last == {
        "kind": "unseen_class",
        "count": 2,
        "example": "'fly' in 'test'",
        "message": "2 instances of a class never seen in training, such as 'fly' in 'test'",
    }
    lines = lines_of(*summaries)
    assert len(lines) == len(set(lines))
    assert sum("stray" in line for line in lines) == 1


def test_instances_outside_the_features_are_counted(tmp_path: Path) -> None:
    features = tmp_path / "features"
    features.mkdir()
    np.save(features / "v.npy", np.eye(20, dtype=np.float32))
    Manifest(fps=2.0).write(features)
    segments = Segments(np.array([1.0, 12.0]), np.array([4.0, 15.0]), np.zeros(2, int), np.ones(2))
    annotations = Annotations({"v": VideoAnnotation("v", "training", None, None, segments)}, ("jump",))
    summary = Dataset.open(features, annotations).summary
    assert (summary.instances, summary.annotated_instances) == (1, 2)
    assert (
        summary.lines[-1]
        == "1 instance outside the features, such as 12 to 15 s in 'v', whose features cover 0 to 10 s"
    )


def test_unreadable_file_counts_once_in_its_subset(tmp_path: Path) -> None:
    features = tmp_path / "features"
    features.mkdir()
    for video in ("a", "b", "c"):
        np.save(features / f"{video}.npy", np.eye(20, dtype=np.float32))
    (features / "b.npy").write_bytes(b"torn")
    segments = Segments(np.array([1.0]), np.array([4.0]), np.zeros(1, int), np.ones(1))
    subsets = {"a": "training", "b": "training", "c": "validation"}
    records = {id_: VideoAnnotation(id_, subset, 10.0, None, segments) for id_, subset in subsets.items()}
    data = Dataset.open(FeatureSet.open(features, skip_bad=True), Annotations(records, ("jump",)))
    kinds = {name: [finding.kind for finding in data.subset(name).findings] for name in ("training", "validation")}
    assert kinds == {"training": ["unreadable"], "validation": []}
    assert data.subset("training").summary.counts == "training: 1 of 2 annotated videos with 1 of 2 instances"
    with pytest.raises(SolaError, match=r"b\.npy: .*; none of 1 videos is left"):
        Dataset.open(FeatureSet.open(features, skip_bad=True), Annotations({"b": records["b"]}, ("jump",)))


def test_instances_outside_all_clips_are_counted(data: Dataset) -> None:
    good = data.subset("training").only(["good"])
    assert outside_clips(good, Clipping(length=8)) == []
    (finding,) = outside_clips(good, Clipping(length=None, window_size=3, window_stride=3))
    assert (
        str(finding)
        == "1 instance with less than half in any clip, such as 2 to 6 s in 'good'; longer clips hold more of them"
    )
    (finding,) = outside_clips(data.subset("training"), Clipping(length=8))
    assert (
        str(finding)
        == "1 instance with less than half in any clip, such as 18 to 25 s in 'late'; longer clips hold more of them"
    )


def test_instances_between_snippets_are_counted(tmp_path: Path) -> None:
    """Snippets are half a second apart, with centers at 0.25 + i / 2."""
    features = tmp_path / "features"
    features.mkdir()
    np.save(features / "v.npy", np.eye(20, dtype=np.float32))
    Manifest(fps=2.0).write(features)
    segments = Segments(np.array([1.0, 2.3, 3.2]), np.array([1.2, 2.7, 3.3]), np.zeros(3, int), np.ones(3))
    annotations = Annotations({"v": VideoAnnotation("v", "training", None, None, segments)}, ("jump",))
    (finding,) = Dataset.open(features, annotations).findings
    assert str(finding) == (
        "2 instances shorter than the snippet stride and without a snippet center, such as 1 to 1.2 s in 'v'"
    )


def test_findings_from_annotations_alone(data: Dataset) -> None:
    assert data.annotations is not None
    assert [finding.kind for finding in annotation_findings(data.annotations)] == ["zero_length", "outside_video"]


@pytest.mark.parametrize("kind", KINDS)
def test_count_of_one_is_singular(kind: str) -> None:
    one, two = (str(Finding(kind, count, "x")) for count in (1, 2))
    noun = KINDS[kind][0]
    assert one.startswith(f"1 {noun} ") or one.startswith(f"1 {noun},")
    assert two.startswith(f"2 {noun}s")


times = st.floats(-5, 30, allow_nan=False)


@given(st.lists(st.tuples(times, times), max_size=6), st.sampled_from([10.0, np.inf]), st.floats(5, 20))
@settings(max_examples=100, deadline=None)
def test_instance_is_used_or_counted(pairs: list[tuple[float, float]], duration: float, end: float) -> None:
    """Compare with plain loops: an unused instance has one reason, and overlapping the features means used."""
    start, stop = (np.array([edge(pair) for pair in pairs]) for edge in (min, max))
    zero = np.zeros(len(pairs), int)
    instances = SegmentTable(start, stop, zero, np.ones(len(pairs)), zero)
    slack = 0.5 if np.isfinite(duration) else 0.0
    found, usable, outside = instance_findings(
        instances, ["v"], *(np.array([value]) for value in (duration, 0.0, end, slack))
    )
    expected = {"zero_length": 0, "outside_video": 0, "outside_features": 0}
    for index, (a, b) in enumerate(zip(start, stop, strict=True)):
        inside = a < end and b > 0
        assert usable[index] == (b > a and inside)
        if b <= a:
            expected["zero_length"] += 1
        elif b > duration + slack or a < -slack:
            expected["outside_video"] += 1
            assert outside[index]
        elif not inside:
            expected["outside_features"] += 1
            assert outside[index]
    assert {finding.kind: finding.count for finding in found} == {k: n for k, n in expected.items() if n}
