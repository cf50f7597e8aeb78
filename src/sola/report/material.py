"""What a report's explorer shows, gathered from experiments, runs and what the user named."""

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
from sola.report.sources import RAW, Study, TrainedRun
from sola.softlanding.trained import WEIGHTS, TrainedModule
from sola.softlanding.transform import transform_array

OpenFeatures = Callable[[Sequence[Path]], FeatureSet]


@dataclass(frozen=True)
class FeatureView:
    """Features as they are seen through something: as they lie on disk, or after a module."""

    features: FeatureSet
    through: Callable[[Video], Video] = np.asarray


@dataclass
class Material:
    """What there is to look at in single videos."""

    annotations: Annotations | None = None
    subset: str = "validation"
    id_prefix: str | None = None
    """What ids begin with on one side only."""
    detections: dict[str, Detections] = field(default_factory=dict)
    views: dict[str, FeatureView] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What could not be shown, and why."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing but annotations."""
        return not (self.detections or self.views)


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
    """Read what was named, and what experiments and runs say they are made of.

    What the user named has to be there; what an experiment or a run speaks of and is gone is left out, with a note.

    Raises:
        SolaError: for a file that the user named and that is bad, a name given twice, or an unknown subset.
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
    else:
        for path, key in dict.fromkeys(sources):
            if not path.is_file():
                material.notes.append(f"{path}: annotations that are not there any more.")
            elif material.annotations is None:
                material.annotations = read_annotations(path, label_key or key)
            else:
                material.notes.append(f"{path}: other annotations than the first ones; not shown.")
    if material.annotations is not None:
        material.annotations.subset(material.subset)  # an unknown one is told before anything is read

    _named("--detections", detections)
    _named("--features", features)
    for name, path in detections:
        material.detections[name] = read_detections(path)
    for name, path in features:
        material.views[name] = FeatureView(open_features((path,)))
    found = {path.resolve(): name for name, path in (*detections, *features)}
    for study in studies:
        where = study.result.experiment
        for name, paths in study.features().items():
            reopen = partial(_open_for_study, study, raw=name == RAW)
            _add_features(material, found, name, where, paths, reopen)
        for name, path in study.detections().items():
            _add_detections(material, found, name, where, path)
    for run in runs:
        _add_run(material, found, run, open_features)
    return material


def _open_for_study(study: Study, paths: Sequence[Path], *, raw: bool) -> FeatureSet:
    """Open features as the study did."""
    return study.result.data.open_features(None if raw else paths[0])


def _named(flag: str, pairs: Sequence[tuple[str, Path]]) -> None:
    """Raise SolaError when a name is given twice."""
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SolaError(f"{flag} {twice[0]}=...: the name is given twice; give each its own")


def _add_features(
    material: Material,
    found: dict[Path, str],
    name: str,
    where: str,
    paths: Sequence[Path],
    open_features: OpenFeatures,
) -> None:
    """Open features that an experiment or a run speaks of, if they are there and not shown yet."""
    key = paths[0].resolve()
    if key in found:
        return
    if not all(path.exists() for path in paths):
        material.notes.append(f"{name} ({where}): its features are not there any more; no similarity maps of them.")
        return
    found[key] = name
    material.views[_free(name, where, material.views)] = FeatureView(open_features(paths))


def _add_detections(material: Material, found: dict[Path, str], name: str, where: str, path: Path) -> None:
    """Read detections that an experiment or a run left, if they are there and not shown yet."""
    if path.resolve() in found:
        return
    if not path.is_file():
        material.notes.append(f"{name} ({where}): has no {path.name}; its detections are not shown.")
        return
    found[path.resolve()] = name
    material.detections[_free(name, where, material.detections)] = read_detections(path)


def _add_run(material: Material, found: dict[Path, str], run: TrainedRun, open_features: OpenFeatures) -> None:
    """What a run was trained on, what its module makes of it, and what its head found."""
    if run.features and not all(path.exists() for path in run.features):
        material.notes.append(f"{run.name}: the features that it was trained on are not there any more.")
    elif run.features:
        raw = not any(view.features.manifest.sola for view in material.views.values())
        name = RAW if raw and RAW not in material.views else f"features of {run.name}"
        _add_features(material, found, name, run.name, run.features, open_features)
        if run.kind == "module" and (run.folder / WEIGHTS).is_file():
            through = partial(transform_array, TrainedModule.load(run.folder).network)
            view = FeatureView(open_features(run.features), through)
            material.views[_free(f"after {run.name}", run.folder.parent.name, material.views)] = view
    if run.kind == "detector":
        _add_detections(material, found, run.name, "run", run.folder / "detections.json")


def _free(name: str, where: str, taken: Mapping[str, object]) -> str:
    """The name, or with where it comes from if it is taken."""
    if name not in taken:
        return name
    longer = f"{name} ({where})"
    number = 2
    while longer in taken:
        longer, number = f"{name} ({where}, {number})", number + 1
    return longer
