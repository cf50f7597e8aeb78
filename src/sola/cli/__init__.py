"""The command `sola`: one file a subcommand; here is what they are called and how their errors are told."""

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from sola.core.errors import SolaError

COMMANDS: Mapping[str, str] = {
    "demo": "the whole path on embedded synthetic data; writes demo/report.html",
    "extract": "video files in, snippet features out",
    "train": "train a SoLa module on a folder of features; needs no labels",
    "transform": "write transformed features in the layout they came in",
    "probe": "linear evaluation: feature sets side by side, with controls",
    "inspect": "similarity maps, similarity against distance, a suggested step and K",
    "localize": "train a head that finds actions (BMN, G-TAD, ActionFormer), and run it",
    "predict": "video files in, detections and a picture of each out",
    "evaluate": "detection mAP, proposal recall, and where the error comes from",
    "experiment": "the supplement's tables and figures as resumable sweeps",
    "report": "one page of experiments and runs, with an explorer of single videos",
    "handover": "features and annotations as ActionFormer and OpenTAD read them",
    "export": "the module as ONNX, for other runtimes",
}
"""Each is `sola.cli.<name>`, imported when it is called, so that `sola --help` does not wait for torch."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit: 0 when it is done, 2 for bad input, 1 for a fault of ours, 130 when interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = dispatch(arguments)
        sys.stdout.flush()  # here, where a reader that has gone is no surprise
        sys.exit(code)
    except SolaError as error:
        sys.exit(complain(str(error), 2))
    except KeyboardInterrupt:
        sys.exit(complain("interrupted; called again, a training goes on with --resume, all else by itself", 130))
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        sys.exit(complain("out of memory; close other programs, or take fewer or shorter videos", 1))


def dispatch(arguments: list[str]) -> int:
    """Call the subcommand that the first argument names."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"sola {version('sola-tal')}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise SolaError(f"{name}: no such command; expected one of {', '.join(COMMANDS)} (sola --help)")
    import_module(f"sola.cli.{name}").run(arguments[1:])
    return 0


def overview() -> str:
    """What `sola --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:<{width}}{what}" for name, what in COMMANDS.items())
    return (
        "usage: sola COMMAND ...\n\n"
        "SoLa softens the landing of frozen snippet features on temporal action localization:\n"
        "a light module, trained without labels, between the features you have and the head you use.\n\n"
        f"{lines}\n\n"
        "sola COMMAND --help explains a command; sola --version prints the version."
    )


def complain(message: str, code: int) -> int:
    """One unwrapped line on stderr; of several processes that train together, each but the first says which it is."""
    rank = os.environ.get("RANK", "0")
    who = "sola" if rank == "0" else f"sola, process {rank}"
    print(f"{who}: {' '.join(message.split())}", file=sys.stderr)
    return code


@contextlib.contextmanager
def one_line_errors():  # type: ignore[no-untyped-def]
    """Turn the parser's boxed complaint about the arguments into a SolaError of one line."""
    caught = io.StringIO()
    try:
        with contextlib.redirect_stderr(caught):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        words = " ".join(line.strip("│╭╮╰╯─├┤ ") for line in caught.getvalue().splitlines()).split()
        raise SolaError(" ".join(words)) from None
