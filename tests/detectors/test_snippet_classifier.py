"""The snippet classifier: probabilities against their definition, and training data."""

from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.detectors.snippet_classifier import SnippetClassifier, fit_snippet_classifier

CLASSES = ("jump", "run")


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    """Four videos of 40 snippets, one per second, with a jump from 10 to 20 s and a run from 25 to 35 s."""
    folder = tmp_path / "features"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for video in ("a", "b", "c", "d"):
        values = generator.normal(scale=0.1, size=(40, 6)).astype(np.float32)
        values[10:20, 0] += 1
        values[25:35, 1] += 1
        np.save(folder / f"v_{video}.npy", values)
    Manifest(fps=1).write(folder)
    return FeatureSet.open(folder)


def annotations(subset: dict[str, str] | None = None, *, instances: bool = True) -> Annotations:
    segments = Segments(np.array([10.0, 25.0]), np.array([20.0, 35.0]), np.array([0, 1]), np.ones(2))
    videos = {
        video: VideoAnnotation(
            video, (subset or {}).get(video, "training"), 40.0, None, segments if instances else Segments.empty()
        )
        for video in ("a", "b", "c", "d")
    }
    return Annotations(videos, CLASSES if instances else ())


def test_probabilities_are_a_softmax_of_normalized_snippets() -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(5, 3)).astype(np.float32), generator.normal(size=3).astype(np.float32)
    features = generator.normal(size=(7, 5)).astype(np.float16)
    features[2] = 0
    got = SnippetClassifier(weight, bias).probabilities(features)
    for i in range(7):
        norm = sum(float(value) ** 2 for value in features[i]) ** 0.5 or 1.0
        scores = [
            sum(float(features[i, c]) / norm * float(weight[c, k]) for c in range(5)) + float(bias[k]) for k in range(3)
        ]
        powers = [np.exp(score) for score in scores]
        np.testing.assert_allclose(got[i], [power / sum(powers) for power in powers], atol=1e-5)


def test_classes_are_recognized_in_a_new_video(features: FeatureSet) -> None:
    data = Dataset.open(features, annotations({"d": "validation"}))
    classifier = fit_snippet_classifier(data.subset("training"), seed=0, epochs=100)
    probabilities = classifier.probabilities(features.read("v_d"))
    assert (probabilities[10:20].argmax(axis=1) == 0).all()
    assert (probabilities[25:35].argmax(axis=1) == 1).all()


def test_only_the_subset_is_used_for_training(features: FeatureSet) -> None:
    subset = {"c": "validation", "d": "validation"}
    data = Dataset.open(features, annotations(subset))
    whole = fit_snippet_classifier(data.subset("training"), seed=0, epochs=3)
    half = fit_snippet_classifier(data.only(["a", "b"]).subset("training"), seed=0, epochs=3)
    everything = fit_snippet_classifier(Dataset.open(features, annotations()).subset("training"), seed=0, epochs=3)
    np.testing.assert_array_equal(whole.weight, half.weight)
    assert not np.array_equal(whole.weight, everything.weight)


def test_the_weights_depend_only_on_the_seed(features: FeatureSet) -> None:
    data = Dataset.open(features, annotations())
    a, b, c = (fit_snippet_classifier(data.subset("training"), seed=s, epochs=2).weight for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_there_is_one_output_per_class(features: FeatureSet) -> None:
    classifier = fit_snippet_classifier(Dataset.open(features, annotations()).subset("training"), seed=0, epochs=1)
    assert (classifier.weight.shape, classifier.bias.shape) == ((6, 2), (2,))


def test_an_unknown_subset_is_refused(features: FeatureSet) -> None:
    with pytest.raises(SolaError, match=r"unknown subset 'dev'"):
        fit_snippet_classifier(Dataset.open(features, annotations()).subset("dev"), seed=0, epochs=1)


def test_annotations_without_a_class_are_refused(features: FeatureSet) -> None:
    data = Dataset.open(features, annotations(instances=False))
    with pytest.raises(SolaError):
        fit_snippet_classifier(data.subset("training"), seed=0, epochs=1)


def test_a_rare_class_is_more_likely_in_its_snippets_than_a_frequent_absent_class(tmp_path: Path) -> None:
    """Class 2 is rare and always occurs with class 3. An epoch has one step."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(4, 8))
    pairs = [(0, 1), (0, 1), (2, 3), (0, 3), (0, 1), (0, 3)]
    records = {}
    for number, pair in enumerate(pairs):
        values = generator.normal(scale=0.3, size=(40, 8)).astype(np.float32)
        values[10:30] += directions[list(pair)].sum(axis=0)
        np.save(tmp_path / f"{number}.npy", values)
        segments = Segments(np.full(2, 10.0), np.full(2, 30.0), np.array(pair), np.ones(2))
        records[str(number)] = VideoAnnotation(str(number), "training", 40.0, None, segments)
    features = FeatureSet.open(tmp_path)
    classifier = fit_snippet_classifier(Dataset.open(features, Annotations(records, tuple("abcd"))), seed=0, epochs=1)
    probabilities = classifier.probabilities(features.read("2"))[10:30].mean(axis=0)
    assert set(np.argsort(probabilities)[2:]) == {2, 3}
