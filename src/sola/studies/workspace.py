"""Folders of runs: one workspace for one data set, in which experiments share the runs that they have in common.

OUT/data.json says what the data are, OUT/modules, OUT/controls and OUT/detectors hold runs by name, OUT/linear the
linear evaluations, OUT/NAME the result of an experiment. A run's name has a digest of everything that determines it, so
equal settings are one run.
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
"""Entries that a new workspace may have."""
DIGITS = 10
"""Length of a digest."""


@dataclass(frozen=True)
class Workspace:
    """The folder of the experiments on one data set."""

    folder: Path

    def module(self, recipe: Recipe) -> Path:
        """The run of a module; its features are in `features`."""
        values = recipe.values
        name = "{form} {loss} k{k} s{step} {seed}" if "step" in values else "steps k{k} {seed}"
        return self.folder / "modules" / _key(name.format(**values), values)

    def control(self, name: str, like: Path | None) -> Path:
        """The features of a control; an untrained one resembles the module of the run `like`."""
        of = () if like is None else (like.name,)
        return self.folder / "controls" / _key(" ".join((name, *of)), (name, *of))

    def detector(self, config: DetectorConfig, features: Path | None) -> Path:
        """The run of a detector on raw features, or on those in a folder of this workspace."""
        base = "raw" if features is None else features.relative_to(self.folder).parts[1]
        name = f"{config.model} {config.seed} {base}"
        return self.folder / "detectors" / _key(name, [dataclasses.asdict(config), base])

    def linear(self, modules: Sequence[str]) -> Path:
        """Linear evaluation of these modules' runs beside raw features and controls."""
        return self.folder / "linear" / f"{_key('', list(modules))}.json"

    def relative(self, path: Path) -> str:
        """A path of this workspace as results have it."""
        return str(path.relative_to(self.folder))

    @contextmanager
    def claimed_for(self, data: DataSource) -> Iterator[None]:
        """Lock the folder for this process and this data set.

        Raises SolaError if another process holds it, or it has other data or something else in it.
        """
        path = self.folder / "data.json"
        if self.folder.exists() and not path.is_file() and not {one.name for one in self.folder.iterdir()} <= ALLOWED:
            raise SolaError(f"{self.folder}: exists and holds no experiments; choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SolaError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        wanted = json.loads(json.dumps(data.to_json()))
        if not path.is_file():
            write_json(path, wanted)
        before = read_json(path, "the data of experiments")
        if isinstance(before, dict):  # one of an earlier version lacks later fields
            before = {**DataSource(data.features, data.annotations).to_json(), **before}
        for name, value in wanted.items():
            was = before.get(name) if isinstance(before, dict) else before
            if was != value:
                raise SolaError(
                    f"{self.folder}: its experiments have {name}={was}, now it is {value}; choose another --out for "
                    "other data"
                )
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise SolaError(
                f"{self.folder}: another `sola reproduce` is running in it; wait for it, or stop it"
            ) from None


def _key(name: str, determined_by: object) -> str:
    """A readable name with a digest."""
    digest = hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:DIGITS]
    slug = re.sub(r"[^a-z0-9.=]+", "-", name.lower()).strip("-")
    return f"{slug}-{digest}" if slug else digest
