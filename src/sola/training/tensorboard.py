"""Write the log of a run (metrics.jsonl) as TensorBoard event files."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import unwritable
from sola.training.run import Run

FOLDER = "tensorboard"
"""Name of the folder of event files in the folder of a run."""

Write = Callable[[Mapping[str, Any]], None]


def require_tensorboard(wanted: bool) -> None:
    """Raise SolaError if TensorBoard is wanted but not installed."""
    if wanted and find_spec("tensorboard") is None:
        raise SolaError(
            "--tensorboard: TensorBoard is not installed; pip install -c constraints.txt 'sola-tal[tensorboard]'"
        )


@contextmanager
def tensorboard_writer(run: Run, wanted: bool, epochs: int) -> Iterator[Write]:
    """Yield a function that writes a log row to the event files of the run, or does nothing if not `wanted`.

    The scalars have the names of the row, and the step is the epoch. Existing event files are replaced. Those of a
    resumed run start with the rows of the `epochs` completed epochs.

    Raises:
        SolaError: if the event files cannot be written.
    """
    folder = run.folder / FOLDER
    if not wanted:
        if epochs == 0:
            clear(folder)
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import

    clear(folder)
    try:
        # a running TensorBoard drops the points of this run that it has already read
        writer = SummaryWriter(str(folder), purge_step=0)
    except OSError as error:
        raise unwritable(folder, error) from error

    def write(row: Mapping[str, Any]) -> None:
        try:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, row["epoch"])
            writer.flush()
        except OSError as error:
            raise unwritable(folder, error) from error

    try:
        for row in run.rows():
            if row["epoch"] <= epochs:
                write({name: value for name, value in row.items() if name != "resumed_from_epoch"})
        yield write
    finally:
        writer.close()


def clear(folder: Path) -> None:
    """Remove the event files of an earlier run. Raises SolaError if that fails."""
    try:
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
