"""Evaluate actions that consist of a verb and a noun (EPIC-Kitchens-100)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import Detections
from sola.evaluation.detections import DetectionResult, evaluate
from sola.evaluation.joining import annotations_of
from sola.evaluation.metrics.protocol import EPIC_KITCHENS, Protocol

SEPARATOR = ","
"""Separator of verb and noun in a class name."""
PARTS: Mapping[str, Callable[[str], str]] = {
    "verb": lambda name: name.partition(SEPARATOR)[0].strip(),
    "noun": lambda name: name.partition(SEPARATOR)[2].strip(),
    "action": lambda name: SEPARATOR.join(part.strip() for part in name.split(SEPARATOR, 1)),
}
"""Function from the class name of an action to the class name that is evaluated, by what is evaluated."""


@dataclass(frozen=True, eq=False)
class ActionResult:
    """Detection mAP of verbs, nouns and actions."""

    parts: Mapping[str, DetectionResult]

    @property
    def predictions(self) -> int:
        """Number of predictions."""
        return self.parts["action"].predictions

    @property
    def instances(self) -> int:
        """Number of evaluated instances."""
        return self.parts["action"].instances

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all three evaluations, without duplicates."""
        return tuple(dict.fromkeys(warning for part in self.parts.values() for warning in part.warnings))

    def to_json(self) -> dict[str, Any]:
        """Return the three results and the warnings."""
        return {name: part.to_json() for name, part in self.parts.items()} | {"warnings": list(self.warnings)}


def evaluate_actions(
    detections: Detections,
    truth: Annotations | Dataset,
    *,
    tiou: Sequence[float] = EPIC_KITCHENS.tiou,
    protocol: Protocol = "official",
    id_prefix: str | None = None,
) -> ActionResult:
    """Measure the mAP of verbs, nouns and actions of detections whose classes are "verb,noun".

    Follows the evaluation program of EPIC-Kitchens-100. See `evaluate` for the arguments.

    Raises:
        SolaError: if a class is not a verb and a noun, or for the reasons of `evaluate`.

    Examples:
        >>> from dataclasses import replace
        >>> import sola
        >>> truth = sola.read_annotations("annotations.json").subset("validation")
        >>> truth = replace(truth, classes=("open,door", "open,drawer"))
        >>> perfect = {video: record.segments for video, record in truth.videos.items()}
        >>> result = sola.evaluate_actions(sola.Detections.of(perfect, truth.classes), truth)
        >>> {part: result.parts[part].average_map for part in result.parts}
        {'verb': 1.0, 'noun': 1.0, 'action': 1.0}
    """
    annotations = annotations_of(truth)
    for names, where in ((annotations.classes, "the annotations"), (detections.classes, "the predictions")):
        if wrong := next((name for name in names if SEPARATOR not in name), None):
            raise SolaError(
                f"class {wrong!r} of {where}: expected a verb and a noun, such as '3,12'; name the columns of "
                "annotations by --label-key verb_class,noun_class"
            )
    parts = {}
    for name, part in PARTS.items():
        parts[name] = evaluate(
            _of_detections(detections, part),
            _of_annotations(annotations, part),
            tiou=tiou,
            protocol=protocol,
            id_prefix=id_prefix,
        )
    return ActionResult(parts)


def _of_detections(detections: Detections, part: Callable[[str], str]) -> Detections:
    """Return the detections with each class replaced by a part of it."""
    classes, index = _parts(detections.classes, part)
    table = detections.table
    return replace(detections, classes=classes, table=replace(table, label=index[table.label]))


def _of_annotations(annotations: Annotations, part: Callable[[str], str]) -> Annotations:
    """Return the annotations with each class replaced by a part of it."""
    classes, index = _parts(annotations.classes, part)
    videos = {
        video: replace(record, segments=replace(record.segments, label=index[record.segments.label]))
        for video, record in annotations.videos.items()
    }
    return replace(annotations, videos=videos, classes=classes)


def _parts(names: Sequence[str], part: Callable[[str], str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the unique parts of the names in order, and the index of each name's part among them."""
    parts = list(map(part, names))
    position = {name: index for index, name in enumerate(dict.fromkeys(parts))}
    return tuple(position), np.array([position[name] for name in parts], np.int64)
