"""Rows, comparisons and the Markdown table of an experiment."""

import numpy as np
import pytest

from sola.evaluation.probe_result import Kind
from sola.studies.measuring import Measured, Metric
from sola.studies.outcome import Row, comparisons, markdown
from sola.studies.sweep import lead

METRIC = Metric("average_mAP", "average mAP")


def row(name: str, kind: Kind, mean: float, group: str = "gtad", spread: float = 0.01) -> Row:
    draws = mean + spread * np.random.default_rng(0).normal(size=500)
    return Row(name, kind, group, (Measured({"average_mAP": mean}, {"average_mAP": draws}),))


def noisy(name: str, kind: Kind, mean: float, seed: int) -> Row:
    draws = mean + 0.05 * np.random.default_rng(seed).normal(size=500)
    return Row(name, kind, "gtad", (Measured({"average_mAP": mean}, {"average_mAP": draws}),))


ROWS = [row("raw", "raw", 0.3), row("centered", "control", 0.31), row("whitened", "control", 0.2)]


def test_compared_rows_meet_raw_and_every_control_and_controls_meet_raw() -> None:
    found = comparisons([*ROWS, row("SoLa", "compared", 0.4)], [METRIC], videos=60)
    pairs = {(c["row"], c["against"]) for c in found}
    assert pairs == {
        ("centered", "raw"),
        ("whitened", "raw"),
        ("SoLa", "raw"),
        ("SoLa", "centered"),
        ("SoLa", "whitened"),
    }


def test_rows_of_different_heads_are_not_compared() -> None:
    other = [row("bmn: raw", "raw", 0.1, "bmn"), row("bmn: SoLa", "compared", 0.2, "bmn")]
    found = comparisons([*ROWS, row("SoLa", "compared", 0.4), *other], [METRIC], videos=60)
    assert ("bmn: SoLa", "bmn: raw") in {(c["row"], c["against"]) for c in found}
    assert all(c["row"].startswith("bmn") == c["against"].startswith("bmn") for c in found)


def test_significant_is_said_of_what_is_beyond_the_spread_over_videos_only() -> None:
    far = comparisons([*ROWS, row("SoLa", "compared", 0.4)], [METRIC], videos=60)
    assert next(c for c in far if (c["row"], c["against"]) == ("SoLa", "centered"))["significant"]
    near = comparisons([noisy("raw", "raw", 0.3, 1), noisy("SoLa", "compared", 0.31, 2)], [METRIC], videos=60)
    assert not near[0]["significant"]


def test_p_is_corrected_within_its_family() -> None:
    rows = [noisy("raw", "raw", 0.3, 1), *(noisy(f"c{i}", "control", 0.3, i + 2) for i in range(4))]
    found = comparisons([*rows, noisy("SoLa", "compared", 0.4, 9)], [METRIC], videos=60)
    alone = next(c for c in found if (c["row"], c["against"]) == ("SoLa", "raw"))
    assert alone["p_corrected"] == alone["p"]
    against_controls = [c for c in found if c["row"] == "SoLa" and c["against"] != "raw"]
    least = min(against_controls, key=lambda c: c["p"])
    assert least["p_corrected"] == pytest.approx(min(1, 4 * least["p"]))


def result(rows: list[Row]) -> dict[str, object]:
    found = comparisons(rows, [METRIC], 60)
    return {
        "title": "Table 1",
        "lead": lead(rows, found, 1, 60),
        "metrics": [{"key": METRIC.key, "title": METRIC.title, "percent": True}],
        "rows": [one.to_json([METRIC], comparable=False) for one in rows],
        "comparisons": found,
        "notes": ["a note"],
    }


def test_markdown_has_the_best_control_and_no_significance_that_is_not_there() -> None:
    text = markdown(result([*ROWS, row("SoLa", "compared", 0.3)]))
    line = next(line for line in text.splitlines() if line.startswith("| SoLa |"))
    assert "+0.00" in line  # against raw
    assert "-1.00" in line  # against centered, the best control
    assert "significantly ahead of 1 and behind 1 of 3 rows" in text
    assert "- a note" in text


def test_published_figures_of_other_data_are_called_not_comparable() -> None:
    published = Row("SoLa", "compared", "gtad", ROWS[0].seeds, {"average_mAP": 0.3499})
    text = markdown(result([*ROWS, published]))
    assert "**not comparable**" in text
    assert "34.99" in text


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    text = markdown(result([*ROWS, row("a|b", "compared", 0.3)]))
    assert "| a\\|b |" in text
