"""Every detector learns instances of several classes that overlap in time."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.base import DetectorConfig
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.detect import detect
from sola.detectors.gtad.config import GTADConfig
from sola.detectors.train import train_detector
from sola.evaluation.detections import evaluate

BMN = BMNConfig(length=16, epochs=9, batch_size=2, learning_rate=3e-3, decay_every=7, precision="fp32", device="cpu")
GTAD = GTADConfig(
    length=16, bins=16, epochs=14, batch_size=2, learning_rate=3e-3, decay_every=11, suppression="gaussian",
    sigma=0.5, precision="fp32", device="cpu",
)  # fmt: skip
ACTIONFORMER = ActionFormerConfig(
    length=16, width=32, levels=3, attention_window=9, epochs=20, warmup_epochs=2, batch_size=2, learning_rate=5e-3,
    ema_decay=0.9, normalizer=20.0, precision="fp32", device="cpu",
)  # fmt: skip

LENGTH = 16
"""Snippets per video, one per second."""
Instance = tuple[int, int, int]
"""First snippet, snippet after the last one, and class."""


def two_classes(start: int, video: int) -> list[Instance]:
    """Classes 0 and 1 at the same time in half of the videos, and class 2 in the others."""
    return [(start, start + 8, label) for label in ((2,) if video % 2 else (0, 1))]


def verb_and_noun(start: int, video: int) -> list[Instance]:
    """Verbs 0 to 2 with nouns 3 and 4; verb 0 occurs with both nouns, and each noun with two verbs."""
    pair = [(0, 3), (1, 3), (2, 4), (0, 4)][video % 4]
    return [(start, start + 8, label) for label in pair]


def nested(start: int, video: int) -> list[Instance]:
    return [(start, start + 10, 0), (start + 3, start + 7, 1)]


def videos(folder: Path, instances_of, classes: int, *, training: int = 10, validation: int = 6, seed: int = 0):
    """Videos whose snippets are the sum of a direction for each of their classes and a little noise."""
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(classes + 1, 16))
    records = {}
    for number in range(training + validation):
        values = directions[-1] + 0.2 * generator.normal(size=(LENGTH, 16))
        instances = instances_of(1 + 3 * number % 4, number)
        for first, stop, label in instances:
            values[first:stop] += directions[label]
        video, subset = f"video_{number:02d}", "training" if number < training else "validation"
        np.save(folder / f"{video}.npy", values.astype(np.float32))
        start, end, label = np.array(instances).T
        segments = Segments(start.astype(float), end.astype(float), label, np.ones(len(label)))
        records[video] = VideoAnnotation(video, subset, float(LENGTH), None, segments)
    return Dataset.open(FeatureSet.open(folder), Annotations(records, tuple("abcde"[:classes])))


KINDS = {two_classes: 3, verb_and_noun: 5, nested: 2}
"""Number of classes for each kind of overlapping instances."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "kind", "classes"),
    [
        *((config, kind, classes) for config in (BMN, GTAD) for kind, classes in KINDS.items()),
        (ACTIONFORMER, nested, 2),
        (ACTIONFORMER, verb_and_noun, 5),
        pytest.param(ACTIONFORMER, two_classes, 3, marks=pytest.mark.long),  # similar to verb_and_noun
    ],
    ids=lambda value: getattr(value, "model", getattr(value, "__name__", str(value))),
)
def test_every_class_is_learned(tmp_path: Path, config: DetectorConfig, kind, classes: int) -> None:
    (tmp_path / "features").mkdir()
    data = videos(tmp_path / "features", kind, classes)
    detector = train_detector(data.subset("training"), config, out=tmp_path / "run", quiet=True)
    validation = data.subset("validation")
    ap = evaluate(detect(detector, validation, device="cpu"), validation).average_precision
    rows = [int(np.flatnonzero(np.isclose(ap.tiou, threshold))[0]) for threshold in (0.5, 0.75)]
    np.testing.assert_array_equal(ap.ap[rows], np.ones((2, classes)))


def three_classes(start: int, video: int) -> list[Instance]:
    return [(start, start + 8, label) for label in (0, 1, 2)]


@pytest.mark.parametrize(
    ("changes", "trained", "message"),
    [
        ({}, 3, "up to 3 classes share an annotated instance: each proposal gets 3, not 2"),
        ({"classes_per_proposal": 4}, 4, ""),
        (
            {"classifier_epochs": 0},
            2,
            "up to 3 classes share an annotated instance, but each proposal gets 2; to assign all, "
            "pass --classes-per-proposal 3",
        ),
    ],
)
def test_a_proposal_gets_as_many_classes_as_share_an_instance(tmp_path, caplog, changes, trained, message):
    (tmp_path / "features").mkdir()
    data = videos(tmp_path / "features", three_classes, 3, training=4)
    quick = replace(GTAD, epochs=1, bins=4, **{"classifier_epochs": 1, **changes})
    with caplog.at_level(logging.INFO, "sola"):
        detector = train_detector(data.subset("training"), quick, out=tmp_path / "run", quiet=True)
    assert detector.config.classes_per_proposal == trained
    assert [line for line in caplog.messages if "share" in line] == [message] * bool(message)
    requested = json.loads((tmp_path / "run" / "config.json").read_text())["requested"]
    assert requested["classes_per_proposal"] == quick.classes_per_proposal
