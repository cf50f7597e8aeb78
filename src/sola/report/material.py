"""What a report's explorer shows, gathered from studies, training runs and files that the user named."""

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
    """Features, and the module that transforms them when they are read."""

    features: FeatureSet
    through: Callable[[Video], Video] = np.asarray


@dataclass
class Material:
    """What there is to show of single videos."""

    annotations: Annotations | None = None
    subset: str = "validation"
    id_prefix: str | None = None
    """Prefix of ids in either features or annotations."""
    detections: dict[str, Detections] = field(default_factory=dict)
    views: dict[str, FeatureView] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What is not shown, and why."""
    shown: set[Path] = field(default_factory=set)
    """Features and detections that are here already."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing but annotations."""
        return not (self.detections or self.views)

    def add_features(self, name: str, where: str, paths: Sequence[Path], open_features: OpenFeatures) -> None:
        """Open the features of a study or a run, unless they are gone or shown already."""
        if paths[0].resolve() in self.shown:
            return
        if not all(path.exists() for path in paths):
            self.notes.append(f"{name} ({where}): its features are not there any more; no similarity maps of them.")
            return
        self.shown.add(paths[0].resolve())
        self.views[_free(name, where, self.views)] = FeatureView(open_features(paths))

    def add_detections(self, name: str, where: str, path: Path) -> None:
        """Read the detections of a study or a run, unless they are gone or shown already."""
        if path.resolve() in self.shown:
            return
        if not path.is_file():
            self.notes.append(f"{name} ({where}): has no {path.name}; its detections are not shown.")
            return
        self.shown.add(path.resolve())
        self.detections[_free(name, where, self.detections)] = read_detections(path)

    def add_run(self, run: TrainedRun, open_features: OpenFeatures) -> None:
        """Add the features that a run was trained on, also through its module, and the detections in its folder."""
        if run.features and not all(path.exists() for path in run.features):
            self.notes.append(f"{run.name}: the features that it was trained on are not there any more.")
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
    """Read the files that the user named, and those of studies and runs; of the latter, missing files become notes.

    Raises SolaError for a bad file that the user named, a name given twice, or an unknown subset.
    """
    data = [study.result.data for study in studies]
    material = Material(
        subset=subset or (data[0].test_subset if data else "validation"),
        id_prefix=id_prefix or next((one.id_prefix for one in data if one.id_prefix), None),
    )
    sources = [(one.annotations, one.label_key) for one in data]
    sources += [(run.annotations, run.label_key) for run in runs if run.annotations is not None]
    if annotations is not None:
        material.annotations = read_annotations(annotations, label_key or (sources[0][1] if sources else "label"))
        sources = []
    for path, key in dict.fromkeys(sources):
        if not path.is_file():
            material.notes.append(f"{path}: annotations that are not there any more.")
        elif material.annotations is None:
            material.annotations = read_annotations(path, label_key or key)
        else:
            material.notes.append(f"{path}: other annotations than the first ones; not shown.")
    if material.annotations is not None:
        material.annotations.subset(material.subset)  # raises for an unknown subset before anything is read

    for flag, pairs in (("--detections", detections), ("--features", features)):
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SolaError(f"{flag} {twice}=...: the name is given twice; give each its own")
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
        material.detections = {name: found.labeled_as(classes) for name, found in material.detections.items()}
    return material


def _open_as_study(study: Study, raw: bool, paths: Sequence[Path]) -> FeatureSet:
    return study.result.data.open_features(None if raw else paths[0])


def _free(name: str, where: str, taken: Mapping[str, object]) -> str:
    """The name, or with where it comes from if it is taken."""
    free, number = name, 1
    while free in taken:
        free, number = f"{name} ({where})" if number == 1 else f"{name} ({where}, {number})", number + 1
    return free
