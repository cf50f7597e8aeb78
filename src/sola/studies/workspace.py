"""Where the runs of experiments lie: one folder for one data set, in which experiments share what they have in common.

OUT/data.json says what the data are, OUT/modules, OUT/controls and OUT/heads hold runs by name, OUT/linear what linear
evaluation said of modules, OUT/NAME what an experiment found. A run's name has a digest of all that determines it, so
that equal settings are one run.
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

OURS = {"demo_set", ".lock"}
"""Names that may exist before the first experiment."""
DIGITS = 10
"""Of a digest in a run's name."""


@dataclass(frozen=True)
class Workspace:
    """The folder of the experiments on one data set."""

    folder: Path

    def module(self, recipe: Recipe) -> Path:
        """The run of a module, whose features lie in `features` in it."""
        values = recipe.values
        name = "{form} {loss} k{k} s{step} {seed}".format(**values)
        return self.folder / "modules" / _key(name, values)

    def control(self, name: str, like: Recipe | None) -> Path:
        """The features of a control; a module without training resembles one that was trained, whose seed it has."""
        if like is None:
            return self.folder / "controls" / _key(name, name)
        return self.folder / "controls" / _key(f"{name} {like.values['seed']}", [name, like.values])

    def head(self, config: DetectorConfig, features: Path | None) -> Path:
        """The run of a head on raw features, or on those in a folder of this workspace."""
        base = "raw" if features is None else features.relative_to(self.folder).parts[1]
        return self.folder / "heads" / _key(f"{config.model} {config.seed} {base}", [dataclasses.asdict(config), base])

    def linear(self, modules: Sequence[str]) -> Path:
        """Linear evaluation of these modules' runs beside raw features and controls."""
        return self.folder / "linear" / f"{_key('', list(modules))}.json"

    def result(self, experiment: str) -> Path:
        """The folder of what an experiment found."""
        return self.folder / experiment

    def relative(self, path: Path) -> str:
        """A path of this workspace as results have it."""
        return str(path.relative_to(self.folder))

    @contextmanager
    def claimed_for(self, data: DataSource) -> Iterator[None]:
        """Keep the folder for one process, and for one data set.

        Raises SolaError when another process is at work in it, when it was begun with other data, or holds something
        else.
        """
        path = self.folder / "data.json"
        if self.folder.exists() and not path.is_file() and not {one.name for one in self.folder.iterdir()} <= OURS:
            raise SolaError(f"{self.folder}: exists and holds no experiments; choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SolaError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        wanted = json.loads(json.dumps(data.to_json()))
        if not path.is_file():
            write_json(path, wanted)
        before = read_json(path, "the data of experiments")
        for name, value in wanted.items():
            if not isinstance(before, dict) or before.get(name) != value:
                was = before.get(name) if isinstance(before, dict) else before
                raise SolaError(
                    f"{self.folder}: its experiments have {name}={was}, now it is {value}; choose another --out for "
                    "other data"
                )
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise SolaError(
                f"{self.folder}: another `sola reproduce` is at work in it; wait for it, or stop it"
            ) from None


def _key(name: str, determined_by: object) -> str:
    """A name for people and a digest for certainty."""
    digest = hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:DIGITS]
    slug = re.sub(r"[^a-z0-9.=]+", "-", name.lower()).strip("-")
    return f"{slug}-{digest}" if slug else digest
