"""`sola convert`, and annotations of other tools as input of commands."""

import json
import re
from pathlib import Path

import pytest
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.data.annotations import read_annotations

TABLE = "video,start,end,label\n" + "".join(f"cam_{n}.mp4,{n},{n + 2.5},jump\n" for n in range(10))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def test_a_table_is_converted_to_annotations_with_subsets(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "a.json"
    assert sola("convert", table, "--to", "activitynet", "--split", "0.8", "--out", out) == 0
    assert "10 videos with 10 instances" in capsys.readouterr().err
    annotations = read_annotations(out)
    assert [len(annotations.subset(name).videos) for name in ("training", "validation")] == [8, 2]
    again = tmp_path / "b.json"
    assert sola("convert", table, "--to", "activitynet", "--split", "0.8", "--out", again, "--quiet") == 0
    assert again.read_bytes() == out.read_bytes()


def test_subsets_are_read_from_a_list(table: Path, tmp_path: Path) -> None:
    (tmp_path / "subsets.txt").write_text("cam_3 validation\n\ncam_7, testing\n")
    options = ("--to", "csv", "--split", tmp_path / "subsets.txt", "--out", tmp_path / "out.tsv", "--quiet")
    assert sola("convert", table, *options) == 0
    subsets = {video: record.subset for video, record in read_annotations(tmp_path / "out.tsv").videos.items()}
    assert subsets.pop("cam_3") == "validation"
    assert subsets.pop("cam_7") == "testing"
    assert set(subsets.values()) == {"training"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "elan2"), "--to elan2: expected one of .*elan"),
        (("--to", "csv", "--split", "0.01"), r"table\.csv: split=0.01 of 10 annotated videos leaves none for training"),
        (("--to", "csv", "--split", "1.5"), r"split=1.5: expected a fraction between 0 and 1"),
        (("--to", "csv", "--split", "nowhere"), "nowhere: cannot be read as a list of videos and subsets"),
        (("--to", "cvat"), "video 'cam_0': times are in frames .*; pass --fps"),
    ],
)
def test_bad_options_are_rejected(
    table: Path, tmp_path: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert re.search(message, refused(capsys, "convert", table, *options, "--out", tmp_path / "out"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("cam_99 validation\n", "line 1: video 'cam_99' is not in"), ("cam_1\n", "line 1: 'cam_1'; expected a video and")],
)
def test_a_bad_list_is_rejected(
    table: Path, tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "subsets.txt").write_text(text)
    options = ("--to", "csv", "--split", tmp_path / "subsets.txt", "--out", tmp_path / "out.csv")
    assert message in refused(capsys, "convert", table, *options)


def test_a_video_in_two_files_is_rejected(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "folder").mkdir()
    for name in "ab":
        (tmp_path / "folder" / f"{name}.csv").write_text(TABLE)
    for inputs in ((table, tmp_path / "folder" / "a.csv"), (tmp_path / "folder",)):
        assert "video 'cam_0' is also in another" in refused(capsys, "convert", *inputs, "--to", "csv", "--out", "x")


def test_annotated_videos_are_excluded(table: Path, tmp_path: Path) -> None:
    tasks = [
        {"data": {"video": "cam_3.mp4"}, "annotations": [{"result": []}]},
        {"data": {"video": "cam_4.mp4"}, "annotations": []},
    ]
    (tmp_path / "labels.json").write_text(json.dumps(tasks))
    options = ("--to", "csv", "--without", tmp_path / "labels.json", "--out", tmp_path / "out.csv", "--quiet")
    assert sola("convert", table, *options) == 0
    remaining = read_annotations(tmp_path / "out.csv").videos.keys()
    assert remaining == read_annotations(table).videos.keys() - {"cam_3"}


def test_srt_folders_have_one_file_per_video(table: Path, tmp_path: Path) -> None:
    assert sola("convert", table, "--to", "srt", "--out", tmp_path / "cues", "--quiet") == 0
    assert len(list((tmp_path / "cues").iterdir())) == 10
    assert sola("convert", tmp_path / "cues", "--to", "csv", "--out", tmp_path / "again.csv", "--quiet") == 0
    actual, expected = (read_annotations(path).videos for path in (tmp_path / "again.csv", table))
    assert {video: record.segments.end.tolist() for video, record in actual.items()} == {
        video: record.segments.end.tolist() for video, record in expected.items()
    }


def test_commands_accept_a_table_as_annotations(tmp_path: Path) -> None:
    world = tmp_path / "world"
    write(SyntheticWorld(training_videos=6, validation_videos=4, length=80, channels=16, action_length=10), world)
    records = json.loads((world / "annotations.json").read_text())["database"]
    rows = [
        f"{video},{annotation['segment'][0]},{annotation['segment'][1]},{annotation['label']},"
        f"{record['subset']},{record['duration']}\n"
        for video, record in records.items()
        for annotation in record["annotations"]
    ]
    (tmp_path / "a.csv").write_text("video,start,end,label,subset,video_duration\n" + "".join(rows))
    summaries = []
    for annotations in (world / "annotations.json", tmp_path / "a.csv"):
        out = tmp_path / annotations.stem
        assert sola("inspect", world / "features", "--annotations", annotations, "--out", out, "--quiet") == 0
        summaries.append(json.loads((out / "inspection.json").read_text())["data"])
    assert summaries[0] == summaries[1]
