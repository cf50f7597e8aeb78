"""docs/data-checks.md names every kind of finding, and its recipe for tables works."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sola.data.annotations import read_annotations
from sola.data.findings import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "data-checks.md"


def test_every_kind_of_finding_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind, (noun, wrong) in KINDS.items():
        assert f"| `{kind}` | N {noun}s {wrong}".rstrip() in text, kind


def test_a_table_is_converted_as_the_page_says(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    table = "video,start,end,label\nvid00,20,40.5,a\nvid00,1,2,b\nvid01,3,4,a\n"
    (tmp_path / "table.csv").write_text(table, encoding="utf-8-sig")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONUTF8": "1"})
    annotations = read_annotations(tmp_path / "annotations.json")
    assert annotations.classes == ("a", "b")
    assert annotations.videos["vid00"].segments.end.tolist() == [40.5, 2]
    assert set(annotations.subset("training").videos) == {"vid00", "vid01"}
