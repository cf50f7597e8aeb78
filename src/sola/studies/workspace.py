"""Workspace of the experiments on one data set, which share runs.

OUT/data.json describes the data set. OUT/modules, OUT/controls and OUT/detectors contain runs, OUT/linear the linear
evaluations and OUT/NAME the result of an experiment. The name of a run includes a digest of all its settings, so runs
with equal settings are shared.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sola.core.errors import SolaError
from sola.core.files import read_json, write_json
from sola.data.source import DataSource
from sola.detectors.base import DetectorConfig
from sola.softlanding.recipes import Recipe

ALLOWED = {"demo_set", ".lock"}
"""Entries that the folder of a new workspace may contain."""
DIGITS = 10
"""Length of a digest (hexadecimal digits)."""


@dataclass(frozen=True)
class Workspace:
    """Folder of the experiments on one data set."""

    folder: Path

    def module(self, recipe: Recipe) -> Path:
        """Return the run folder of a module; its features are in the subfolder `features`."""
        values = recipe.values
        name = "{form} {loss} k{k} s{step} {seed}" if "step" in values else "steps k{k} {seed}"
        return self.folder / "modules" / _key(name.format(**values), values)

    def control(self, name: str, like: Path | None) -> Path:
        """Return the feature folder of a control; an untrained control imitates the module of the run `like`."""
        parts = (name,) if like is None else (name, like.name)
        return self.folder / "controls" / _key(" ".join(parts), parts)

    def detector(self, config: DetectorConfig, features: Path | None) -> Path:
        """Return the run folder of a detector on features in this workspace, or on raw features for None."""
        base = "raw" if features is None else features.relative_to(self.folder).parts[1]
        name = f"{config.model} {config.seed} {base}"
        return self.folder / "detectors" / _key(name, [dataclasses.asdict(config), base])

    def linear(self, modules: Sequence[str]) -> Path:
        """Return the file of the linear evaluation of modules, given their runs."""
        return self.folder / "linear" / f"{_key('', list(modules))}.json"

    def relative(self, path: Path) -> str:
        """Return a path relative to this workspace, as stored in results."""
        return str(path.relative_to(self.folder))

    @contextmanager
    def claimed_for(self, data: DataSource) -> Iterator[None]:
        """Lock the folder for this process and this data set.

        Raises SolaError if another process has the lock, or the folder has another data set or other contents.
        """
        path = self.folder / "data.json"
        if (
            self.folder.exists()
            and not path.is_file()
            and not {entry.name for entry in self.folder.iterdir()} <= ALLOWED
        ):
            raise SolaError(f"{self.folder}: exists and contains no experiments; choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SolaError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        requested = json.loads(json.dumps(data.to_json()))
        if not path.is_file():
            write_json(path, requested)
        stored = read_json(path, "the data of experiments")
        if isinstance(stored, dict):  # files of earlier versions lack newer fields
            stored = {**DataSource(data.features, data.annotations).to_json(), **stored}
        for name, value in requested.items():
            previous = stored.get(name) if isinstance(stored, dict) else stored
            if previous != value:
                raise SolaError(
                    f"{self.folder}: its experiments have {name}={previous}, now it is {value}; choose another --out "
                    "for other data"
                )
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise SolaError(
                f"{self.folder}: another `sola reproduce` is using it; wait until it ends, or stop it"
            ) from None


def _key(name: str, determined_by: object) -> str:
    """Return a readable name with a digest of `determined_by`."""
    digest = hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:DIGITS]
    slug = re.sub(r"[^a-z0-9.=]+", "-", name.lower()).strip("-")
    return f"{slug}-{digest}" if slug else digest
