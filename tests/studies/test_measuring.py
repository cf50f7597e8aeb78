"""Rows, comparisons and the Markdown table of an experiment."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sola.data.source import DataSource, decode_path
from sola.evaluation.results import Comparison, Kind, Metric, Results, Row, StudyResult, read_result
from sola.evaluation.tables import study_lead, study_markdown
from sola.studies.measuring import Measured, comparisons, summaries

METRIC = Metric("average_mAP", "average mAP")
Measurement = tuple[Row, list[Measured]]
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def row(name: str, kind: Kind, mean: float, group: str = "gtad", spread: float = 0.01, seed: int = 0) -> Measurement:
    draws = mean + spread * np.random.default_rng(seed).normal(size=500)
    measured = [Measured({"average_mAP": mean}, {"average_mAP": draws})]
    return Row(name, kind, summaries(measured, [METRIC]), group), measured


def noisy(name: str, kind: Kind, mean: float, seed: int) -> Measurement:
    return row(name, kind, mean, spread=0.05, seed=seed)


def compared(rows: list[Measurement]) -> tuple[Comparison, ...]:
    return comparisons([each for each, _ in rows], {each.name: seeds for each, seeds in rows}, [METRIC], videos=60)


ROWS = [row("raw", "raw", 0.3), row("centered", "control", 0.31), row("whitened", "control", 0.2)]


def test_which_rows_are_compared() -> None:
    found = compared([*ROWS, row("SoLa", "compared", 0.4)])
    pairs = {(c.row, c.against) for c in found}
    assert pairs == {
        ("centered", "raw"),
        ("whitened", "raw"),
        ("SoLa", "raw"),
        ("SoLa", "centered"),
        ("SoLa", "whitened"),
    }


def test_rows_of_different_detectors_are_not_compared() -> None:
    other = [row("bmn: raw", "raw", 0.1, "bmn"), row("bmn: SoLa", "compared", 0.2, "bmn")]
    found = compared([*ROWS, row("SoLa", "compared", 0.4), *other])
    assert ("bmn: SoLa", "bmn: raw") in {(c.row, c.against) for c in found}
    assert all(c.row.startswith("bmn") == c.against.startswith("bmn") for c in found)


def test_only_differences_beyond_the_variation_over_videos_are_significant() -> None:
    far = compared([*ROWS, row("SoLa", "compared", 0.4)])
    assert next(c for c in far if (c.row, c.against) == ("SoLa", "centered")).significant
    near = compared([noisy("raw", "raw", 0.3, 1), noisy("SoLa", "compared", 0.31, 2)])
    assert not near[0].significant


def test_p_is_corrected_within_its_family() -> None:
    rows = [noisy("raw", "raw", 0.3, 1), *(noisy(f"c{i}", "control", 0.3, i + 2) for i in range(4))]
    found = compared([*rows, noisy("SoLa", "compared", 0.4, 9)])
    alone = next(c for c in found if (c.row, c.against) == ("SoLa", "raw"))
    assert alone.p_corrected == alone.p
    against_controls = [c for c in found if c.row == "SoLa" and c.against != "raw"]
    least = min(against_controls, key=lambda c: c.p)
    assert least.p_corrected == pytest.approx(min(1, 4 * least.p))


def result(rows: list[Measurement]) -> StudyResult:
    results = Results(metrics=(METRIC,), rows=tuple(each for each, _ in rows), comparisons=compared(rows))
    return StudyResult(
        experiment="table1",
        title="Table 1",
        lead=study_lead(results, 1, 60),
        data=DataSource((Path("/features"),), Path("/annotations.json"), timing={"fps": 25.0}),
        metrics=results.metrics,
        rows=results.rows,
        comparisons=results.comparisons,
        notes=("a note",),
    )


def test_markdown_compares_with_the_best_control_and_counts_only_significant_differences() -> None:
    text = study_markdown(result([*ROWS, row("SoLa", "compared", 0.3)]))
    line = next(line for line in text.splitlines() if line.startswith("| SoLa |"))
    assert "+0.00" in line  # against raw
    assert "−1.00" in line  # against centered, the best control
    assert "significantly ahead of 1 and behind 1 of 3 rows" in text
    assert "- a note" in text


def test_published_values_on_other_data_are_marked_not_comparable() -> None:
    plain, measured = row("SoLa", "compared", 0.4)
    published = msgspec.structs.replace(plain, published={"average_mAP": 0.3499})
    text = study_markdown(result([*ROWS, (published, measured)]))
    assert "**not comparable**" in text
    assert "34.99" in text


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    text = study_markdown(result([*ROWS, row("a|b", "compared", 0.3)]))
    assert "| a\\|b |" in text


def test_a_written_result_reads_back(tmp_path: Path) -> None:
    written = result([*ROWS, row("SoLa", "compared", 0.4)])
    written.write(tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == written


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_results_in_the_documentation_are_records(path: Path) -> None:
    """The published files lack `data`, which contains local paths."""
    values = {"data": {"features": [], "annotations": ""}, **json.loads(path.read_text())}
    result = msgspec.convert(values, StudyResult, dec_hook=decode_path)
    assert result.rows
    assert study_markdown(result).splitlines()[-1] in path.with_suffix(".md").read_text()
