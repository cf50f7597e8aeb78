"""A run's log as curves in TensorBoard: a view of metrics.jsonl, which stays what is true."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sola.core.errors import SolaError
from sola.core.files import unwritable
from sola.training.run import Run

Track = Literal["tensorboard"]

FOLDER = "tensorboard"
"""In the run's folder: the event files."""

Tell = Callable[[Mapping[str, Any]], None]


def must_be_there(track: Track | None) -> None:
    """Raise SolaError when TensorBoard is asked for and is not installed."""
    if track is not None and find_spec("tensorboard") is None:
        raise SolaError("--tensorboard: TensorBoard is not installed; pip install -c constraints.txt 'sola-tal[track]'")


@contextmanager
def tracking(run: Run, track: Track | None, epochs: int) -> Iterator[Tell]:
    """Give what takes each further row of the log and writes it to the run's event files, if somebody asked for them.

    A scalar is named as in the row; its step is the epoch. `epochs` are completed: the event files begin with their
    rows from the log, so that a resumed run's curves are whole and have each epoch once, whatever was written before
    it was stopped, and whether or not it was tracked from the start. Event files of a run that begins again go.

    Raises SolaError when TensorBoard is not installed, or the event files cannot be written.
    """
    must_be_there(track)
    folder = run.folder / FOLDER
    if track is None:
        if epochs == 0:
            clear(folder)
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import

    clear(folder)
    try:
        # a TensorBoard that is watching forgets what it read of this run, from epoch 0 on
        writer = SummaryWriter(str(folder), purge_step=0)
    except OSError as error:
        raise unwritable(folder, error) from error

    def tell(row: Mapping[str, Any]) -> None:
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
                tell({name: value for name, value in row.items() if name != "resumed_from_epoch"})
        yield tell
    finally:
        writer.close()


def clear(folder: Path) -> None:
    """Remove the event files of an earlier training, and nothing else; SolaError when they cannot be."""
    try:
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
