"""docs/data-checks.md names every kind of finding, and its recipe for tables works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sola.data.annotations import read_annotations
from sola.data.findings import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "data-checks.md"


def test_every_kind_of_finding_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind, (noun, wrong) in KINDS.items():
        assert f"| `{kind}` | N {noun}s {wrong}".rstrip() in text, kind


TABLES = {
    "commas": "video,start,end,label\nvid00,20,40.5,a\nvid00,1,2,b\nvid01,3,4,a\n",
    "clock times": "video,start,end,label\nvid00,00:00:20,00:00:40.5,a\nvid00,0:01,0:02,b\nvid01,3,4,a\n",
    "semicolons": "video;start;end;label\nvid00;20;40.5;a\nvid00;1;2;b\nvid01;3;4;a\n",
    "EPIC-Kitchens": "narration_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,verb,noun\n"
    "0,vid00,0,00:00:20.00,00:00:40.50,8,a,x\n1,vid00,0,00:00:01.00,00:00:02.00,9,b,x\n"
    "2,vid01,0,00:00:03.00,00:00:04.00,9,a,x\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_converted_as_the_page_says(tmp_path: Path, kind: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "table.csv").write_text(TABLES[kind], encoding="utf-8-sig")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONUTF8": "1"})
    annotations = read_annotations(tmp_path / "annotations.json")
    assert annotations.classes == ("a", "b")
    assert annotations.videos["vid00"].segments.start.tolist() == [20, 1]
    assert annotations.videos["vid00"].segments.end.tolist() == [40.5, 2]
    assert set(annotations.subset("training").videos) == {"vid00", "vid01"}
