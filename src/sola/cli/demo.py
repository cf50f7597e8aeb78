"""`sola demo`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.files import new_folder
from sola.core.log import show_log
from sola.data.demo_set import NAME, write_demo_set

log = logging.getLogger(__name__)


def demo(
    *,
    seeds: options.Seeds = 2,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="DIR")] = Path("demo"),
    overwrite: options.Overwrite = False,
) -> None:
    """Run `sola demo`.

    Args:
        seeds: Modules trained with each recipe.
        out: Folder to write.
    """
    from sola.studies.demo import demo as run_demo

    show_log()
    with new_folder(out, overwrite=overwrite, mark="probe.json", key="all labels") as folder:
        write_demo_set(folder / "data")
        result = run_demo(folder, heading=f"SoLa on rendered video: {NAME}", seeds=seeds, few=5, say=log.info)
    options.print_wide(result.table())
    log.info("open %s", out / "report.html")
