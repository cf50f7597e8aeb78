"""Assign classes to proposals, from an external classifier or the snippet classifier."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.detector_runs import TINY

from sola.core.errors import SolaError
from sola.data.class_scores import VideoScores, read_classifier, thumos14_layout
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.detectors.detect import classify_proposals
from sola.detectors.snippet_classifier import SnippetClassifier
from sola.detectors.trained import TrainedDetector

PROPOSALS = Segments(np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.zeros(2, np.int64), np.array([0.8, 0.5]))


def test_classes_from_an_external_classifier(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.1, 0.2, 0.7]]))
    detections = classify_proposals(detector, data, {video: PROPOSALS}, scores=scores)[video]
    assert detections.label.tolist() == [2, 2, 1, 1]
    assert detections.score.tolist() == pytest.approx([0.56, 0.35, 0.16, 0.1])
    assert detections.start.tolist() == [0.0, 2.0, 0.0, 2.0]


def test_scores_can_be_combined_by_square_root(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 0.0, 0.5]]))
    detections = classify_proposals(detector, data, {video: PROPOSALS}, scores=scores, combine="sqrt")[video]
    assert detections.score[:2].tolist() == pytest.approx([0.4**0.5, 0.25**0.5])


def test_the_snippet_classifier_uses_the_snippets_inside_a_proposal(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    assert detector.classifier is not None
    detections = classify_proposals(detector, data, {video: PROPOSALS})[video]
    array = features.read(video)
    probabilities = detector.classifier.probabilities(array)
    expected = []
    for start, end, score in zip(PROPOSALS.start, PROPOSALS.end, PROPOSALS.score, strict=True):
        inside = [i for i in range(len(array)) if start <= SnippetGrid(fps=4.0).seconds(i) < end]
        mean = [sum(float(probabilities[i, label]) for i in inside) / len(inside) for label in range(3)]
        best = sorted(range(3), key=lambda label: -mean[label])[:2]
        expected += [(score * mean[label], start, label) for label in best]
    expected.sort(reverse=True)
    assert detections.label.tolist() == [label for _, _, label in expected]
    np.testing.assert_allclose(detections.score, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(detections.start, [start for _, start, _ in expected])


def test_an_external_classifier_takes_precedence_over_the_snippet_classifier(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    classifier = SnippetClassifier(np.zeros((8, 3), np.float32), np.array([100.0, 0, 0], np.float32))
    detector = replace(detector, classifier=classifier, config=replace(TINY, classes_per_proposal=1))
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 1.0, 0.0]]))
    assert classify_proposals(detector, data, {video: PROPOSALS})[video].label.tolist() == [0, 0]
    detections = classify_proposals(detector, data, {video: PROPOSALS}, scores=scores)
    assert detections[video].label.tolist() == [1, 1]


def test_the_number_of_classes_per_proposal_is_limited_to_all_classes(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    detector = replace(detector, config=replace(TINY, classes_per_proposal=50))
    detections = classify_proposals(detector, data, {video: PROPOSALS})[video]
    assert sorted(detections.label.tolist()) == [0, 0, 1, 1, 2, 2]
    assert (np.diff(detections.score) <= 0).all()


def test_assigning_classes_without_a_classifier_is_refused(detector: TrainedDetector, data: Dataset) -> None:
    with pytest.raises(SolaError, match=r"--classifier"):
        classify_proposals(replace(detector, classifier=None), data, {"a": PROPOSALS})


def test_a_video_without_class_scores_is_reported(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    scores = VideoScores(("other",), detector.classes, np.ones((1, 3)))
    with pytest.raises(SolaError, match=f"video '{video}': no class scores"):
        classify_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_scores_of_other_classes_are_refused(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    """Another order of classes would silently give wrong classes."""
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes[::-1], np.ones((1, 3)))
    with pytest.raises(SolaError, match="classes"):
        classify_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_classes_from_the_array_of_untrimmednet_for_thumos14(
    detector: TrainedDetector, data: Dataset, tmp_path: Path
) -> None:
    rows, columns = thumos14_layout()
    table = np.zeros((len(rows), len(columns)), np.float32)
    table[3, 8] = 0.9  # test video 4, UCF-101's class 9: BasketballDunk
    np.save(tmp_path / "uNet_test.npy", table)
    classes = ("BaseballPitch", "BasketballDunk", "Billiards")
    scores = read_classifier(
        tmp_path / "uNet_test.npy", videos=["video_test_0000004"], classes=classes, rows=rows, columns=columns
    )
    data = replace(data, videos=(replace(data.videos[0], id="video_test_0000004"),))
    detector = replace(detector, classes=classes, config=replace(TINY, classes_per_proposal=1))
    detections = classify_proposals(detector, data, {"video_test_0000004": PROPOSALS}, scores=scores)[
        "video_test_0000004"
    ]
    assert detections.label.tolist() == [1, 1]
    assert detections.score.tolist() == pytest.approx([0.72, 0.45])
