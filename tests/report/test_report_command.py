"""`sola report` on experiments, runs, files of other tools, and invalid input."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import experiment_folders as folders
from support.calling import refused, sola

HOSTILE = "<img src=x onerror=alert(1)></script>"
TRAIN = ["--step", "2", "--hidden", "8", "--projector-hidden", "8", "--epochs", "2", "--quiet"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.world(tmp_path_factory.mktemp("report") / "world")


@pytest.fixture(scope="module")
def out(world: Path) -> Path:
    """The output folder of an experiment; tests only read it."""
    return folders.experiment(world.parent / "out", world)


@pytest.fixture(scope="module")
def module(world: Path) -> Path:
    """A run of `sola train`."""
    assert sola("train", world / "features", "--out", world.parent / "module", *TRAIN) == 0
    return world.parent / "module"


def written(tmp_path: Path, *arguments: object) -> str:
    """Return the page."""
    assert sola("report", *arguments, "--out", tmp_path / "report.html", "--quiet") == 0
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def explored(html: str) -> Any:
    """Return the data of the explorer."""
    (data,) = re.findall(r'<script type="application/json" id="explorer-data">(.*?)</script>', html, re.DOTALL)
    return json.loads(data)


def test_an_experiment_becomes_a_page(out: Path, tmp_path: Path) -> None:
    html = written(tmp_path, out)
    data = explored(html)
    assert "Table 1: the form of the module" in html
    assert data["runs"] == list(folders.VALUES)
    assert data["features"] == list(folders.VALUES)
    assert len(data["videos"]) == 5


def test_a_single_experiment_folder_can_be_given(out: Path, tmp_path: Path) -> None:
    assert "Table 1" in written(tmp_path, out / "table1")


def test_a_duplicate_folder_is_shown_once(out: Path, tmp_path: Path) -> None:
    assert written(tmp_path, out, out / "table1").count('<section id="experiment-') == 1


def test_experiments_are_in_the_order_of_the_supplement(world: Path, tmp_path: Path) -> None:
    experiment = folders.experiment(tmp_path / "out", world)
    curves = {
        "similarity": {"whole": {"raw": [[0, 1], [1.0, 0.5]]}},
        "assumption_share": {"raw": [[8, 15], [0.9, 0.8]]},
    }
    folders.experiment(
        experiment, world, experiment="sectionC", title="Section C", rows=[], comparisons=[], curves=curves
    )
    folders.experiment(experiment, world, experiment="figure1", title="Figure 1")
    titles = re.findall(r"<h2>(.*?)</h2>", written(tmp_path, experiment))
    assert titles == ["Summary", "Table 1: the form of the module", "Figure 1", "Section C", "Explorer"]


def test_shared_runs_are_shown_once(world: Path, tmp_path: Path) -> None:
    experiment = folders.experiment(tmp_path / "out", world)
    folders.experiment(experiment, world, experiment="table2", title="Table 2")
    assert explored(written(tmp_path, experiment))["runs"] == list(folders.VALUES)


def test_features_are_opened_as_the_experiment_did(world: Path, tmp_path: Path) -> None:
    turned = shutil.copytree(world / "features", tmp_path / "turned")
    for path in turned.glob("*.npy"):
        np.save(path, np.load(path).T)
    record = folders.result(world)
    record["rows"] = [row | {"features": []} for row in record["rows"]]
    record["data"] |= {"features": [str(turned)], "channels_first": True}
    (tmp_path / "table1").mkdir()
    (tmp_path / "table1" / "result.json").write_text(json.dumps(record))
    data = explored(written(tmp_path, tmp_path / "table1"))
    (raw,) = data["videos"][0]["maps"]
    assert raw["snippets"] == len(np.load(world / "features" / "validation_0000.npy"))


@pytest.mark.slow
def test_a_module_shows_features_before_and_after(module: Path, tmp_path: Path) -> None:
    html = written(tmp_path, module, "--test-subset", "validation")
    assert explored(html)["features"] == ["raw", "after module"]
    assert "module: effective rank" in html


def test_a_detector_run_shows_its_detections(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "detector"
    folders.log(run, ["loss"])
    requested = {"features": [str(world / "features")], "annotations": str(world / "annotations.json")}
    (run / "config.json").write_text(json.dumps({"requested": requested, "sources": [], "classes": []}))
    folders.write_detections(run / "detections.json", folders.detections(world, shift=0.1))
    data = explored(written(tmp_path, run))
    assert data["runs"] == ["detector"]
    assert data["features"] == ["raw"]
    assert data["videos"][0]["truth"]["start"]


def test_detection_files_need_no_run(world: Path, tmp_path: Path) -> None:
    path = folders.write_detections(tmp_path / "d.json", folders.detections(world, shift=0.1))
    flags = ["--detections", f"one={path}", f"two={path}", "--annotations", world / "annotations.json"]
    data = explored(written(tmp_path, *flags, "--features", f"raw={world / 'features'}", "--title", "Mine"))
    assert data["runs"] == ["one", "two"]
    assert data["features"] == ["raw"]
    assert "<h1>Mine</h1>" in (tmp_path / "report.html").read_text()


def test_without_annotations_there_is_no_truth(world: Path, tmp_path: Path) -> None:
    path = folders.write_detections(tmp_path / "d.json", folders.detections(world, shift=0.1))
    data = explored(written(tmp_path, "--detections", f"one={path}"))
    assert all(video["truth"] is None for video in data["videos"])
    assert data["videos"][0]["duration"] > 1


def test_videos_that_are_left_out_are_counted(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sola("report", out, "--out", tmp_path / "r.html", "--max-videos", "2") == 0
    html = (tmp_path / "r.html").read_text()
    assert [video["id"] for video in explored(html)["videos"]] == ["validation_0000", "validation_0004"]
    assert "2 of 5 videos are on this page" in html
    assert "3 left out" in capsys.readouterr().err


def test_missing_features_are_reported_and_the_rest_is_shown(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = folders.experiment(tmp_path / "out", world)
    shutil.rmtree(experiment / "features-of" / "SoLa-adapter")
    (experiment / "detectors" / "raw" / "detections.json").unlink()
    assert sola("report", experiment, "--out", tmp_path / "r.html") == 0
    html = (tmp_path / "r.html").read_text()
    assert "SoLa, adapter" not in explored(html)["features"]
    assert "raw" not in explored(html)["runs"]
    for text in (html, capsys.readouterr().err):
        assert "SoLa, adapter (table1): its features no longer exist" in text
        assert "raw (table1): has no detections.json" in text


def test_names_from_data_are_escaped(world: Path, tmp_path: Path) -> None:
    rows = folders.result(world)["rows"]
    rows[3]["name"] = HOSTILE
    experiment = folders.experiment(
        tmp_path / "out", world, rows=rows, comparisons=[], title=HOSTILE, lead=HOSTILE, notes=[HOSTILE]
    )
    found = folders.detections(world, shift=0.1)
    for detections in found["results"].values():
        detections[0]["label"] = HOSTILE
    path = folders.write_detections(tmp_path / "d.json", found)
    html = written(tmp_path, experiment, "--detections", f"<b>={path}", "--title", HOSTILE)
    assert "<img" not in html
    assert "<b>" not in html
    assert "<b>" in explored(html)["runs"]
    assert html.count("</script>") == 2
    assert HOSTILE in explored(html)["classes"]
    assert HOSTILE in explored(html)["features"]


def test_the_page_loads_nothing(out: Path, tmp_path: Path) -> None:
    html = written(tmp_path, out)
    assert "default-src 'none'; img-src data:" in html
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', html)
    assert "https:" not in html
    assert "http:" not in html


def test_reports_are_deterministic(out: Path, tmp_path: Path) -> None:
    one = written(tmp_path, out)
    (tmp_path / "report.html").unlink()
    assert written(tmp_path, out) == one


def test_a_page_is_small(out: Path, tmp_path: Path) -> None:
    assert len(written(tmp_path, out)) < 400_000


# --- bad input ---------------------------------------------------------------------------------------------------


def test_report_needs_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "RUN is missing" in refused(capsys, "report", "--out", tmp_path / "r.html")


@pytest.mark.parametrize("what", ["missing", "foreign", "empty", "a file", "unfinished"])
def test_folders_without_a_run_are_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "it"
    if what in ("empty", "foreign", "unfinished"):
        folder.mkdir()
    if what == "foreign":
        (folder / "config.json").write_text('{"name": "mine"}')
    elif what == "a file":
        folder.write_text("{}")
    elif what == "unfinished":
        (folder / "modules").mkdir()
    line = refused(capsys, "report", folder, "--out", tmp_path / "r.html")
    assert "it: " in line
    assert "sola reproduce" in line
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "not an experiment's result"),
        ("{}", "`experiment`"),
        ("[1]", "object"),
        (b"\xff", "not an experiment's result"),
    ],
)
def test_a_bad_result_is_named(
    content: str | bytes, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table1").mkdir()
    (tmp_path / "table1" / "result.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    line = refused(capsys, "report", tmp_path, "--out", tmp_path / "r.html")
    assert "table1/result.json" in line
    assert named in line


def test_an_invalid_value_is_named(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = folders.result(world)["rows"]
    rows[1]["kind"] = "magic"
    experiment = folders.experiment(tmp_path / "out", world, rows=rows)
    assert "rows[1].kind" in refused(capsys, "report", experiment, "--out", tmp_path / "r.html").replace("[...]", "[1]")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--max-videos", "0"], "--max-videos 0: must be >= 1"),
        (["--test-subset", "dev"], "unknown subset 'dev'"),
        (["--annotations", "nowhere.json"], "nowhere.json: no such file"),
        (["--detections", "nowhere.json"], "expected NAME=PATH"),
        (["--detections", "one=nowhere.json"], "nowhere.json: no such file"),
        (["--features", "one=nowhere"], "nowhere"),
        (["--features", "one=features", "--features", "one=features"], "given twice"),
        (["--overwrit"], "--overwrit"),
    ],
)
def test_a_bad_argument_is_one_line(
    flags: list[str], named: str, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused(capsys, "report", out, "--out", tmp_path / "r.html", *flags)
    assert not (tmp_path / "r.html").exists()


def test_detections_of_other_videos_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {"elsewhere": [{"segment": [0, 1], "label": "a", "score": 1.0}]}
    path = folders.write_detections(tmp_path / "d.json", {"results": results})
    flags = ["--detections", f"one={path}", "--annotations", world / "annotations.json", "--out", tmp_path / "r.html"]
    assert "no video has both detections of one and annotations" in refused(capsys, "report", *flags)


def test_a_page_is_overwritten_only_on_request(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "r.html"
    there.write_text("mine")
    assert "r.html: exists already" in refused(capsys, "report", out, "--out", there)
    assert there.read_text() == "mine"
    assert sola("report", out, "--out", there, "--overwrite", "--quiet") == 0
    assert there.read_text().startswith("<!doctype html>")
