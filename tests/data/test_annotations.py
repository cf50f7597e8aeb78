"""Annotations of ActivityNet, HACS and THUMOS14."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations, read_videos

VIDEO = {
    "subset": "training",
    "duration": 20.5,
    "fps": 25,
    "annotations": [{"segment": [1, 4.5], "label": "jump"}, {"segment": [3, 30], "label": "dive"}],
}


def write(folder: Path, database: Any, **other: Any) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps({"version": "1.3", "database": database, **other}))
    return path


def test_activitynet_is_read_with_sorted_classes(tmp_path):
    empty = {"subset": "testing", "duration": "7.5", "annotations": []}
    annotations = read_annotations(write(tmp_path, {"b": VIDEO, "a": empty}, taxonomy=[]))
    assert annotations.classes == ("dive", "jump")
    video = annotations.videos["b"]
    assert (video.video, video.subset, video.duration, video.fps) == ("b", "training", 20.5, 25.0)
    assert video.segments.start.tolist() == [1, 3]
    assert video.segments.end.tolist() == [4.5, 30]  # beyond the duration, but kept
    assert video.segments.label.tolist() == [1, 0]
    assert video.segments.score.tolist() == [1, 1]
    assert annotations.videos["a"].duration == 7.5
    assert len(annotations.videos["a"].segments) == 0


def test_database_may_follow_other_lists(tmp_path):
    path = tmp_path / "annotations.json"
    taxonomy = [{"nodeName": f"class {number}", "parentId": number} for number in range(3000)]
    path.write_text(json.dumps({"taxonomy": taxonomy, "version": "1.3", "database": {"a": VIDEO}}))
    assert path.stat().st_size > 100_000
    assert list(read_annotations(path).videos) == ["a"]


def test_thumos_times_may_be_strings_and_durations_missing(tmp_path):
    record = {"subset": "train", "annotations": [{"segment": ["18.6", "24.8"], "label": "HighJump"}]}
    video = read_annotations(write(tmp_path, {"v": record})).videos["v"]
    assert (video.segments.start[0], video.segments.end[0]) == (18.6, 24.8)
    assert video.duration is None
    assert video.fps is None


def test_frame_rate_follows_from_opentad_frame_counts(tmp_path):
    record = {"subset": "training", "duration": 12.0, "frame": 300, "annotations": []}
    videos = read_annotations(write(tmp_path, {"v": record, "w": {**record, "fps": 24}})).videos
    assert (videos["v"].fps, videos["w"].fps) == (25.0, 24.0)


@pytest.mark.parametrize("subset", ["test", "Testing"])
def test_annotations_of_a_test_subset_may_be_withheld(tmp_path, subset):
    path = write(tmp_path, {"v": {"subset": subset, "duration": 9.0}, "w": VIDEO})
    assert (read_videos(path)["v"].annotated, read_videos(path)["w"].annotated) == (False, True)
    assert len(read_annotations(path).subset("test").videos["v"].segments) == 0


def test_label_key_picks_the_class_field(tmp_path):
    record = {"subset": "train", "annotations": [{"segment": [0, 1], "verb": 12, "noun": "cup"}]}
    path = write(tmp_path, {"v": record})
    assert read_annotations(path, "verb").classes == ("12",)
    assert read_annotations(path, "noun").classes == ("cup",)
    with pytest.raises(SolaError, match="'v': an annotation has no 'label', only 'segment', 'verb', 'noun'"):
        read_annotations(path)


def test_subset_keeps_all_classes(tmp_path):
    other = {"subset": "validation", "annotations": []}
    annotations = read_annotations(write(tmp_path, {"a": VIDEO, "b": other, "c": other}))
    validation = annotations.subset("validation")
    assert tuple(validation.videos) == ("b", "c")
    assert validation.classes == annotations.classes


def test_error_for_unknown_subset_lists_the_existing_subsets(tmp_path):
    annotations = read_annotations(write(tmp_path, {"a": VIDEO, "b": VIDEO}))
    with pytest.raises(SolaError, match=r"'test'.*'training' \(2 videos\)"):
        annotations.subset("test")


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        ("Training", "training"),
        ("training", "TRAINING"),
        ("train", "training"),
        ("Val", "validation"),
        ("Test", "test"),
    ],
)
def test_subset_matches_any_case_and_common_short_forms(tmp_path, there, asked):
    others = {"b": {**VIDEO, "subset": "other"}}
    annotations = read_annotations(write(tmp_path, {"a": {**VIDEO, "subset": there}, **others}))
    assert tuple(annotations.subset(asked).videos) == ("a",)


def test_exact_subset_name_takes_precedence_over_short_forms(tmp_path):
    subsets = {"a": "train", "b": "training", "c": "Training"}
    annotations = read_annotations(write(tmp_path, {key: {**VIDEO, "subset": name} for key, name in subsets.items()}))
    assert tuple(annotations.subset("training").videos) == ("b", "c")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("18.6", 18.6), (" 7 ", 7.0), ("1e1", 10.0)),
        *(("00:00:20.00", 20.0), ("01:02:03,5", 3723.5), ("2:05", 125.0), ("90:00", 5400.0)),
        ("30000/1001", 30000 / 1001),
    ],
)
def test_times_and_rates_may_be_clock_times_and_fractions(tmp_path, text, number):
    record = {**VIDEO, "fps": text, "duration": text, "annotations": [{"segment": [0, text], "label": "jump"}]}
    video = read_annotations(write(tmp_path, {"v": record})).videos["v"]
    assert (video.fps, video.duration, video.segments.end[0]) == (number, number, number)


def test_duplicate_video_is_rejected(tmp_path):
    record = json.dumps(VIDEO)
    (tmp_path / "a.json").write_text(f'{{"database": {{"v": {record}, "w": {record}, "v": {record}}}}}')
    with pytest.raises(SolaError, match=r"a\.json: has 'v' twice; expected it once: rename or remove one"):
        read_annotations(tmp_path / "a.json")


OTHER_TOOLS = {
    "project.xml": ('<?xml version="1.0"?>\n<project/>', "an XML file"),
    "via2.json": ('{"_via_settings": {}, "_via_img_metadata": {}}', "a VIA project"),
    "coco.json": ('{"images": [], "categories": [], "annotations": []}', "a COCO file"),
    "blanks.txt": ("vid00 20 40 high jump\nvid01 20 40 a\n", "a table"),
    "BaseballPitch_test.txt": ("video_test_0000324  1.0 2.0\nvideo_test_0000324  5.1 6.0\n", "THUMOS14's times of one"),
    "a.jsonl": ('{"video": "v", "annotations": []}\n{"video": "w", "annotations": []}\n', "JSON lines"),
    "a.yaml": ("database:\n  vid00:\n    subset: training\n", "YAML"),
    "b.yaml": ("---\nvid00: [1, 2]\n", "YAML"),
    "captions.json": ('{"v": {"duration": 9, "timestamps": [[1, 2]], "sentences": ["a"]}}', "captions of ActivityNet"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_error_names_the_tool_of_an_unsupported_file(tmp_path, name, encoding):
    text, what = OTHER_TOOLS[name]
    (tmp_path / name).write_text(text, encoding=encoding)
    with pytest.raises(SolaError, match=f"{name}: looks like {what}.*; expected annotations .*: convert it to a table"):
        read_annotations(tmp_path / name)


RECORD = '{"subset": "training", "duration": 9, "annotations": [{"segment": [1, 2], "label": "a"}]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"version": "1", "results": {"v": []}}', "detections, .*; pass them as PREDICTIONS to `sola evaluate`, and"),
        (b"video_1 1 2 7 .5\nvideo_2 1 2 8 .5\n", "a table; expected annotations"),
        (b'{"dim": 8, "fps": 30, "stride": 1, "window": 2}', "a manifest of features; put it into the folder of"),
        (f'{{"v": {RECORD}}}'.encode(), 'records without "database"; expected .* put the records, by video id, under'),
        (f"[{RECORD}]".encode(), 'records without "database"; expected .* put the records, by video id, under'),
        (b"PK\x03\x04xl/workbook.xml", "an Excel workbook; save it as CSV, and convert it"),
        (b"\x93NUMPY\x01\x00", "an array; pass features as FEATURES"),
    ],
)
def test_error_for_a_file_of_another_kind_gives_advice(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SolaError, match=f"a.json: looks like .*{message}"):
        read_annotations(tmp_path / "a.json")


def test_empty_database_is_rejected(tmp_path):
    (tmp_path / "a.json").write_text('{"database": {}}')
    with pytest.raises(SolaError, match=r'a\.json: "database" has no videos; expected at least one'):
        read_annotations(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text", ['{"database": {"v": ', "jump", "", "\x00\x01,\x02,\x03\n", '{"a": 1, "b": 2, "c": 3}']
)
def test_other_content_is_not_mistaken_for_a_file_of_another_tool(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SolaError) as error:
        read_annotations(tmp_path / "a.json")
    assert "looks like" not in str(error.value)


def changed(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in {**VIDEO, **values}.items() if value is not ...}


def segment(*times: Any) -> dict[str, Any]:
    return changed(annotations=[{"segment": list(times), "label": "jump"}])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (7, "not 7"),
        (changed(subset=...), '"subset" must be a string, not nothing'),
        (changed(subset=3), '"subset" must be a string, not 3'),
        (changed(annotations=...), '"annotations" must be a list'),
        (changed(annotations={}), '"annotations" must be a list.*not {}'),
        (changed(annotations=["jump"]), "not 'jump'"),
        (changed(annotations=[{"label": "jump"}]), '"segment" must be .*, not nothing'),
        (changed(annotations=[{"segment": [1, 2], "label": 1.5}]), "'label' must be .*, not 1.5"),
        (changed(duration=0), '"duration" must be positive, not 0'),
        (changed(duration="long"), "\"duration\" must be a finite number, not 'long'"),
        (changed(duration=True), '"duration" .* not True'),
        (changed(fps=-25), '"fps" must be positive, not -25'),
        (segment(1), r"not \[1\]"),
        (segment(1, None), "not nothing"),
        (segment(1, "end"), "not 'end'"),
        (segment(float("nan"), 2), "not nan"),
        (segment(0, float("inf")), "not inf"),
        (segment(0, 10**400), "not 1000"),
        (segment(5, 4), r"segment \[5, 4\] ends before it starts"),
    ],
)
def test_error_for_a_bad_record_names_video_and_value(tmp_path, record, message):
    path = write(tmp_path, {"good": VIDEO, "bad": record})
    with pytest.raises(SolaError, match=f"^{path}: video 'bad': .*{message}") as raised:
        read_annotations(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("document", [[], {}, {"database": []}, 3])
def test_other_json_document_is_rejected(tmp_path, document):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    with pytest.raises(SolaError, match=r"expected annotations|ActivityNet layout"):
        read_annotations(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["subset", "duration", "annotations", "segment", "label", "x\n"]), inner)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps({"database": {"v\n": value}}).encode()))
def test_arbitrary_bytes_are_read_or_raise_a_one_line_error(tmp_path, content):
    path = tmp_path / "annotations.json"
    path.write_bytes(content)
    message = ""
    try:
        read_annotations(path)
    except SolaError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.slow
def test_published_files_are_read_completely(shared_data):
    activitynet = read_annotations(shared_data / "annotations" / "activitynet-1.3.json")
    assert len(activitynet.videos) == 19_228
    assert len(activitynet.classes) == 200
    validation = activitynet.subset("validation").videos.values()
    assert len(validation) == 4_728
    assert sum(len(video.segments) for video in validation) == 7_293

    thumos = read_annotations(shared_data / "annotations" / "thumos14.json")
    assert len(thumos.videos) == 410
    assert len(thumos.classes) == 20
    assert sum(len(video.segments) for video in thumos.videos.values()) == 6_318
