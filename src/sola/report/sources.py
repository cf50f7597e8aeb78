"""Folders that a report is made of: experiments, and training runs of modules and of heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.report.result import RESULT, Result, read_result
from sola.training.run import Run

DETECTIONS = "detections.json"
RAW = "raw"
"""What features are called that went through nothing."""
ORDER = ("table1", "table2", "table3", "table5", "table6", "figure1", "sectionC")
"""In which the experiments of a folder come; others come after them."""
EXPECTED = (
    "expected the folder of `sola reproduce` or one of its experiments, or a run of `sola train` or "
    "`sola train-detector`"
)


@dataclass(frozen=True)
class Experiment:
    """One experiment's result, and the folder that the paths in it start from."""

    out: Path
    result: Result

    def features(self) -> dict[str, tuple[Path, ...]]:
        """The features of each row, of its first seed; several paths are joined on channels."""
        found = {}
        for row in self.result.ordered():
            if row.kind == "raw":  # under whatever head
                found[RAW] = tuple(map(Path, self.result.data.features))
            elif row.features:
                found.setdefault(row.base, (self.out / row.features[0],))
        return found

    def detections(self) -> dict[str, Path]:
        """The detections of each row that has a head, of its first seed."""
        return {row.name: self.out / row.heads[0] / DETECTIONS for row in self.result.ordered() if row.heads}

    def logs(self, part: Literal["modules", "heads"]) -> dict[str, list[dict[str, Any]]]:
        """The training log of each row's module or head, of its first seed; rows without one are left out."""
        folders = {}
        for row in self.result.ordered():
            if part == "modules" and row.modules:
                folders[row.base] = row.modules[0]
            elif part == "heads" and row.heads:
                folders[row.name] = row.heads[0]
        read = {name: Run(self.out / folder).rows() for name, folder in folders.items()}
        return {name: rows for name, rows in read.items() if rows}


@dataclass(frozen=True)
class TrainedRun:
    """A training run of a module or of a head."""

    name: str
    folder: Path
    kind: Literal["module", "head"]
    features: tuple[Path, ...]
    """What it was trained on, as far as it says; several are joined on channels."""
    annotations: Path | None
    label_key: str

    @property
    def detections(self) -> Path | None:
        """The detections that lie in its folder."""
        path = self.folder / DETECTIONS
        return path if path.is_file() else None

    def log(self) -> list[dict[str, Any]]:
        """A row an epoch."""
        return Run(self.folder).rows()


def read_sources(paths: Sequence[Path]) -> tuple[list[Experiment], list[TrainedRun]]:
    """Read the folders that were named, each once.

    Raises SolaError for a folder that is none of ours, or that holds nothing yet.
    """
    experiments: dict[Path, Experiment] = {}
    runs: dict[Path, TrainedRun] = {}
    for path in paths:
        folder = path.resolve()
        if not folder.is_dir():
            raise SolaError(f"{path}: no such folder; {EXPECTED}")
        results = [folder / RESULT] if (folder / RESULT).is_file() else sorted(folder.glob(f"*/{RESULT}"), key=_place)
        for result in results:
            experiments.setdefault(result.parent, Experiment(result.parent.parent, read_result(result)))
        if not results:
            runs.setdefault(folder, _trained_run(path, folder))
    return list(experiments.values()), _told_apart(list(runs.values()))


def _place(result: Path) -> tuple[int, str]:
    name = result.parent.name
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def _trained_run(path: Path, folder: Path) -> TrainedRun:
    """The run in a folder; SolaError when there is none."""
    if (folder / "modules").is_dir() or (folder / "heads").is_dir():
        raise SolaError(f"{path}: an experiment that has no {RESULT} yet; let `sola reproduce` finish")
    if not Run(folder).is_run():
        raise SolaError(f"{path}: nothing to report on; {EXPECTED}")
    config = read_json(folder / "config.json", "a run's config")
    requested = config["requested"] if isinstance(config["requested"], Mapping) else {}
    sources = requested.get("features") or config.get("sources") or []
    annotations = requested.get("annotations")
    if not isinstance(sources, list) or not isinstance(annotations, str | None):
        raise SolaError(f"{folder / 'config.json'}: not the config of a run; train it again")
    return TrainedRun(
        name=folder.name,
        folder=folder,
        kind="module" if "module" in config else "head",
        features=tuple(Path(str(source)) for source in sources),
        annotations=None if annotations is None else Path(annotations),
        label_key=str(requested.get("label_key", "label")),
    )


def _told_apart(runs: list[TrainedRun]) -> list[TrainedRun]:
    """The runs under names of their own: of those that share one, the folder above it is named too."""
    names = [run.name for run in runs]
    told = []
    for run in runs:
        name = run.name if names.count(run.name) == 1 else f"{run.folder.parent.name}/{run.folder.name}"
        told.append(TrainedRun(name, run.folder, run.kind, run.features, run.annotations, run.label_key))
    return told
