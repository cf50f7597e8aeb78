"""Input of the explorer, collected from studies, training runs and files given by the user."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, read_annotations
from sola.data.detections import Detections, read_detections
from sola.data.features import FeatureSet
from sola.evaluation.similarity import Video
from sola.report.sources import DETECTIONS, RAW, Study, TrainedRun
from sola.softlanding.trained import WEIGHTS, TrainedModule
from sola.softlanding.transform import transform_array

OpenFeatures = Callable[[Sequence[Path]], FeatureSet]


@dataclass(frozen=True)
class FeatureView:
    """Features with a transform that is applied on reading."""

    features: FeatureSet
    through: Callable[[Video], Video] = np.asarray


@dataclass
class Material:
    """Annotations, detections and features of single videos for the explorer."""

    annotations: Annotations | None = None
    subset: str = "validation"
    id_prefix: str | None = None
    """Prefix by which ids of features and annotations differ."""
    detections: dict[str, Detections] = field(default_factory=dict)
    views: dict[str, FeatureView] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Reasons why sources are not shown."""
    shown: set[Path] = field(default_factory=set)
    """Paths of the features and detections added so far."""

    @property
    def empty(self) -> bool:
        """True if there are neither detections nor features."""
        return not (self.detections or self.views)

    def add_features(self, name: str, where: str, paths: Sequence[Path], open_features: OpenFeatures) -> None:
        """Add the features of a study or run, unless they are missing or were added before."""
        if paths[0].resolve() in self.shown:
            return
        if not all(path.exists() for path in paths):
            self.notes.append(f"{name} ({where}): its features no longer exist; similarity maps are not shown.")
            return
        self.shown.add(paths[0].resolve())
        self.views[_free(name, where, self.views)] = FeatureView(open_features(paths))

    def add_detections(self, name: str, where: str, path: Path) -> None:
        """Add the detections of a study or run, unless they are missing or were added before."""
        if path.resolve() in self.shown:
            return
        if not path.is_file():
            self.notes.append(f"{name} ({where}): has no {path.name}; its detections are not shown.")
            return
        self.shown.add(path.resolve())
        self.detections[_free(name, where, self.detections)] = read_detections(path)

    def add_run(self, run: TrainedRun, open_features: OpenFeatures) -> None:
        """Add the training features of a run, their transformed version for a module, and the run's detections."""
        if run.features and not all(path.exists() for path in run.features):
            self.notes.append(f"{run.name}: its training features no longer exist.")
        elif run.features:
            raw = not any(view.features.manifest.sola for view in self.views.values())
            name = RAW if raw and RAW not in self.views else f"features of {run.name}"
            self.add_features(name, run.name, run.features, open_features)
            if run.kind == "module" and (run.folder / WEIGHTS).is_file():
                through = partial(transform_array, TrainedModule.load(run.folder).network)
                name = _free(f"after {run.name}", run.folder.parent.name, self.views)
                self.views[name] = FeatureView(open_features(run.features), through)
        if run.kind == "detector":
            self.add_detections(run.name, "run", run.folder / DETECTIONS)


def gather(
    studies: Sequence[Study],
    runs: Sequence[TrainedRun],
    *,
    annotations: Path | None = None,
    label_key: str | None = None,
    detections: Sequence[tuple[str, Path]] = (),
    features: Sequence[tuple[str, Path]] = (),
    subset: str | None = None,
    id_prefix: str | None = None,
    open_features: OpenFeatures = FeatureSet.open,
) -> Material:
    """Read the files given by the user and the files of studies and runs.

    Missing files of studies and runs become notes. Raises SolaError for a bad file given by the user, a duplicate name
    or an unknown subset.
    """
    data = [study.result.data for study in studies]
    material = Material(
        subset=subset or (data[0].test_subset if data else "validation"),
        id_prefix=id_prefix or next((source.id_prefix for source in data if source.id_prefix), None),
    )
    sources = [(source.annotations, source.label_key) for source in data]
    sources += [(run.annotations, run.label_key) for run in runs if run.annotations is not None]
    if annotations is not None:
        material.annotations = read_annotations(annotations, label_key or (sources[0][1] if sources else "label"))
        sources = []
    for path, key in dict.fromkeys(sources):
        if not path.is_file():
            material.notes.append(f"{path}: the annotations no longer exist.")
        elif material.annotations is None:
            material.annotations = read_annotations(path, label_key or key)
        else:
            material.notes.append(f"{path}: not shown, because the page uses other annotations.")
    if material.annotations is not None:
        material.annotations.subset(material.subset)  # fail early on an unknown subset

    for flag, pairs in (("--detections", detections), ("--features", features)):
        names = [name for name, _ in pairs]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate is not None:
            raise SolaError(f"{flag} {duplicate}=...: the name is given twice; use distinct names")
    material.detections.update((name, read_detections(path)) for name, path in detections)
    material.views.update((name, FeatureView(open_features((path,)))) for name, path in features)
    material.shown.update(path.resolve() for _, path in (*detections, *features))
    for study in studies:
        for name, paths in study.features().items():
            reopen = partial(_open_as_study, study, name == RAW)
            material.add_features(name, study.result.experiment, paths, reopen)
        for name, path in study.detections().items():
            material.add_detections(name, study.result.experiment, path)
    for run in runs:
        material.add_run(run, open_features)
    if material.annotations is not None:
        classes = material.annotations.classes
        material.detections = {name: each.labeled_as(classes) for name, each in material.detections.items()}
    return material


def _open_as_study(study: Study, raw: bool, paths: Sequence[Path]) -> FeatureSet:
    return study.result.data.open_features(None if raw else paths[0])


def _free(name: str, where: str, taken: Mapping[str, object]) -> str:
    """Return the name, with its source in parentheses if the name is taken."""
    free, number = name, 1
    while free in taken:
        free, number = f"{name} ({where})" if number == 1 else f"{name} ({where}, {number})", number + 1
    return free
