"""Detection files: both formats, and errors for malformed files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.detections import read_detections, write_detections
from sola.data.segments import Segments

number = st.floats(allow_nan=False, allow_infinity=False)


def write(path, results) -> None:
    path.write_text(json.dumps({"version": "x", "results": results, "external_data": {}}))


def one(**changes) -> dict:
    return {"segment": [1.5, 2], "label": "jump", "score": 0.5} | changes


def test_activitynet_json_is_read_in_file_order(tmp_path):
    write(tmp_path / "p.json", {"b": [one(), one(label="run", segment=["3", 4.0])], "empty": [], "a": [one(score=1)]})
    read = read_detections(tmp_path / "p.json")
    assert read.videos == ("b", "empty", "a")
    assert read.classes == ("jump", "run")
    assert read.table.video.tolist() == [0, 0, 2]
    assert read.table.start.tolist() == [1.5, 3.0, 1.5]
    assert read.table.end.tolist() == [2, 4, 2]
    assert read.table.label.tolist() == [0, 1, 0]
    assert read.table.score.tolist() == [0.5, 0.5, 1]


def test_proposals_need_no_label(tmp_path):
    write(tmp_path / "p.json", {"a": [{"segment": [0, 1], "score": 1}]})
    assert read_detections(tmp_path / "p.json").classes == ("",)


def test_labels_may_be_numbers(tmp_path):
    write(tmp_path / "p.json", {"a": [one(label=7), one(label="7")]})
    assert read_detections(tmp_path / "p.json").classes == ("7",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "v1 1.5 2 jump .5\nv2\t3  4 run 1\n\nv1 0 1 run 0.25\n"),
        ("p.csv", "video,start,end,class,score\nv1,1.5,2,jump,.5\nv2, 3,4,run,1\nv1,0,1,run,0.25\n"),
        ("p.csv", "\ufeffv1,1.5,2,jump,.5\r\nv2,3,4,run,1\r\nv1,0,1,run,0.25\r\n"),
    ],
)
def test_thumos_lines_are_read_with_or_without_a_header(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    read = read_detections(tmp_path / name)
    assert read.videos == ("v1", "v2")
    assert read.table.video.tolist() == [0, 0, 1]
    assert [read.classes[label] for label in read.table.label] == ["jump", "run", "run"]
    assert read.table.score.tolist() == [0.5, 0.25, 1]


def test_duplicate_video_is_rejected(tmp_path):
    row = json.dumps([{"segment": [0, 1], "label": "jump", "score": 1}])
    (tmp_path / "p.json").write_text(f'{{"results": {{"v": {row}, "w": {row}, "v": {row}}}}}')
    with pytest.raises(SolaError, match=r"p\.json: has 'v' twice; expected it once: rename or remove one"):
        read_detections(tmp_path / "p.json")


@pytest.mark.parametrize("name", ["p.txt", "p.json"])
def test_numbers_become_thumos14_names_only_if_the_annotations_have_them(tmp_path, name):
    if name == "p.txt":
        (tmp_path / name).write_text("v 0 1 7 1\nv 0 1 97 1\nv 0 1 1000 1\n")
    else:
        rows = [{"segment": [0, 1], "label": label, "score": 1} for label in (7, 97, 1000)]
        (tmp_path / name).write_text(json.dumps({"results": {"v": rows}}))
    read = read_detections(tmp_path / name)
    assert read.classes == ("7", "97", "1000")
    assert read.labeled_as(["BaseballPitch", "VolleyballSpiking"]).classes == (
        *("BaseballPitch", "VolleyballSpiking"),
        "1000",
    )
    assert read.labeled_as(["BaseballPitch"]).classes == ("BaseballPitch", "97", "1000")
    assert read.labeled_as(["7", "97", "1000"]).classes == read.classes
    assert read.labeled_as(["7", "BaseballPitch"]).classes == read.classes
    assert read.labeled_as(["jump"]).classes == read.classes


def test_format_can_be_given(tmp_path):
    (tmp_path / "p.json").write_text("v 0 1 jump 1\n")
    assert read_detections(tmp_path / "p.json", "thumos").videos == ("v",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed JSON: input data was truncated"),
        ('{"results": {"a": [', "malformed JSON"),
        ('{"results": ' + "[" * 100_000, "p.json: "),
        ("[]", "expected `object`, got `array`"),
        ('{"database": {}}', "required field `results`"),
        ('{"results": {"a": 3}}', "video 'a': expected `array`, got `int`"),
        ('{"results": {"a": [{"segment": [1, 2], "score": NaN}]}}', "NaN and Infinity are not valid JSON"),
        ('{"results": {"a": [{"segment": [1, 2], "score": "nan"}]}}', "video 'a': segments and scores must be finite"),
        ('{"results": {"a": [{"segment": [1, 1e999], "score": 1}]}}', "video 'a': number out of range"),
        ('{"results": {"a": [{"segment": [1], "score": 1}]}}', "length 2 - at `$[0].segment`"),
        (
            '{"results": {"a": [{"segment": [1, "x"], "score": 1}]}}',
            "video 'a': could not convert string to float: 'x'",
        ),
        ('{"results": {"a": [{"segment": [1, 2]}]}}', "required field `score`"),
        ('{"results": {"a": [{"segment": [1, 2], "score": true}]}}', "got `bool` - at `$[0].score`"),
    ],
)
def test_malformed_json_raises_one_line_error(tmp_path, text, message):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(SolaError) as error:
        read_detections(tmp_path / "p.json")
    assert str(error.value).startswith(str(tmp_path / "p.json"))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 1 jump 1\nv 0 1 jump\n", "line 2: 'v 0 1 jump'; expected five cells"),
        ("v 0 1 jump 1\nv 0 x jump 1\n", "line 2"),
        ("one two three\n", "line 1"),
        ("v 0 inf jump 1\n", "video 'v': segments and scores must be finite"),
    ],
)
def test_malformed_lines_raise_one_line_error(tmp_path, text, message):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(SolaError) as error:
        read_detections(tmp_path / "p.txt")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.json", "no such file"), ("missing.txt", "no such file"), (".", "one class per frame.*pass --fps")],
)
def test_error_names_an_unreadable_path(tmp_path, name, message):
    with pytest.raises(SolaError, match=message):
        read_detections(tmp_path / name)


@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.tuples(number, number, st.integers(0, 1), number), max_size=4), max_size=4
    )
)
def test_written_detections_are_read_back(tmp_path_factory, videos):
    path = tmp_path_factory.mktemp("written") / "p.json"
    segments = {}
    for video, rows in videos.items():
        start, end, label, score = (
            (np.array(column) for column in zip(*rows, strict=True)) if rows else np.empty((4, 0))
        )
        segments[video] = Segments(start * 1.0, end * 1.0, label.astype(int), score * 1.0)
    write_detections(path, segments, ("jump", 'r"un'))
    read = read_detections(path)
    assert read.videos == tuple(videos)
    for index, rows in enumerate(videos.values()):
        mine = read.table.take(read.table.video == index)
        named = [("jump", 'r"un').index(read.classes[label]) for label in mine.label]
        assert list(zip(mine.start, mine.end, named, mine.score, strict=True)) == rows


def test_non_finite_values_are_not_written(tmp_path):
    bad = Segments(np.array([0.0]), np.array([np.nan]), np.array([0]), np.array([1.0]))
    with pytest.raises(SolaError, match="video 'a': a time or score is not finite"):
        write_detections(tmp_path / "p.json", {"a": bad}, ("jump",))
    assert not list(tmp_path.iterdir())


def test_label_that_is_not_utf_8_is_rejected(tmp_path):
    path = tmp_path / "d.json"
    path.write_bytes(b'{"results": {"v": [{"segment": [1.5, 4], "label": "r\xc0n", "score": 0.5}]}}')
    with pytest.raises(SolaError, match=r"d\.json: video 'v': malformed JSON"):
        read_detections(path)
