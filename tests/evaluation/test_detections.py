"""`sola evaluate`: values, warnings about unusual input, and refused input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sola.cli import main

ANNOTATIONS = {
    "database": {
        "v_a": {"subset": "validation", "duration": 30, "annotations": [{"segment": [0, 10], "label": "jump"}]},
        "v_b": {"subset": "validation", "duration": 30, "annotations": [{"segment": [5, 25], "label": "run"}]},
        "v_t": {"subset": "training", "duration": 30, "annotations": [{"segment": [5, 25], "label": "fly"}]},
        "v_e": {"subset": "testing", "duration": 30, "annotations": []},
    }
}


def found(*rows: tuple[float, float, str, float]) -> list[dict]:
    return [{"segment": [start, end], "label": label, "score": score} for start, end, label, score in rows]


@pytest.fixture
def annotations(tmp_path) -> Path:
    (tmp_path / "a.json").write_text(json.dumps(ANNOTATIONS))
    return tmp_path / "a.json"


@pytest.fixture
def evaluate(tmp_path, annotations, capsys):
    """Run the command on predictions; return exit code, stdout and stderr."""

    def call(what: str, results: dict, *flags: str) -> tuple[int, str, str]:
        (tmp_path / "p.json").write_text(json.dumps({"results": results}))
        more = ["--proposals"] if what == "proposals" else []
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(tmp_path / "p.json"), "--annotations", str(annotations), *more, *flags])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return call


@pytest.mark.parametrize("classes", [(5, 6, 7, 8, 9, 12), ("jump", "run", "BaseballPitch", "fly", "Diving", "sit")])
def test_lines_and_json_of_the_same_predictions_give_the_same_values(tmp_path, capsys, classes):
    """With numeric class names, and with THUMOS14's class names and numbers in the predictions."""
    numbers = {"BaseballPitch": 7, "Diving": 26}
    instances = {
        f"v{i}": {"subset": "validation", "duration": 60, "annotations": [{"segment": [20, 40], "label": label}]}
        for i, label in enumerate(classes)
    }
    (tmp_path / "a.json").write_text(json.dumps({"database": instances}))
    predicted = {f"v{i}": numbers.get(label, label) for i, label in enumerate(classes)}
    results = {v: [{"segment": [20, 40], "label": label, "score": 0.9}] for v, label in predicted.items()}
    (tmp_path / "p.json").write_text(json.dumps({"results": results}))
    (tmp_path / "p.csv").write_text("".join(f"{v},20,40,{label},0.9\n" for v, label in predicted.items()))
    for name in ("p.json", "p.csv"):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(tmp_path / name), "--annotations", str(tmp_path / "a.json"), "--json"])
        assert not stop.value.code
        assert json.loads(capsys.readouterr().out)["average_mAP"] == 1.0


GOOD = {"a": found((0, 10, "jump", 0.9), (12, 20, "jump", 0.4)), "b": found((5, 21, "run", 0.8))}


def test_metrics_of_detections_are_printed_as_json(evaluate):
    code, out, err = evaluate("detections", GOOD, "--json", "--tiou", ".5,.95")
    values = json.loads(out)
    assert code == 0
    assert err == ""
    assert values["mAP"] == {"0.50": 1.0, "0.95": 0.5}
    assert values["average_mAP"] == 0.75
    assert values["per_class"] == {"jump": 1.0, "run": 0.5}
    assert (values["predictions"], values["instances"]) == (3, 2)
    assert values["warnings"] == ["ids differ by the prefix 'v_' (predictions have 'a', annotations 'v_a')"]
    assert set(values["seconds"]) == {"read", "evaluate"}


def test_metrics_of_proposals_are_printed_as_json(evaluate):
    code, out, _ = evaluate(
        "proposals", {"a": [{"segment": [0, 10], "score": 1}], "b": found((5, 21, "?", 0.8))}, "--json"
    )
    values = json.loads(out)
    assert code == 0
    assert values["AR"]["100"] == pytest.approx(0.85)  # of ten thresholds, b's .8 reaches seven
    assert set(values["AR"]) == {"1", "5", "10", "100"}
    assert 84 < values["AUC"] <= 85
    assert (values["predictions"], values["instances"]) == (2, 2)


def test_metrics_are_printed_as_tables(evaluate, tmp_path):
    figure = tmp_path / "errors.png"
    code, out, err = evaluate("detections", GOOD, "--recall-at", "1", "5", "--diagnosis", str(figure))
    assert code == 0
    assert "Recall@5x" in out
    assert "background" in out
    assert "XL" in out
    assert "3 predictions, 2 instances" in err
    assert figure.read_bytes().startswith(b"\x89PNG")
    code, out, _ = evaluate("proposals", GOOD)
    assert code == 0
    assert "AR@100" in out


def test_a_diagnosis_as_json_adds_up(evaluate, tmp_path):
    _, out, _ = evaluate("detections", GOOD, "--json", "--diagnosis", str(tmp_path / "errors.svg"))
    values = json.loads(out)
    assert values["diagnosis"]["background"]["count"] == 1
    assert [one["instances"] for one in values["per_length"].values()] == [2, 0, 0, 0, 0]


@pytest.mark.parametrize("name", ["{}.mp4", "data/{}", "data/{}.avi"])
def test_predictions_may_name_files(evaluate, name):
    _, out, _ = evaluate("detections", {name.format(video): rows for video, rows in GOOD.items()}, "--json")
    assert json.loads(out)["per_class"]["jump"] == 1.0
    assert json.loads(out)["warnings"][0].startswith("ids differ by ")


def test_unusual_predictions_are_counted_and_evaluated(evaluate):
    odd = {
        "a": found((-1, 10, "jump", 0.9), (4, 3, "jump", 0.8), (0, 31, "swim", 0.7)),
        "elsewhere": found((0, 1, "jump", 0.5)),
    }
    _, out, _ = evaluate("detections", odd, "--json", "--tiou", ".5")
    values = json.loads(out)
    assert values["mAP"] == {"0.50": 0.5}
    ids, lost, missing, unknown, inverted, outside = values["warnings"]
    assert ids.startswith("ids differ by the prefix 'v_'")
    assert lost.startswith("1 video of the predictions (such as 'elsewhere')")
    assert "their 1 predictions are false positives" in lost
    assert missing.startswith("1 video of 2 annotated ones have no prediction (such as 'v_b')")
    assert unknown.startswith("1 predictions have labels that the annotations lack ('swim')")
    assert inverted.startswith("1 predictions end before they start")
    assert outside.startswith("2 predictions reach outside their video")


@pytest.mark.parametrize(("protocol", "effect"), [("official", "evaluated as annotated"), ("filtered", "left out by")])
def test_warning_about_zero_length_instances(evaluate, annotations, protocol, effect):
    database = json.loads(annotations.read_text())
    database["database"]["v_a"]["annotations"].append({"segment": [5, 5], "label": "jump"})
    annotations.write_text(json.dumps(database))
    _, out, _ = evaluate("detections", GOOD, "--json", "--protocol", protocol)
    (warning,) = (warning for warning in json.loads(out)["warnings"] if "zero length" in warning)
    assert effect in warning


def test_without_predictions_the_map_is_zero_and_a_warning_says_so(evaluate):
    _, out, _ = evaluate("detections", {}, "--json")
    values = json.loads(out)
    assert values["average_mAP"] == 0
    assert values["warnings"] == ["there is no prediction"]


def test_detections_in_lines_of_thumos14_are_evaluated(tmp_path, annotations, capsys):
    (tmp_path / "p.txt").write_text("a 0 10 jump 0.9\nb 5 25 run 0.9\n")
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path / "p.txt"), "--annotations", str(annotations), "--json"])
    assert json.loads(capsys.readouterr().out)["average_mAP"] == 1.0


@pytest.mark.parametrize(
    ("results", "flags", "said"),
    [
        (GOOD, ["--test-subset", "nope"], "unknown subset 'nope'; the annotations have 'validation' (2 videos)"),
        (GOOD, ["--dataset", "thumos14"], "the 1 annotated videos have no instance"),
        (GOOD, ["--test-subset", "testing"], "the 1 annotated videos have no instance"),
        (GOOD, ["--tiou", "half"], "--tiou half: expected FIRST:LAST:STEP"),
        (GOOD, ["--tiou", "0,.5"], "each in (0, 1]"),
        (GOOD, ["--recall-at", "0"], "--recall-at 0: must be >= 1"),
        (GOOD, ["--diagnosis", "errors.doc"], "errors.doc: unknown plot format"),
        ({"q": found((0, 1, "jump", 1))}, [], "no video has both predictions and annotations"),
        ({"a": found((0, 1, "hop", 1))}, [], "no label of the predictions (such as 'hop') is a class"),
        ({"a": [{"segment": [0, 1], "score": 1}]}, [], "use `sola evaluate --proposals`"),
        ({"a": [{"segment": [0, "x"], "score": 1}]}, [], "could not convert string"),
    ],
)
def test_bad_input_is_one_line(evaluate, results, flags, said):
    code, out, err = evaluate("detections", results, *flags)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert said in line


@pytest.mark.parametrize("flag", [["--recall-at", "1"], ["--diagnosis", "errors.png"]])
def test_detection_flags_are_refused_for_proposals(evaluate, flag):
    code, out, err = evaluate("proposals", GOOD, *flag)
    assert code == 2
    assert out == ""
    assert f"{flag[0]}: is for detections" in err


def test_perfect_predictions_of_all_of_activitynet(shared_data, tmp_path, capsys):
    path = shared_data / "annotations" / "activitynet-1.3.json"
    database = json.loads(path.read_text())["database"]
    results = {
        video: [{**annotation, "score": 1.0} for annotation in record["annotations"]]
        for video, record in database.items()
        if record["subset"] == "validation"
    }
    (tmp_path / "p.json").write_text(json.dumps({"results": results}))
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path / "p.json"), "--annotations", str(path), "--json"])
    values = json.loads(capsys.readouterr().out)
    assert values["average_mAP"] == 1.0
    assert values["instances"] == 7293


def test_a_closed_output_pipe_is_not_an_error(tmp_path, annotations):
    (tmp_path / "p.json").write_text(json.dumps({"results": GOOD}))
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "sola", "evaluate", tmp_path / "p.json", "--json"]
    process = subprocess.Popen(
        [*command, "--annotations", annotations], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )
    process.stdout.close()  # like `| head -1`, but immediately
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()
