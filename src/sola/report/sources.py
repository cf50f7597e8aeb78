"""Source folders of a report: studies, and training runs of modules and detectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.evaluation.results import RESULT, StudyResult, read_result
from sola.training.run import Run

DETECTIONS = "detections.json"
RAW = "raw"
"""Name of untransformed features."""
ORDER = ("table1", "table2", "table3", "table5", "table6", "figure1", "sectionC")
"""Order of the studies in a folder; other studies come last."""
EXPECTED = (
    "expected the folder of `sola reproduce` or one of its experiments, or a run of `sola train` or "
    "`sola train-detector`"
)
RunKind = Literal["module", "detector"]
RUN_KINDS: tuple[RunKind, ...] = get_args(RunKind)


@dataclass(frozen=True)
class Study:
    """Result of a study, and the base folder of its relative paths."""

    out: Path
    result: StudyResult

    def features(self) -> dict[str, tuple[Path, ...]]:
        """Return the features of each row with the first seed; several paths are concatenated along channels."""
        features = {}
        for row in self.result.ordered():
            if row.kind == "raw":  # with any detector
                features[RAW] = self.result.data.features
            elif row.features:
                features.setdefault(row.base, (self.out / row.features[0],))
        return features

    def detections(self) -> dict[str, Path]:
        """Return the path of the detections, with the first seed, of each row that has a detector."""
        return {row.name: self.out / row.detectors[0] / DETECTIONS for row in self.result.ordered() if row.detectors}

    def logs(self, kind: RunKind) -> dict[str, list[dict[str, Any]]]:
        """Return the training log, with the first seed, of each row's module or detector, if it has one."""
        folders = {}
        for row in self.result.ordered():
            if kind == "module" and row.modules:
                folders[row.base] = row.modules[0]
            elif kind == "detector" and row.detectors:
                folders[row.name] = row.detectors[0]
        logs = {name: Run(self.out / folder).rows() for name, folder in folders.items()}
        return {name: rows for name, rows in logs.items() if rows}


@dataclass(frozen=True)
class TrainedRun:
    """A training run of a module or of a detector."""

    name: str
    folder: Path
    kind: RunKind
    features: tuple[Path, ...]
    """Training features, if named in its config; several are concatenated along channels."""
    annotations: Path | None
    label_key: str


def read_sources(paths: Sequence[Path]) -> tuple[list[Study], list[TrainedRun]]:
    """Read studies and training runs. Duplicate folders are read once.

    Raises SolaError for a folder that is neither a study nor a run, or has no result yet.
    """
    studies: dict[Path, Study] = {}
    runs: dict[Path, TrainedRun] = {}
    for path in paths:
        folder = path.resolve()
        if not folder.is_dir():
            raise SolaError(f"{path}: no such folder; {EXPECTED}")
        results = [folder / RESULT] if (folder / RESULT).is_file() else sorted(folder.glob(f"*/{RESULT}"), key=_place)
        for result in results:
            studies.setdefault(result.parent, Study(result.parent.parent, read_result(result)))
        if not results:
            runs.setdefault(folder, _trained_run(path, folder))
    names = [run.name for run in runs.values()]
    distinct = [
        run if names.count(run.name) == 1 else replace(run, name=f"{run.folder.parent.name}/{run.name}")
        for run in runs.values()
    ]
    return list(studies.values()), distinct


def _place(result: Path) -> tuple[int, str]:
    name = result.parent.name
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def _trained_run(path: Path, folder: Path) -> TrainedRun:
    """Return the run in a folder. Raises SolaError if there is none."""
    if (folder / "modules").is_dir() or (folder / "detectors").is_dir():
        raise SolaError(f"{path}: the experiment has no {RESULT} yet; let `sola reproduce` finish")
    if not Run(folder).is_run():
        raise SolaError(f"{path}: nothing to report on; {EXPECTED}")
    config = read_json(folder / "config.json", "a run's config")
    requested = config["requested"] if isinstance(config["requested"], Mapping) else {}
    sources = requested.get("features") or config.get("sources") or []
    annotations = requested.get("annotations")
    if not isinstance(sources, list) or not isinstance(annotations, str | None):
        raise SolaError(f"{folder / 'config.json'}: not the config of a run; repeat the training")
    return TrainedRun(
        name=folder.name,
        folder=folder,
        kind="module" if "module" in config else "detector",
        features=tuple(Path(str(source)) for source in sources),
        annotations=None if annotations is None else Path(annotations),
        label_key=str(requested.get("label_key", "label")),
    )
