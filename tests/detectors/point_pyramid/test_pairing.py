"""Pairs of verbs and nouns equal plain loops and OpenTAD's; detectors that do not fit are refused; the commands."""

import ast
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.calling import refused
from support.calling import sola as command
from support.published_program import double_precision
from support.synthetic import SyntheticWorld, write
from support.weights import noise, randomized
from torch import Tensor

import sola
from sola.core.errors import SolaError
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.detectors import detector_family
from sola.detectors.point_pyramid.pairing import PairDetector, pair_detectors
from sola.detectors.point_pyramid.points import PointPrediction, Prediction
from sola.detectors.trained import TrainedDetector

CHANNELS, VERBS, NOUNS = 6, 12, 15
SMALL = {"levels": 3, "width": 16, "length": 32}


def detector(model: str, classes: int, seed: int = 0, recipe: str = "epic-verb", **changes: Any) -> TrainedDetector:
    """A small detector with random weights, of classes named by numbers."""
    config = replace(detector_family(model).recipe(recipe), **{**SMALL, **changes})
    torch.manual_seed(seed)
    network = randomized(config.build(CHANNELS, classes))
    if hasattr(network, "offset_scale"):
        network.offset_scale.data.fill_(1 + seed)  # verbs and nouns have different segments
    names = tuple(map(str, range(classes)))
    return TrainedDetector(network, config, names, Manifest(fps=30, stride=16), None, 16 / 30, names)


def pair(model: str = "actionformer", nouns: str | None = None, **changes: Any) -> TrainedDetector:
    return pair_detectors(detector(model, VERBS), detector(nouns or model, NOUNS, 1, "epic-noun"), **changes)


def predicted(pairs: PairDetector, *lengths: int) -> tuple[Prediction, Prediction]:
    clips = [noise(CHANNELS, length, seed=length).double() for length in lengths]
    with torch.inference_mode():
        output: tuple[Prediction, Prediction] = pairs.double()(*pairs.collate(clips))
    return output


Row = tuple[float, float, int, float]
"""Start, end, label and score of a segment."""


def plain(output: tuple[Prediction, Prediction], clip: int, length: int, best: int) -> list[Row]:
    """The definition: pairs of the ten best verbs and nouns of each point inside the clip, best scores first."""

    def best_classes(prediction: Prediction, level: int, point: int) -> list[tuple[float, int, float, float]]:
        """Score, label and distances (strides) of the best ten classes at a point."""
        logits = prediction.logits[level][clip, point].tolist()
        ranked = sorted(((1 / (1 + math.exp(-logit)), label) for label, logit in enumerate(logits)), reverse=True)
        at = (level, clip, torch.tensor([point]))
        return [(s, label, *prediction.offsets_at(*at, torch.tensor([label]))[0].tolist()) for s, label in ranked[:10]]

    found: list[Row] = []
    for level, stride in enumerate((1, 2, 4)):
        for point in range(math.ceil(length / stride)):
            verbs, nouns = (best_classes(prediction, level, point) for prediction in output)
            for verb_score, verb, verb_left, verb_right in verbs:
                for noun_score, noun, noun_left, noun_right in nouns:
                    score = math.sqrt(verb_score * noun_score)
                    if score > 0.001:
                        center = point * stride + 0.5
                        start = ((center - stride * verb_left) + (center - stride * noun_left)) / 2
                        end = ((center + stride * verb_right) + (center + stride * noun_right)) / 2
                        found.append((start, end, verb * NOUNS + noun, score))
    found = sorted(found, key=lambda row: -row[3])[:best]
    return [row for row in found if row[1] - row[0] > 0.05]


def rows(segments: Segments) -> np.ndarray:
    return np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)


def in_order(table: np.ndarray) -> np.ndarray:
    """Sort rows by label, start and end, because scores may tie up to rounding."""
    ordered: np.ndarray = table[np.lexsort((table[:, 1].round(4), table[:, 0].round(4), table[:, 2]))]
    return ordered


@pytest.mark.parametrize(
    ("verbs", "nouns"),
    [("actionformer", None), ("tridet", None), ("temporalmaxer", None), ("actionformer", "tridet")],
)
@pytest.mark.parametrize("candidates", [50_000, 700])
def test_pairs_equal_plain_loops(verbs: str, nouns: str | None, candidates: int) -> None:
    """With TriDet, whose segments depend on the class, too; and for kinds of detectors that pad clips differently."""
    model = pair(verbs, nouns, candidates=candidates).model
    assert isinstance(model, PairDetector)
    with double_precision():
        output = predicted(model, 21, 13)
        decoded = model.decode(output)
        expected = [plain(output, clip, length, candidates) for clip, length in enumerate((21, 13))]
    for segments, table in zip(decoded, expected, strict=True):
        assert len(segments) == len(table) > 500
        np.testing.assert_allclose(in_order(rows(segments)), in_order(np.array(table)), rtol=0, atol=1e-6)
        assert (np.diff(segments.score) <= 0).all()


def test_segments_of_pairs_are_decoded_by_level_and_clip_like_those_of_one_detector() -> None:
    """A detector paired with itself finds the segments of that detector, with scores of pairs of equal classes."""
    verbs = detector("actionformer", 3)
    network = verbs.model
    pairs = pair_detectors(verbs, verbs).model
    assert isinstance(pairs, PairDetector)
    with torch.inference_mode():
        inputs = network.collate([noise(CHANNELS, 21), noise(CHANNELS, 30)])
        alone = network.decode(network(*inputs))
        paired = pairs.decode(pairs(*inputs, *inputs))
    for expected, segments in zip(alone, paired, strict=True):
        equal = segments.take(segments.label % 4 == 0)
        same = replace(equal, label=equal.label // 4)
        np.testing.assert_allclose(in_order(rows(same)), in_order(rows(expected)), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def published() -> Callable[..., list[Row]]:
    """OpenTAD's combination of two detectors, without rounding and suppression; it imports all of OpenTAD."""
    clone = os.environ.get("SOLA_OPENTAD_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_OPENTAD_REFERENCE: name a clone of OpenTAD to compare with it")
    path = Path(clone) / "tools" / "prepare_data" / "epic" / "epic_action_noun_verb_submit.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) == "post_processing"]
    names: dict[str, Any] = {
        "torch": torch,
        "convert_to_seconds": lambda segments, meta: segments,
        "round": lambda value, digits: value,
    }
    exec(compile(tree, str(path), "exec"), names)

    class Settings:
        sliding_window = True  # suppression happens later
        pre_nms_topk = 3000
        nms = None

    def combined(verbs: tuple[Tensor, Tensor], nouns: tuple[Tensor, Tensor]) -> list[Row]:
        """Return rows from segments [points, 2] and scores [points, classes] of verbs and nouns."""
        batches = [[[values] for values in prediction] for prediction in (nouns, verbs)]
        results = names["post_processing"](*batches, [{"video_name": "v"}], Settings())["v"]
        return [(*found["segment"], found["label"], found["score"]) for found in results]

    return combined


def test_pairs_equal_those_of_opentad(published: Callable[..., list[Row]]) -> None:
    """OpenTAD's program requires 97 verbs and 293 nouns."""
    lengths, strides = (24, 12, 6), (1, 2, 4)

    def drawn(classes: int, seed: int) -> tuple[PointPrediction, tuple[Tensor, Tensor]]:
        logits = [3 * noise(1, length, classes, seed=seed + length) - 5 for length in lengths]
        offsets = [1 + noise(1, length, 2, seed=seed - length).abs() for length in lengths]
        masks = tuple(torch.ones(1, length, dtype=torch.bool) for length in lengths)
        segments = []
        for offset, length, stride in zip(offsets, lengths, strides, strict=True):
            center, offset = torch.arange(length) * stride + 0.5, offset.double()
            segments.append(torch.stack([center - stride * offset[0, :, 0], center + stride * offset[0, :, 1]], dim=1))
        flat = torch.cat(segments), torch.cat([values[0].sigmoid() for values in logits])
        return PointPrediction(tuple(logits), tuple(offsets), masks), flat

    (verbs, flat_verbs), (nouns, flat_nouns) = drawn(97, 100), drawn(293, 200)
    pairs = pair_detectors(detector("actionformer", 97), detector("actionformer", 293), candidates=3000).model
    assert isinstance(pairs, PairDetector)
    (segments,) = pairs.decode((verbs, nouns))
    expected = np.array(published(flat_verbs, flat_nouns))
    assert len(segments) == len(expected) == 3000
    np.testing.assert_allclose(segments.score, expected[:, 3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(in_order(rows(segments)), in_order(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("verbs", "nouns", "message"),
    [
        ({"levels": 4}, {}, "have levels=4 and levels=3; train both with the same --levels"),
        ({}, {"resize_length": 32}, "have resize_length=None and resize_length=32; train both with the same --resize"),
        ({}, {"snippets_per_unit": 2}, "have snippets_per_unit=1 and snippets_per_unit=2; train both with the same"),
        ({"multi_class": False}, {}, "the detector of verbs predicts proposals without classes; train it with --multi"),
        ({}, {"multi_class": False}, "the detector of nouns predicts proposals without classes; train it with --multi"),
    ],
)
def test_detectors_with_other_settings_are_not_paired(
    verbs: dict[str, Any], nouns: dict[str, Any], message: str
) -> None:
    with pytest.raises(SolaError, match=re.escape(message)):
        pair_detectors(detector("actionformer", 3, **verbs), detector("actionformer", 2, **nouns))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest": Manifest(fps=30, stride=8)}, "the features have stride=16, the detector was trained on features"),
        ({"manifest": Manifest(sola={"fingerprint": "a"})}, "the features went through no SoLa module, the detector"),
        ({"snippet_period": 0.4}, "with a snippet every 0.5333 s and 0.4 s; train both on the same features"),
        ({"classes": ("1,2", "3,4")}, "the detector of nouns has the class '1,2', but a comma separates verb and noun"),
    ],
)
def test_detectors_of_other_features_or_pairs_are_not_paired(changes: dict[str, Any], message: str) -> None:
    verbs = detector("actionformer", 2)
    with pytest.raises(SolaError, match=re.escape(message)):
        pair_detectors(verbs, replace(verbs, **changes))


def test_detectors_of_other_channels_or_without_points_are_not_paired() -> None:
    verbs, bmn = detector("actionformer", 2), detector_family("bmn").recipe("quick")
    wide = replace(verbs, model=verbs.config.build(CHANNELS + 1, 2))
    for nouns, message in (
        (wide, "were trained on 6 and 7 channels; train both on the same features"),
        (replace(verbs, model=bmn.build(8, 2), config=bmn), "the detector of nouns is bmn, without points to"),
    ):
        with pytest.raises(SolaError, match=message):
            pair_detectors(verbs, nouns)


def test_a_pair_has_the_classes_of_both_in_the_order_of_labels_and_is_not_trained() -> None:
    verbs, nouns = detector("actionformer", 2), replace(detector("actionformer", 3), trained_classes=("2",))
    actions = pair_detectors(verbs, nouns, max_detections=7)
    assert actions.classes == ("0,0", "0,1", "0,2", "1,0", "1,1", "1,2")
    assert actions.trained_classes == ("0,2", "1,2")
    assert (actions.config.max_detections, actions.config.sigma) == (7, verbs.config.sigma)
    with pytest.raises(SolaError, match="a pair of detectors cannot be trained"):
        actions.model.loss(None, None, torch.Generator())


# --- commands -------------------------------------------------------------------------------------------------------

WORLD = SyntheticWorld(training_videos=4, validation_videos=2, length=48, channels=8, action_length=8, classes=4)
TRAINING = [
    "--model", "actionformer", "--recipe", "epic-verb", "--levels", "3", "--width", "16", "--length", "64",
    "--epochs", "2", "--warmup-epochs", "1", "--precision", "fp32", "--device", "cpu", "--quiet",
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """features/; verbs.json, nouns.json and actions.json, in which class k is verb k // 2 with noun k % 2; two runs."""
    folder = tmp_path_factory.mktemp("pairing") / "world"
    write(WORLD, folder)
    annotations = (folder / "annotations.json").read_text(encoding="utf-8")
    for name, part in (("verbs", "{verb}"), ("nouns", "{noun}"), ("actions", "{verb},{noun}")):
        text = re.sub(r"action_(\d)", lambda k, p=part: p.format(verb=int(k[1]) // 2, noun=int(k[1]) % 2), annotations)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    for name in ("verbs", "nouns"):
        files = [folder / "features", "--annotations", folder / f"{name}.json", "--out", folder / name]
        assert command("train-detector", *files, *TRAINING) == 0
    return folder


def detect_actions(world: Path, out: Path, *more: object) -> list[object]:
    call = ["detect", world / "verbs", world / "features", "--nouns", world / "nouns", "--out", out]
    return [*call, "--annotations", world / "actions.json", "--device", "cpu", *more]


def test_actions_are_detected_and_evaluated(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*detect_actions(world, tmp_path / "actions.json")) == 0
    assert "warning" not in capsys.readouterr().err.lower()
    evaluated = ["evaluate", tmp_path / "actions.json", "--annotations", world / "actions.json", "--actions", "--json"]
    assert command(*evaluated, "--dataset", "epic-kitchens-100") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["warnings"] == []
    assert all(0 < result[part]["average_mAP"] <= 1 for part in ("verb", "noun", "action"))

    actions = sola.pair_detectors(*(sola.TrainedDetector.load(world / name) for name in ("verbs", "nouns")))
    data = sola.Dataset.open(world / "features", world / "actions.json").subset("validation")
    detections = sola.detect(actions, data, device="cpu").by_video()
    written = sola.read_detections(tmp_path / "actions.json")
    assert sorted(written.videos) == sorted(detections)
    for video, segments in written.by_video().items():
        labels = [written.classes[label] for label in segments.label]
        assert labels == [actions.classes[label] for label in detections[video].label]
        np.testing.assert_allclose(segments.score, detections[video].score, atol=1e-4)


def test_runs_that_do_not_fit_are_named(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [world / "features", "--annotations", world / "nouns.json", "--out", tmp_path / "nouns"]
    assert command("train-detector", *files, *TRAINING, "--levels", "2") == 0
    call = detect_actions(world, tmp_path / "out.json", "--quiet")
    call[call.index("--nouns") + 1] = tmp_path / "nouns"
    line = refused(capsys, *call)
    assert line.endswith(f"--nouns {tmp_path / 'nouns'}: the detectors of verbs and nouns have levels=3 and levels=2; "
                         "train both with the same --levels")  # fmt: skip
    call[call.index("--nouns") + 1] = tmp_path / "missing"
    assert f"{tmp_path / 'missing'}: no" in refused(capsys, *call)
