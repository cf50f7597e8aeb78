"""What a page says of an experiment: in words, in rows, in error bars."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import experiment_folders as folders

from sola.report.experiment import error_bars, finding, section_c, table
from sola.report.page import Cell
from sola.report.plots import Axis, chart, thinned
from sola.report.result import Result

RECORD = folders.result(Path("/world"))


def result(**changes: Any) -> Result:
    return msgspec.convert(copy.deepcopy(RECORD) | changes, Result)


def test_the_finding_names_the_best_row_and_what_it_was_compared_with() -> None:
    (sentence,) = finding(result())
    assert sentence == (
        "average mAP: SoLa, adapter is best of what is compared at 35.00 %; "
        "against raw features +5.00 [+2.00, +8.00], significant (p = .012, corrected); "
        "against the best control (moving average of 9) +4.00 [+1.00, +7.00], not significant (p = .200, corrected)."
    )


def test_without_a_comparison_nothing_is_significant() -> None:
    (sentence,) = finding(result(comparisons=[]))
    assert "significant" not in sentence
    assert sentence.endswith("not tested against anything.")


def test_a_control_that_is_not_the_best_is_not_called_so() -> None:
    rows = copy.deepcopy(RECORD["rows"])
    better = copy.deepcopy(rows[1]) | {"name": "slow features"}
    better["figures"]["average_mAP"]["mean"] = 0.33
    (sentence,) = finding(result(rows=[*rows, better]))
    assert "against the control (moving average of 9)" in sentence
    assert "best control" not in sentence


def test_a_metric_that_rows_lack_is_left_out_of_the_finding() -> None:
    assert finding(result(rows=[])) == ["Nothing was measured."]


def test_rows_come_raw_controls_compared_with_a_heading_each() -> None:
    shuffled = result(rows=[RECORD["rows"][i] for i in (3, 1, 0, 2)])
    made = table(shuffled)
    names = [row[0] for row in made.rows if isinstance(row[0], str)]
    assert names == ["raw", "moving average of 9", "SoLa, adapter", "SoLa, direct"]
    assert {names.index(made.rows[number][0]) for number in made.groups} == {0, 1, 2}


def test_a_cell_holds_mean_deviation_and_interval() -> None:
    (adapter,) = (row for row in table(result()).rows if row[0] == "SoLa, adapter")
    assert adapter[2] == Cell("35.00 ± 1.41", small="[33.00, 37.00]")


def test_one_value_has_no_deviation() -> None:
    assert table(result()).rows[0][2] == Cell("30.00", small="[28.00, 32.00]")


@pytest.mark.parametrize(("comparable", "name"), [(False, "published, not comparable"), (True, "published")])
def test_published_figures_say_whether_they_may_be_compared(comparable: bool, name: str) -> None:
    rows = copy.deepcopy(RECORD["rows"])
    rows[3]["comparable"] = comparable
    last = table(result(rows=rows)).rows[-1]
    assert last == [Cell(text, faint=True) for text in (name, "", "34.99")]


def test_without_published_figures_there_are_no_such_rows() -> None:
    rows = [row | {"published": None} for row in RECORD["rows"]]
    assert [row[0] for row in table(result(rows=rows)).rows] == list(folders.FIGURES)


def test_each_head_has_a_finding_in_its_own_metric() -> None:
    rows = []
    for head in ("gtad", "bmn"):
        for row in RECORD["rows"]:
            one = copy.deepcopy(row) | {"group": head, "name": f"{head}: {row['name']}"}
            one["figures"]["AUC"] = one["figures"]["average_mAP"]
            rows.append(one)
    metrics = [*RECORD["metrics"], {"key": "AUC", "title": "AUC", "percent": True}]
    sentences = finding(result(rows=rows, metrics=metrics, comparisons=[]))
    assert [sentence.split(" is best")[0] for sentence in sentences] == [
        "average mAP: gtad: SoLa, adapter",
        "AUC: bmn: SoLa, adapter",
    ]


def test_error_bars_lie_where_the_figures_are() -> None:
    average, other = error_bars(result())
    assert (average.title, other.title) == ("average mAP, %", "mAP at tIoU .5, %")
    adapter = average.rows[3]
    low, high = adapter.interval or (0, 0)
    assert 0 <= low < adapter.deviation[0] < adapter.at < adapter.deviation[1] < high <= 100
    assert adapter.at == pytest.approx((low + high) / 2, abs=0.02)
    assert average.baseline == average.rows[0].at


def test_section_c_has_a_chart_a_curve() -> None:
    line = [[1.0, 2.0, 4.0], [0.9, 0.5, 0.4]]
    curves = {"similarity": {"whole": {"raw": line}, "windows": {"raw": line}}, "obedience": {"raw": line}}
    made = result(rows=[], comparisons=[], curves=curves)
    assert len(section_c(made)) == 3
    assert finding(made) == ["Curves, nothing that is tested: see below."]


def test_the_gray_line_takes_no_color() -> None:
    line = ([0.0, 1.0], [0.0, 1.0])
    lines = chart("loss", "epoch", {"raw": line, "a": line, "b": line}, gray="raw").lines
    assert [one.hue for one in lines] == [None, 0, 1]


def test_a_chart_goes_from_corner_to_corner() -> None:
    (line,) = chart("loss", "epoch", {"a": ([1, 2, 3], [0.0, 5.0, 10.0])}).lines
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert [x for x, _ in points] == [0, 50, 100]
    assert points[0][1] > points[1][1] > points[2][1]


def test_one_value_makes_an_axis() -> None:
    axis = Axis.over([3.0, 3.0])
    assert axis.at(3.0) == 50.0
    assert axis.ticks()


def test_a_long_line_is_averaged() -> None:
    xs, ys = thinned(list(range(1000)), [1.0] * 1000)
    assert len(xs) == len(ys) == 240
    assert set(ys) == {1.0}
