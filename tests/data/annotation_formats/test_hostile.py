"""Malformed and hostile files raise one-line errors or are read safely."""

from pathlib import Path

import pytest

from sola.core.errors import SolaError
from sola.data.annotations import read_videos
from sola.data.conversion import write_videos

LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">]>
<ANNOTATION_DOCUMENT><HEADER MEDIA_FILE="&lol3;"/></ANNOTATION_DOCUMENT>
"""
OUTSIDE = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<annotations><version>1.1</version><track id="0" label="&secret;"/></annotations>
"""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.eaf", LAUGHS, "the document: declares entities or external references .*; remove them"),
        ("a.xml", OUTSIDE, "the document: declares entities or external references .*; remove them"),
        ("a.eaf", "<ANNOTATION_DOCUMENT><TIER></ANNOTATION_DOCUMENT>", "line 1, column .*: malformed XML"),
        (
            "a.eaf",
            '<ANNOTATION_DOCUMENT><TIER TIER_ID="t"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" '
            'TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"/></ANNOTATION></TIER></ANNOTATION_DOCUMENT>',
            "tier 't', annotation 'a1': refers to the time slot 'ts1', which does not exist",
        ),
        ("a.boris", '{"project_format_version": "7.0", "observations": []}', "expected `object`, got `array`"),
        (
            "a.boris",
            '{"project_format_version": "7.0", "observations": {"o": {"events": [[1.5, "", "walk", "", ""]]}}}',
            "observation 'o': 'walk' starts at 1.5 s but does not stop; fix unpaired events in BORIS",
        ),
        (
            "a.boris",
            '{"project_format_version": "7.0", "observations": {"o": {"events": [], "file": '
            '{"1": ["a.mp4", "b.mp4"]}}}}',
            "observation 'o': plays several files, but the length of 'a' is missing",
        ),
        (
            "a.json",
            '[{"id": 5, "data": {"video": "a.mp4"}, "annotations": [{"result": [{"from_name": "x", "value": '
            '{"timelinelabels": ["jump"], "ranges": [{"start": 1, "end": 9}]}}]}]}]',
            "task 5: times are in frames and the frame rate is unknown; pass --fps",
        ),
        ("a.json", '[{"id": 5, "data": {"text": "a"}, "annotations": [{"from_name": 1}]}]', "task 5: "),
        ("a.csv", "video,start,end\na,1,2\n", "line 1: the header has no column 'class', only video, start, end"),
        ("a.csv", "video,start,end,label\na,1\n", "line 2: 2 cells; expected 4, as in the first line"),
        ("a.csv", 'video,start,end,label\na,1,2,"jump\n', "line 2: .*; close the quotes"),
        ("a.csv", "video,start,end,label\na,soon,2,jump\n", "line 2: a time must be a finite number, not 'soon'"),
        ("a.csv", "video,start,end,label\na,2,1,jump\n", "line 2: 2 to 1 s ends before it starts"),
        ("a.csv", "video,start,end,label\na,1,2,\n", "line 2: the class must be a name or number, not ''"),
        ("a.csv", "video,start_frame,end_frame,label\na,1,2,jump\n", "line 2: times are in frames .*; pass --fps"),
        ("a.txt", "1.0\t2.0\tjump\n1.0\n", "line 2: '1.0'; expected start, end and label separated by tabs"),
        ("a.txt", "take\ntake\nopen\n", "a label for each frame: times are in frames .*; pass --fps"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n\n", "line 2: the class must be a name or number, not ''"),
        ("a.json", '{"videos": [{"clips": [{"clip_uid": 7}]}]}', "expected `str`, got `int`"),
        ("a.json", '{"vid_list": [], "attribute": {}, "file": {}, "view": {"1": {"fid_list": ["1"]}}, "metadata": {}}',
         "view '1': has no file"),
    ],
)  # fmt: skip
def test_malformed_file_raises_one_line_error(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SolaError, match=rf"{name}: {message}") as error:
        read_videos(tmp_path / name)
    assert "\n" not in str(error.value)


def test_file_with_unknown_encoding_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("video,start,end,label\na,1,2,Fußtritt\n".encode("latin-1"))
    with pytest.raises(SolaError, match=r"a\.csv: .*utf-8"):
        read_videos(tmp_path / "a.csv")


def test_media_paths_never_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,start,end,label\n../../etc/passwd.mp4,1,2,jump\n/abs/b.mp4,1,2,jump\n")
    videos = read_videos(tmp_path / "a.csv")
    assert list(videos) == ["passwd", "b"]
    (tmp_path / "b.csv").write_text("video,start,end,label\n..,1,2,jump\n")
    with pytest.raises(SolaError, match=r"video '\.\.': not a valid file name"):
        write_videos(read_videos(tmp_path / "b.csv"), "srt", tmp_path / "out")
