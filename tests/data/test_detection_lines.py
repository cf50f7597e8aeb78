"""Detections as tables: separators, quotes, headers and errors."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.detection_lines import NAMES, Columns, read_lines

Row = tuple[str, str, str, str, str]
"""Video, start, end, class and score."""
ROWS: list[Row] = [("v1", "1.5", "2", "jump", ".5"), ("v2", "3", "4", "run", "1"), ("v1", "0", "1", "run", "0.25")]
READ: dict[str, Columns] = {
    "v1": ([1.5, 0.0], [2.0, 1.0], [0.5, 0.25], ["jump", "run"]),
    "v2": ([3.0], [4.0], [1.0], ["run"]),
}


def read(folder: Path, text: str, name: str = "p.csv") -> dict[str, Columns]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return dict(read_lines(path))


def refusal(folder: Path, text: str, name: str = "p.csv") -> str:
    with pytest.raises(SolaError) as error:
        read(folder, text, name)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "separator"), [("p.txt", " "), *(("p.csv", mark) for mark in ",;\t"), ("p.tsv", "\t")]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_without_a_header(tmp_path: Path, name: str, separator: str, newline: str) -> None:
    assert read(tmp_path, newline.join(map(separator.join, ROWS)), name) == READ


@given(st.permutations(list(NAMES)), st.data())
def test_header_names_the_columns_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], data: st.DataObject
) -> None:
    header = [data.draw(st.sampled_from(NAMES[what])) for what in order]
    header = [data.draw(st.sampled_from([name, name.title(), name.replace("_", "-")])) for name in header]
    header.insert(data.draw(st.integers(0, 5)), "frames")
    rows = [[dict(zip(NAMES, row, strict=True)).get(what, "7") for what in order] for row in ROWS]
    at = header.index("frames")
    lines = [header, *([*row[:at], "7", *row[at:]] for row in rows)]
    assert read(tmp_path_factory.mktemp("table"), "\n".join(map(",".join, lines))) == READ


def test_index_column_is_ignored(tmp_path: Path) -> None:
    rows = "".join(f"{index},{','.join(row)}\n" for index, row in enumerate(ROWS))
    assert read(tmp_path, f",video-id,t-start,t-end,label,score\n{rows}") == READ
    assert read(tmp_path, f"id,video,start,end,class,score\n{rows}") == READ


@given(st.lists(st.tuples(*[st.text("a ,;\t\"'é", min_size=1, max_size=6).map(lambda x: f"<{x}>")] * 2), max_size=4))
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_output_of_the_csv_module_is_read(
    tmp_path_factory: pytest.TempPathFactory, separator: str, names: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("table") / ("p.tsv" if separator == "\t" else "p.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(NAMES)
        writer.writerows((video, 1, 2, label, 0.5) for video, label in names)
    found = [(video, label) for video, columns in read_lines(path) for label in columns[3]]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize("name", ["p.tsv", "p.txt"])
def test_tab_separated_names_may_contain_spaces(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, "my video\t1\t2\thigh jump\t.5\n", name) == {"my video": ([1.0], [2.0], [0.5], ["high jump"])}


def test_aligned_columns_are_separated_by_spaces(tmp_path: Path) -> None:
    assert read(tmp_path, "v1\t\t1.5 2  jump .5\nv2\t3 4\trun 1\nv1 0 1 run 0.25", "p.txt") == READ


@pytest.mark.parametrize("text", ["", "\n", " \n\n"])
def test_empty_file_has_no_detections(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


@pytest.mark.parametrize("text", ["\n\n{}\n\n", "{}\n,,,,\n"])
def test_empty_lines_are_skipped(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text.format("\n".join(map(",".join, ROWS)))) == READ


@pytest.mark.parametrize("missing", NAMES)
def test_header_with_missing_column_is_rejected(tmp_path: Path, missing: str) -> None:
    header = ",".join(name for name in NAMES if name != missing)
    assert f"p.csv: line 1: the header has no column {missing!r}; expected video" in refusal(tmp_path, f"{header}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start,end,class,label,score\n", "line 1: both 'class' and 'label' name the class; rename or remove"),
        ("video,start\n", "the header has no column 'end' and no column 'class' and no column 'score'"),
        ("video,start,end,class,score\nv,1,2,cut, slice,.5\n", "line 2: 'v,1,2,cut,slice,.5'; expected 5 cells, as in"),
        ("video,start,end,class,score\nv,1,2,.5,cut\n", "with numbers as start, end and score"),
        ("v,1,2,a,.5\nvideo,start,end,class,score\n", "line 2: 'video,start,end,class,score'; expected five cells"),
        ("one,two,three,four,five\n", "line 1: 'one,two,three,four,five'; expected five cells"),
        ("v 1 2 high jump .5\n", "if names contain spaces, separate the cells with commas or tabs"),
        ('v,1,2,a,.5\n"v,1,2,a,.5\n', "close the quotes"),
    ],
)
def test_error_names_the_line_and_the_problem(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)
