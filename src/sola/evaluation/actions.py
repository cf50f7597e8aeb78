"""Evaluation of actions that are a verb and a noun (EPIC-Kitchens-100)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import Detections
from sola.evaluation.detections import DetectionResult, annotations_of, evaluate
from sola.evaluation.metrics.protocol import EPIC_KITCHENS, Protocol

SEPARATOR = ","
"""Between verb and noun in the name of a class."""
PARTS: Mapping[str, Callable[[str], str]] = {
    "verb": lambda name: name.partition(SEPARATOR)[0].strip(),
    "noun": lambda name: name.partition(SEPARATOR)[2].strip(),
    "action": lambda name: SEPARATOR.join(part.strip() for part in name.split(SEPARATOR, 1)),
}
"""What is evaluated, and the class that it makes of an action's."""


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
        """Number of instances that count."""
        return self.parts["action"].instances

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about all three."""
        return tuple(dict.fromkeys(warning for part in self.parts.values() for warning in part.warnings))

    def to_json(self) -> dict[str, Any]:
        """Return the result of each."""
        return {name: part.to_json() for name, part in self.parts.items()} | {"warnings": list(self.warnings)}


def evaluate_actions(
    detections: Detections,
    truth: Annotations | Dataset,
    *,
    tiou: Sequence[float] = EPIC_KITCHENS.tiou,
    protocol: Protocol = "official",
    id_prefix: str | None = None,
) -> ActionResult:
    """Measure detections of classes "verb,noun" by verb, by noun and by both, as EPIC-Kitchens-100's evaluator does.

    See `evaluate` for the arguments. Raises SolaError for a class that is no such pair, and as `evaluate` does.
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
    """Return detections whose classes are parts of the old ones."""
    classes, index = _parts(detections.classes, part)
    table = detections.table
    return replace(detections, classes=classes, table=replace(table, label=index[table.label]))


def _of_annotations(annotations: Annotations, part: Callable[[str], str]) -> Annotations:
    """Return annotations whose classes are parts of the old ones."""
    classes, index = _parts(annotations.classes, part)
    videos = {
        video: replace(record, segments=replace(record.segments, label=index[record.segments.label]))
        for video, record in annotations.videos.items()
    }
    return replace(annotations, videos=videos, classes=classes)


def _parts(names: Sequence[str], part: Callable[[str], str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the different parts of names in order, and the position of the part of each name among them."""
    found = list(map(part, names))
    position = {name: index for index, name in enumerate(dict.fromkeys(found))}
    return tuple(position), np.array([position[name] for name in found], np.int64)
