"""Figures over frames of detections in seconds, and the mAP of verbs, nouns and actions."""

import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.detections import Detections, read_detections
from sola.data.segments import Segments
from sola.evaluation.actions import evaluate_actions
from sola.evaluation.frames import evaluate_frames, evaluate_segmentation
from sola.evaluation.metrics.frame_precision import frame_average_precision
from sola.evaluation.metrics.segmentation import Segmentation

CLASSES = ("pour", "stir", "take")


def drawn(seed: int, count: int, videos: int = 5) -> dict[str, Segments]:
    rng = np.random.default_rng(seed)
    found = {}
    for video in range(videos):
        start = rng.uniform(-1, 18, count)
        found[f"v{video}"] = Segments(
            start, start + rng.uniform(0.3, 6, count), rng.integers(0, 3, count), rng.permutation(count) / count + 0.01
        )
    return found


def annotated(segments: dict[str, Segments], fps: float | None = 5.0, duration: float | None = 20.0) -> Annotations:
    ones = {video: Segments(s.start, s.end, s.label, np.ones(len(s))) for video, s in segments.items()}
    return Annotations({video: VideoAnnotation(video, "test", duration, fps, s) for video, s in ones.items()}, CLASSES)


def test_a_segmentation_has_the_class_of_the_highest_score_at_each_frame() -> None:
    truth = annotated({"v": Segments(np.array([1.0, 4.0]), np.array([3.0, 8.0]), np.array([0, 2]), np.ones(2))})
    found = {
        "v": Segments(
            np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0]), np.array([0, 1, 2]), np.array([0.9, 0.5, 0.8])
        )
    }
    got = evaluate_segmentation(Detections.of(found, CLASSES), truth).to_json()
    # of 100 frames, 5 of "stir" from 3 to 4 s, and 5 of "take" from 8 to 9 s are wrong
    assert got["accuracy"] == pytest.approx(0.9)
    assert got["edit"] == pytest.approx(1 - 1 / 3)
    assert got["F1"] == pytest.approx({"0.10": 0.8, "0.25": 0.8, "0.50": 0.8})
    assert got["frames"] == 100


def test_a_detection_counts_whatever_its_score_unless_one_is_asked_for() -> None:
    one = {"v": Segments(np.array([1.0]), np.array([3.0]), np.array([0]), np.array([-4.0]))}
    truth = annotated(one)
    assert evaluate_segmentation(Detections.of(one, CLASSES), truth).figures.accuracy == 1
    left = evaluate_segmentation(Detections.of(one, CLASSES), truth, min_score=0.0)
    assert (left.predictions, left.figures.edit) == (0, 0)


def test_frames_with_several_annotated_classes_are_counted() -> None:
    both = Segments(np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.array([0, 1]), np.ones(2))
    got = evaluate_segmentation(Detections.of({"v": both}, CLASSES), annotated({"v": both}))
    assert "5 frames have several annotated classes, of which one counts" in got.warnings


@pytest.mark.parametrize("points", [None, 25])
def test_the_map_of_frames_equals_plain_loops(points: int | None) -> None:
    truth, found = drawn(0, 4), drawn(1, 30)
    found["v1"].score[:] -= 2  # logits may be negative
    got = evaluate_frames(Detections.of(found, CLASSES), annotated(truth, fps=4.0), points=points)
    times = [i / 25 * 20 for i in range(25)] if points else [i / 4 for i in range(80)]
    for label, name in enumerate(CLASSES):
        scored = []
        for video in truth:
            for time in times:

                def over(segments: Segments, time: float = time, label: int = label) -> list[float]:
                    rows = zip(segments.start, segments.end, segments.label, segments.score, strict=True)
                    return [score for start, end, own, score in rows if own == label and start <= time <= end]

                scored.append((max(over(found[video]), default=-np.inf), bool(over(truth[video]))))
        scored.sort(key=lambda pair: -pair[0])  # stable
        hits, total = 0, 0.0
        for rank, (_, present) in enumerate(scored, 1):
            hits += present
            total += present * hits / rank
        assert got.ap[got.classes.index(name)] == pytest.approx(total / hits, abs=1e-12)
    assert got.frames == 5 * len(times)


def test_frame_average_precision_equals_the_published_program(monkeypatch: pytest.MonkeyPatch) -> None:
    clone = os.environ.get("SOLA_CHARADES_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_CHARADES_REFERENCE: name a clone of gsig/charades-algorithms to compare with it")
    monkeypatch.syspath_prepend(str(Path(clone) / "pytorch" / "utils"))
    import map as theirs

    rng = np.random.default_rng(0)
    scores, present = rng.permutation(3000).reshape(1000, 3) / 3000, rng.random((1000, 3)) < 0.1
    expected = theirs.map(scores, present.astype(int))[2]
    got = [frame_average_precision(scores[:, label], present[:, label]) for label in range(3)]
    assert got == pytest.approx(expected, abs=1e-12)
    del sys.modules["map"]


@pytest.mark.parametrize(
    ("fps", "duration", "message"),
    [(None, 20.0, r"video 'v0': the frame rate is unknown; pass --fps"), (5.0, None, "the duration is unknown")],
)
def test_what_frames_need_is_asked_for(fps: float | None, duration: float | None, message: str) -> None:
    detections = Detections.of(drawn(1, 3), CLASSES)
    with pytest.raises(SolaError, match=message):
        evaluate_segmentation(detections, annotated(drawn(0, 2), fps, duration))


def test_predictions_in_other_videos_are_left_out_and_counted() -> None:
    truth = drawn(0, 4)
    more = {**truth, "elsewhere": truth["v0"]}
    for evaluate in (evaluate_segmentation, evaluate_frames):
        got, alone = (evaluate(Detections.of(found, CLASSES), annotated(truth)) for found in (more, truth))
        assert got.to_json().keys() == alone.to_json().keys()
        assert any("their 4 predictions are left out" in warning for warning in got.warnings)
        assert got.frames == alone.frames


LINES = "background\n" * 5 + "pour\n" * 10 + "take\n" * 5


@pytest.mark.parametrize(
    ("name", "text"),
    [("v.txt", LINES), ("v", "### Frame level recognition: ###\n" + LINES.replace("\n", " "))],
    ids=["ground truth", "results of MS-TCN"],
)
def test_frame_labels_are_read_as_predictions(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SolaError, match="pass --fps"):
        read_detections(tmp_path)
    found = read_detections(tmp_path, fps=5.0)
    times = np.array([1.0, 3.0]), np.array([3.0, 4.0])
    truth = annotated({"v": Segments(*times, np.array([0, 2]), np.ones(2))}, duration=4.0)
    assert evaluate_segmentation(found, truth).figures == Segmentation(1.0, 1.0, (1.0,) * 3)


def test_a_result_of_ms_tcn_without_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("### Frame level recognition: ###\n\n")
    with pytest.raises(SolaError, match="v: line 2: is missing; expected the classes of all frames"):
        read_detections(tmp_path, fps=5.0)


def test_a_submission_to_epic_kitchens_has_a_verb_and_a_noun(tmp_path: Path) -> None:
    row = {"verb": 3, "noun": 12, "action": "3,12", "score": 0.5, "segment": [1.0, 2.0]}
    (tmp_path / "s.json").write_text(json.dumps({"version": "0.2", "results": {"P01_11": [row]}}))
    assert read_detections(tmp_path / "s.json").classes == ("3,12",)


EPIC = """narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb,verb_class,noun,noun_class
a_0,P01,a,00:00:01.00,00:00:04.00,take,0,cup,13
a_1,P01,a,00:00:03.00,00:00:09.50,wash,2,cup,13
b_0,P01,b,00:00:02.00,00:00:05.00,pick-up,0,knife,4
"""


def test_actions_are_evaluated_by_verb_by_noun_and_by_both(tmp_path: Path) -> None:
    (tmp_path / "epic.csv").write_text(EPIC)
    truth = read_annotations(tmp_path / "epic.csv", "verb_class,noun_class")
    assert truth.classes == ("0,13", "0,4", "2,13")
    found = {
        video: Segments(np.array([start]), np.array([end]), np.array([0]), np.array([score]))
        for video, start, end, score in (("a", 1.0, 4.0, 0.9), ("b", 2.0, 5.0, 0.5))
    }
    got = evaluate_actions(Detections.of(found, ("0,13",)), truth)
    # both verbs are right; one noun is, of two instances
    assert got.parts["verb"].to_json()["per_class"] == {"0": 1.0, "2": 0.0}
    assert got.parts["noun"].to_json()["per_class"] == pytest.approx({"13": 0.5, "4": 0.0})
    assert got.parts["action"].to_json()["per_class"] == {"0,13": 1.0, "0,4": 0.0, "2,13": 0.0}
    with pytest.raises(SolaError, match=r"class 'cup' of the annotations: expected a verb and a noun"):
        evaluate_actions(Detections.of(found, ("0,13",)), read_annotations(tmp_path / "epic.csv", "noun"))


def test_actions_equal_the_published_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = os.environ.get("SOLA_EPIC_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_EPIC_REFERENCE: name a clone of epic-kitchens/C2-Action-Detection to compare with it")
    pandas = pytest.importorskip("pandas")
    joblib = types.ModuleType("joblib")  # they compute the classes in parallel
    joblib.Parallel = lambda n_jobs: list
    joblib.delayed = lambda function: function
    monkeypatch.setitem(sys.modules, "joblib", joblib)
    monkeypatch.setattr(np, "float", float, raising=False)
    monkeypatch.syspath_prepend(str(Path(clone) / "EvaluationCode"))
    import evaluate_detection_json_ek100 as theirs

    rng = np.random.default_rng(0)
    rows, results = [], {}
    for video in ("P01_01", "P02_03", "P04_05"):
        start = rng.uniform(0, 300, 40)
        end = start + rng.uniform(0.5, 9, 40)
        verb, noun = rng.integers(0, 4, (2, 40))
        for column in zip(start, end, verb, noun, strict=True):
            rows.append((video, *column))
        near = rng.integers(0, 40, 300)
        edges = np.stack([start[near], end[near]]) + rng.normal(0, 0.7, (2, 300))
        edges.sort(axis=0)
        wrong = rng.random(300) < 0.3
        verbs = np.where(wrong, rng.integers(0, 4, 300), verb[near])
        results[video] = [
            {"verb": int(v), "noun": int(n), "action": f"{v},{n}", "score": float(s), "segment": [float(a), float(b)]}
            for v, n, s, a, b in zip(verbs, noun[near], rng.random(300), *edges, strict=True)
        ]

    def stamp(seconds: float) -> str:
        return f"00:{int(seconds // 60):02d}:{seconds % 60:09.6f}"

    lines = ["narration_id,video_id,start_timestamp,stop_timestamp,verb,verb_class,noun,noun_class"]
    lines += [f"{i},{v},{stamp(a)},{stamp(b)},x,{verb},y,{noun}" for i, (v, a, b, verb, noun) in enumerate(rows)]
    (tmp_path / "epic.csv").write_text("\n".join(lines) + "\n")
    classes = tuple(sorted({row["action"] for found in results.values() for row in found}))
    segments = {
        video: Segments(
            np.array([row["segment"][0] for row in found]),
            np.array([row["segment"][1] for row in found]),
            np.array([classes.index(row["action"]) for row in found]),
            np.array([row["score"] for row in found]),
        )
        for video, found in results.items()
    }
    truth = read_annotations(tmp_path / "epic.csv", "verb_class,noun_class")
    got = evaluate_actions(Detections.of(segments, classes), truth)
    table = pandas.read_csv(tmp_path / "epic.csv")
    submission = json.loads(json.dumps({"results": results}))
    for name, part in got.parts.items():
        expected, _ = theirs.ANETdetection(table, submission, label=name).evaluate()
        assert part.average_precision.by_tiou == pytest.approx(expected, abs=1e-9)
