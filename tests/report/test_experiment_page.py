"""Presentation of an experiment on a page: main finding, tables and error bars."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import experiment_folders as folders

from sola.data.source import decode_path
from sola.evaluation.results import StudyResult
from sola.evaluation.tables import difference
from sola.report.page import Cell
from sola.report.plots import GRAY, PALETTE, Panel, curve_plot, drawn_lines, error_bar_plot
from sola.report.sources import Study
from sola.report.study import error_bars, finding, result_table, study_panels

RECORD = folders.result(Path("/world"))


def result(**changes: Any) -> StudyResult:
    return msgspec.convert(copy.deepcopy(RECORD) | changes, StudyResult, dec_hook=decode_path)


def test_the_finding_names_the_best_row_and_its_comparisons() -> None:
    (sentence,) = finding(result())
    assert sentence == (
        "average mAP: SoLa, adapter is the best of the compared rows with 35.00 %; "
        "against raw features +5.00 [+2.00, +8.00], significant (p = .012, corrected); "
        "against the best control (moving average of 9) +4.00 [+1.00, +7.00], not significant (p = .200, corrected)."
    )


def test_without_a_comparison_nothing_is_significant() -> None:
    (sentence,) = finding(result(comparisons=[]))
    assert "significant" not in sentence
    assert sentence.endswith("not tested against anything.")


def test_only_the_best_control_is_called_best() -> None:
    rows = copy.deepcopy(RECORD["rows"])
    better = copy.deepcopy(rows[1]) | {"name": "slow features"}
    better["summaries"]["average_mAP"]["mean"] = 0.33
    (sentence,) = finding(result(rows=[*rows, better]))
    assert "against the control (moving average of 9)" in sentence
    assert "best control" not in sentence


def test_the_finding_without_rows_says_that_nothing_was_measured() -> None:
    assert finding(result(rows=[])) == ["Nothing was measured."]


def test_rows_are_grouped_by_kind_with_headings() -> None:
    shuffled = result(rows=[RECORD["rows"][i] for i in (3, 1, 0, 2)])
    table = result_table(shuffled, 2)
    names = [row[0] for row in table.rows if isinstance(row[0], str)]
    assert names == ["raw", "moving average of 9", "SoLa, adapter", "SoLa, direct"]
    assert {names.index(table.rows[number][0]) for number in table.groups} == {0, 1, 2}


def test_a_cell_has_mean_deviation_and_interval() -> None:
    (adapter,) = (row for row in result_table(result(), 2).rows if row[0] == "SoLa, adapter")
    assert adapter[2] == Cell("35.00 ± 1.41", small="[33.00, 37.00]")


def test_a_single_value_has_no_deviation() -> None:
    assert result_table(result(), 2).rows[0][2] == Cell("30.00", small="[28.00, 32.00]")


@pytest.mark.parametrize(("comparable", "name"), [(False, "published, not comparable"), (True, "published")])
def test_published_rows_say_whether_they_are_comparable(comparable: bool, name: str) -> None:
    rows = copy.deepcopy(RECORD["rows"])
    rows[3]["comparable"] = comparable
    last = result_table(result(rows=rows), 2).rows[-1]
    assert last == [Cell(text, faint=True) for text in (name, "", "34.99")]


def test_no_published_rows_without_published_values() -> None:
    rows = [row | {"published": None} for row in RECORD["rows"]]
    assert [row[0] for row in result_table(result(rows=rows), 2).rows] == list(folders.VALUES)


def test_each_detector_has_a_finding_in_its_main_metric() -> None:
    rows = []
    for detector in ("gtad", "bmn"):
        for row in RECORD["rows"]:
            one = copy.deepcopy(row) | {"group": detector, "name": f"{detector}: {row['name']}"}
            one["summaries"]["AUC"] = one["summaries"]["average_mAP"]
            rows.append(one)
    metrics = [*RECORD["metrics"], {"key": "AUC", "title": "AUC", "percent": True}]
    sentences = finding(result(rows=rows, metrics=metrics, comparisons=[]))
    assert [sentence.split(" is the best")[0] for sentence in sentences] == [
        "average mAP: gtad: SoLa, adapter",
        "AUC: bmn: SoLa, adapter",
    ]


def test_error_bars_match_the_values() -> None:
    average, other = error_bars(result())
    assert (average.folded, other.folded) == ("", "mAP at tIoU .5, %")
    assert "SoLa, adapter 35.00 ± 1.41" in average.description
    rows = result().ordered()
    (axes,) = error_bar_plot(rows, result().metrics[1]).axes
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [
        (pytest.approx(100 * row.mean("average_mAP")), position) for position, row in enumerate(rows)
    ]
    low, high = (end for end, _ in axes.collections[-1].get_segments()[0])
    assert (low, high) == pytest.approx((33.0, 37.0))
    deviations = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 4]
    assert list(deviations[3]) == pytest.approx([35.0 - 2**0.5, 35.0 + 2**0.5])
    texts = [text.get_text() for text in axes.texts]
    assert "35.00 ± 1.41 [33.00, 37.00]" in texts


def test_a_negative_difference_has_a_minus_sign() -> None:
    (_, _, compared) = result().comparisons
    lower = msgspec.structs.replace(compared, difference=-0.01, interval=(-0.02, 0.0))
    assert difference(lower) == "−1.00 [−2.00, +0.00]"


def test_section_c_has_one_panel_per_curve() -> None:
    line = [[1.0, 2.0, 4.0], [0.9, 0.5, 0.4]]
    curves = {"similarity": {"whole": {"raw": line}, "windows": {"raw": line}}, "assumption_share": {"raw": line}}
    section_c = result(rows=[], comparisons=[], curves=curves)
    assert len(study_panels(Study(Path("/out"), section_c))) == 3
    assert finding(section_c) == ["Curves without a test: see below."]


def test_the_gray_line_uses_no_palette_color() -> None:
    line = ([0.0, 1.0], [0.0, 1.0])
    (axes,) = curve_plot([Panel("loss", "epoch", {"raw": line, "a": line, "b": line})]).axes
    assert [line.get_color() for line in axes.lines] == [GRAY, PALETTE[0], PALETTE[1]]


def test_repeated_colors_are_dashed() -> None:
    lines = {f"line {number}": ([0.0, 1.0], [0.0, 1.0]) for number in range(len(PALETTE) + 1)}
    (axes,) = curve_plot([Panel("loss", "epoch", lines)]).axes
    first, *_, last = axes.lines
    assert first.get_color() == last.get_color()
    assert (first.get_linestyle(), last.get_linestyle()) == ("-", "--")


def test_a_panel_shows_its_lines() -> None:
    panel = Panel("loss", "epoch", {"a": ([1, 2, 3], [0.0, 5.0, 10.0])}, reference=0.5, logarithmic=True)
    (axes,) = curve_plot([panel]).axes
    line, reference = axes.lines
    assert line.get_xydata().tolist() == [[1, 0.0], [2, 5.0], [3, 10.0]]
    assert list(reference.get_ydata()) == [0.5, 0.5]
    assert axes.get_xscale() == "log"
    assert panel.description == "loss against epoch: a ends at 10."


def test_a_line_of_one_point_is_plotted() -> None:
    (axes,) = curve_plot([Panel("loss", "epoch", {"a": ([3], [3.0])})]).axes
    assert axes.lines[0].get_marker() == "o"


def test_a_long_line_is_averaged() -> None:
    ((xs, ys),) = drawn_lines({"a": (list(range(1000)), [1.0] * 1000), "empty": ([], [])}).values()
    assert len(xs) == len(ys) == 240
    assert set(ys) == {1.0}


def test_axes_without_a_panel_are_empty() -> None:
    line = {"a": ([1.0, 2.0], [1.0, 2.0])}
    shown = [axes.axison for axes in curve_plot([Panel(str(number), "epoch", line) for number in range(3)]).axes]
    assert shown == [True, True, True, False]
