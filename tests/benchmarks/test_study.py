"""The study: its tables, and a small run from features to tables."""

import shutil
from pathlib import Path

import pytest
from study import detectors, linear, rounds, tables
from study.softening import soften
from support.synthetic import SyntheticWorld, write

from sola.data.dataset import Dataset
from sola.detectors import detector_family


def row_comparison(against: str, difference: float, p: float) -> dict[str, object]:
    return {"row": "SoLa, auto", "against": against, "metric": "roc_auc", "difference": difference, "p_corrected": p}


class TestTables:
    def test_a_significant_difference_is_bold(self) -> None:
        assert tables.less(row_comparison("raw", 0.06, 0.005)) == "**+6.0 (p .005)**"
        assert tables.less(row_comparison("raw", -0.01, 0.2)) == "−1.0 (p .200)"

    def test_verdicts_count_the_sets(self) -> None:
        names = {"raw": "raw", "centered": "control", "average 5": "control", "untrained direct": "control"}
        means = {"raw": 0.6, "centered": 0.7, "average 5": 0.8, "untrained direct": 0.9, "SoLa, auto": 0.85}
        rows = [
            {"name": name, "kind": names.get(name, "compared"), "roc_auc": {"mean": mean, "std": 0.0}}
            for name, mean in means.items()
        ]
        comparisons = [
            row_comparison("raw", 0.25, 0.001),
            row_comparison("centered", 0.15, 0.001),
            row_comparison("average 5", 0.05, 0.2),
            row_comparison("untrained direct", -0.05, 0.01),
        ]
        record = {"rows": rows, "comparisons": comparisons}
        assert tables.verdicts({"a": record, "b": record}, "roc_auc") == (
            "Significantly, of 2 sets, against raw: ahead on 2, behind on 0; "
            "the best control: ahead on 0, behind on 0; untrained: ahead on 0, behind on 2.\n"
        )
        assert "| 80.0 (average 5) |" in tables.linear_table({"a": record}, "roc_auc")


def test_a_second_round_adds_videos_to_the_first(tmp_path: Path) -> None:
    write(SyntheticWorld(training_videos=12, validation_videos=1, length=40, channels=16), tmp_path / "set")
    training = Dataset.open(tmp_path / "set" / "features", tmp_path / "set" / "annotations.json").subset("training")
    labeled = {name: set(videos) for name, videos in rounds.rounds(training, 0).items()}
    assert {name: len(videos) for name, videos in labeled.items()} == {
        "first round": 5,
        "second round": 10,
        "random": 5,
        "all": 12,
    }
    assert labeled["first round"] < labeled["second round"] < labeled["all"]


@pytest.mark.slow
@pytest.mark.long
def test_from_features_to_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, runs = tmp_path / "long-0-synthetic", tmp_path / "runs"
    write(SyntheticWorld(training_videos=16, validation_videos=8, channels=16), folder)
    features = soften(folder, runs, "anet", 0)
    # training `auto` takes half a minute, and this test only checks how its features are used
    shutil.copytree(features, runs / folder.name / "auto-0" / "features")
    for solver, videos in tables.PROBES:
        linear.measure(folder, runs, ["anet", "auto"], "validation", solver, videos, 1, 1)
    # full-size detectors take minutes, and this test only checks how they are used
    names = zip(detectors.DETECTORS, ("bmn", "gtad", "actionformer"), strict=True)
    small = {title: detector_family(name).recipe("quick") for title, name in names}
    monkeypatch.setattr(detectors, "detector_configs", lambda _: small)
    detectors.write_best_control(folder, runs)
    detectors.write_untrained(folder, runs, 0)
    for name in detectors.DETECTORS:
        for base in detectors.BASES:
            detectors.run(folder, runs, name, base, 0, "validation", 10)
        detectors.measure(folder, runs, name, "validation", 1, 10)
    tables.detector_tables(runs, "validation", [folder.name])
    tables.linear_tables(runs, "validation", [folder.name], whole=True)
    output = capsys.readouterr().out
    for heading in ("ridge, all labels: ROC-AUC", "sgd, labels of 5 videos: class accuracy"):
        assert f"### {heading}" in output
    assert output.count("| SoLa, auto |") == 10
    assert output.count(f"| ActionFormer | `{folder.name}` |") == len(detectors.METRICS)
