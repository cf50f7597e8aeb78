"""A run's log as curves in TensorBoard: a view of metrics.jsonl, which stays the record."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import unwritable
from sola.training.run import Run

FOLDER = "tensorboard"
"""The folder of the event files, within the run's folder."""

Write = Callable[[Mapping[str, Any]], None]


def require_tensorboard(wanted: bool) -> None:
    """Raise SolaError when TensorBoard is wanted and not installed."""
    if wanted and find_spec("tensorboard") is None:
        raise SolaError(
            "--tensorboard: TensorBoard is not installed; pip install -c constraints.txt 'sola-tal[tensorboard]'"
        )


@contextmanager
def tensorboard_writer(run: Run, wanted: bool, epochs: int) -> Iterator[Write]:
    """Yield a function that writes a row of the log to the run's event files, or does nothing if that is not wanted.

    A scalar is named as in the row; its step is the epoch. `epochs` epochs are completed: the event files start with
    their rows from the log, so that a resumed run's curves are whole and have each epoch once, whatever was written
    before it was stopped. Event files of a run that starts again are removed.

    Raises SolaError when TensorBoard is not installed, or the event files cannot be written.
    """
    require_tensorboard(wanted)
    folder = run.folder / FOLDER
    if not wanted:
        if epochs == 0:
            clear(folder)
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import

    clear(folder)
    try:
        # a TensorBoard that is watching forgets what it has read of this run, from epoch 0 on
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
    """Remove the event files of an earlier training, and nothing else. Raises SolaError when they cannot be."""
    try:
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
