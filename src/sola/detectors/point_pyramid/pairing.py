"""Detect pairs of a verb and a noun (EPIC-Kitchens-100) with a detector of verbs and a detector of nouns.

Both detectors have the same points. They are combined at each point, before suppression, as the authors of ActionFormer
describe (github.com/happyharrycn/actionformer_release/issues/97) and OpenTAD implements
(`tools/prepare_data/epic/epic_action_noun_verb_submit.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NoReturn

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.base import Detector
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.point_pyramid.points import Prediction
from sola.detectors.trained import TrainedDetector, same_period

CLASSES_PER_POINT = 10
"""Maximum number of verbs, and of nouns, that are paired at a point (OpenTAD)."""
SEPARATOR = ","
"""Separator of verb and noun in the name of a pair."""


def pair_detectors(
    verbs: TrainedDetector, nouns: TrainedDetector, *, candidates: int = 50_000, max_detections: int = 30_000
) -> TrainedDetector:
    """Combine a detector of verbs and a detector of nouns into a detector of actions, with classes "VERB,NOUN".

    At each point, the best ten verbs and nouns form pairs. The score of a pair is the square root of the product of
    both scores, and its segment is the mean of both segments. The other settings, such as those of suppression, are
    those of `verbs`. The defaults and the ten classes are OpenTAD's.

    Args:
        verbs: trained ActionFormer, TriDet or TemporalMaxer.
        nouns: trained detector with the same points, not necessarily of the same kind.
        candidates: maximum number of segments per video before suppression.
        max_detections: maximum number of segments per video.

    Returns:
        A detector for `detect`, `rebuild_chain` and other functions. It cannot be trained or stored.

    Raises:
        SolaError: if a detector has no points or predicts no classes, if levels, clips or training features differ, or
            if the name of a class has a comma.

    Examples:
        >>> import sola
        >>> verbs = sola.TrainedDetector.load("detector")
        >>> nouns = sola.TrainedDetector.load("detector")  # normally another run
        >>> actions = sola.pair_detectors(verbs, nouns)
        >>> actions.classes[:3]
        ('action_0,action_0', 'action_0,action_1', 'action_1,action_0')
        >>> data = sola.Dataset.open("softened", "annotations.json").subset("validation")
        >>> detections = sola.detect(actions, data)
    """
    networks = _network(verbs, "verbs"), _network(nouns, "nouns")
    _must_match(verbs, nouns)
    assert isinstance(verbs.config, PointPyramidConfig)
    return replace(
        verbs,
        model=PairDetector(*networks, candidates).eval(),
        config=replace(verbs.config, candidates=candidates, max_detections=max_detections),
        classes=_pairs(verbs.classes, nouns.classes),
        trained_classes=_pairs(verbs.trained_classes, nouns.trained_classes),
    )


class PairDetector(Detector):
    """Two networks that predict verbs and nouns at the same points; the label of a pair is verb · nouns + noun.

    Args:
        verbs: network whose threshold and minimum duration also apply to pairs.
        nouns: network with the same channels and levels.
        candidates: maximum number of segments per clip in `decode`.

    Raises:
        SolaError: if `candidates` is not positive.
    """

    predicts_classes = True

    def __init__(self, verbs: PointDetector, nouns: PointDetector, candidates: int) -> None:
        super().__init__()
        at_least(1, candidates=candidates)
        self.verbs, self.nouns, self.candidates = verbs, nouns, candidates
        self.channels = verbs.channels

    def collate(self, clips: Sequence[Float[Tensor, "channels _"]]) -> tuple[Tensor, ...]:
        """Return features and mask of a batch for each network, which may differ in padding."""
        return (*self.verbs.collate(clips), *self.nouns.collate(clips))

    def forward(
        self,
        verb_features: Float[Tensor, "batch channels verb_time"],
        verb_mask: Bool[Tensor, "batch verb_time"],
        noun_features: Float[Tensor, "batch channels noun_time"],
        noun_mask: Bool[Tensor, "batch noun_time"],
    ) -> tuple[Prediction, Prediction]:
        """Return the predictions of both networks."""
        return self.verbs(verb_features, verb_mask), self.nouns(noun_features, noun_mask)

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> NoReturn:
        """Raise SolaError: a pair is not trained."""
        raise SolaError("a pair of detectors cannot be trained; train the detector of verbs and that of nouns")

    def loss(self, output: Any, targets: Any, generator: torch.Generator) -> NoReturn:
        """Raise SolaError: a pair is not trained."""
        self.targets([], [], 0)

    def decode(self, output: tuple[Prediction, Prediction]) -> list[Segments]:
        """Return the segments of each clip (units) with the best scores of all levels, before suppression."""
        return [self._decoded(*output, clip) for clip in range(len(output[0].masks[0]))]

    def _decoded(self, verbs: Prediction, nouns: Prediction, clip: int) -> Segments:
        """Return the segments of a clip (units), with the best scores first."""
        pyramid, device = self.verbs.pyramid, verbs.masks[0].device
        pairs = [self._pairs_at(verbs, nouns, level, clip) for level in range(len(pyramid.strides))]
        score, level, point, verb, noun = (torch.cat(columns) for columns in zip(*pairs, strict=True))
        best = score.argsort(descending=True, stable=True)[: self.candidates]
        score, level, point, verb, noun = (column[best] for column in (score, level, point, verb, noun))
        start, end = torch.empty(2, len(best), dtype=torch.float64)
        for number, stride in enumerate(pyramid.strides):
            rows = (level == number).nonzero().squeeze(1)
            extents = [
                prediction.offsets_at(number, clip, point[rows].to(device), label[rows].to(device)).cpu().double()
                for prediction, label in ((verbs, verb), (nouns, noun))
            ]
            left, right = ((extents[0] + extents[1]) / 2 * stride).T
            center = pyramid.positions(number, verbs.masks[number].shape[1])[point[rows]]
            start[rows], end[rows] = center - left, center + right
        lasting = end - start > self.verbs.min_duration
        return Segments(*(c[lasting].numpy() for c in (start, end, verb * self.nouns.classes + noun, score)))

    def _pairs_at(
        self, verbs: Prediction, nouns: Prediction, level: int, clip: int
    ) -> tuple[Float[Tensor, " pairs"], *tuple[Int[Tensor, " pairs"], ...]]:
        """Return score, level, point, verb and noun of the pairs of a level with a score above the threshold."""
        points = min(prediction.masks[level].shape[1] for prediction in (verbs, nouns))  # other points are padding
        verb_score, verb = _best_classes(verbs, level, clip, points)
        noun_score, noun = _best_classes(nouns, level, clip, points)
        score = (verb_score[:, :, None] * noun_score[:, None, :]).sqrt()
        point, verb_rank, noun_rank = (score > self.verbs.threshold).nonzero(as_tuple=True)
        labels = verb[point, verb_rank], noun[point, noun_rank]
        return score[point, verb_rank, noun_rank], torch.full_like(point, level), point, *labels


def _best_classes(
    prediction: Prediction, level: int, clip: int, points: int
) -> tuple[Float[Tensor, "points best"], Int[Tensor, "points best"]]:
    """Return scores and labels of the best classes at the first points of a level; scores are 0 in the padding."""
    logits, mask = prediction.logits[level][clip, :points], prediction.masks[level][clip, :points]
    score, label = logits.detach().float().sigmoid().topk(min(CLASSES_PER_POINT, logits.shape[1]), dim=1)
    return (score.double() * mask[:, None]).cpu(), label.cpu()


def _pairs(verbs: Sequence[str], nouns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all pairs, in the order of their labels."""
    return tuple(SEPARATOR.join(pair) for pair in product(verbs, nouns))


def _network(detector: TrainedDetector, role: str) -> PointDetector:
    """Return the network of a detector. Raises SolaError if it cannot be paired."""
    model = detector.model
    if not (isinstance(model, PointDetector) and isinstance(detector.config, PointPyramidConfig)):
        raise SolaError(
            f"the detector of {role} is {detector.config.model}, without points to pair; train it with --model "
            "actionformer, tridet or temporalmaxer"
        )
    if not model.predicts_classes:
        raise SolaError(f"the detector of {role} predicts proposals without classes; train it with --multi-class")
    if wrong := next((name for name in detector.classes if SEPARATOR in name), None):
        raise SolaError(
            f"the detector of {role} has the class {wrong!r}, but a comma separates verb and noun in the name of a "
            "pair; train it on classes without commas, such as those of --label-key verb_class or noun_class"
        )
    return model


def _must_match(verbs: TrainedDetector, nouns: TrainedDetector) -> None:
    """Raise SolaError if points or training features of two detectors of the pyramid differ."""
    for name in ("levels", "resize_length", "snippets_per_unit"):
        values = [getattr(detector.config, name) for detector in (verbs, nouns)]
        if values[0] != values[1]:
            raise SolaError(
                f"the detectors of verbs and nouns have {name}={values[0]} and {name}={values[1]}; train both with "
                f"the same --{name.replace('_', '-')}"
            )
    channels = [detector.model.channels for detector in (verbs, nouns)]
    if channels[0] != channels[1]:
        raise SolaError(
            f"the detectors of verbs and nouns were trained on {channels[0]} and {channels[1]} channels; train both on "
            "the same features"
        )
    try:
        nouns.check_compatible(verbs.manifest)
    except SolaError as error:
        raise SolaError(f"the detector of nouns does not fit the training features of that of verbs: {error}") from None
    before, now = nouns.snippet_period, verbs.snippet_period
    if before is not None and now is not None and not same_period(before, now):
        raise SolaError(
            f"the detectors of verbs and nouns were trained on features with a snippet every {now:.4g} s and "
            f"{before:.4g} s; train both on the same features"
        )
