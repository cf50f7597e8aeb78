"""`sola demo`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import arg

from sola.cli.console import parse, say
from sola.cli.probe import WIDTH
from sola.core.files import new_folder
from sola.data.demo_sets import BenchmarkSet, write_benchmark
from sola.studies.demo import demo


@dataclasses.dataclass(frozen=True)
class Demo:
    """The whole path on features that come with the package: train without labels, transform, probe, inspect, draw.

    They are of rendered videos of a figure, by a frozen encoder. The two sets differ in all: long actions before a
    still scene, seen by an image encoder; short ones before a moving camera, by a small video encoder.

    Writes OUT/report.html, a page that opens offline, and beside it the features, runs and figures it tells of. Takes
    less than three minutes on two cores.
    """

    out: Annotated[Path, arg(metavar="DIR")] = Path("demo")
    """The folder to write."""
    data: BenchmarkSet = "long-1-efficientnet"
    """The set: timeline, level of the scene, encoder."""
    seeds: int = 2
    """Modules trained with each recipe."""
    overwrite: bool = False
    """Replace OUT."""


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Demo, "demo", arguments)
    with new_folder(options.out, overwrite=options.overwrite, mark="probe.json", key="all labels") as folder:
        write_benchmark(options.data, folder / "data")
        result = demo(folder, heading=f"SoLa on rendered video: {options.data}", seeds=options.seeds, few=5, say=say)
    Console(width=max(WIDTH, Console().width)).print(result.table())
    say(f"open {options.out / 'report.html'}")
