"""What every command does alike: parse its arguments, and talk to the person."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import tyro
from rich.console import Console
from rich.progress import Progress
from tyro.conf import FlagCreatePairsOff

from sola.cli import one_line_errors
from sola.core.errors import SolaError
from sola.core.launch import leads

Command = TypeVar("Command")


def parse(command: Callable[..., Command], name: str, arguments: list[str]) -> Command:
    """Parse the arguments of `sola <name>` into its dataclass.

    Raises SolaError, one line, when they do not fit; exits 0 after --help.
    """
    with one_line_errors():
        parsed: Command = tyro.cli(command, prog=f"sola {name}", args=arguments, config=(FlagCreatePairsOff,))
        return parsed


def subcommand(
    arguments: list[str], name: str, commands: Mapping[str, tuple[Callable[[list[str]], None], str]]
) -> None:
    """Call the one of `sola <name> ...` that the first argument names; each stands with what its help says in a line.

    Raises SolaError when there is none of that name.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, commands)) + 2
        lines = "\n".join(f"  {command:<{width}}{what}" for command, (_, what) in commands.items())
        print(f"usage: sola {name} COMMAND ...\n\n{lines}\n\nsola {name} COMMAND --help explains a command.")
        sys.exit(0 if arguments else 2)
    if arguments[0] not in commands:
        raise SolaError(f"{name} {arguments[0]}: no such command; expected {' or '.join(commands)}")
    commands[arguments[0]][0](arguments[1:])


def stderr_bar(quiet: bool) -> Progress:
    """A progress bar on stderr where somebody watches, gone when it is done: an error is the only line left."""
    console = Console(stderr=True)
    return Progress(console=console, disable=quiet or not console.is_terminal, transient=True)


def say(text: str) -> None:
    """One line for the person, on stderr: stdout is for results. Of several processes the first says it."""
    if not leads():
        return
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


def named(arguments: list[str], flag: str, known: Iterable[str], default: str) -> str:
    """The value of a flag among raw arguments that sets the defaults that the others are parsed against."""
    name = default
    for position, argument in enumerate(arguments):
        if argument.startswith(f"--{flag}="):
            name = argument.removeprefix(f"--{flag}=")
        elif argument == f"--{flag}" and position + 1 < len(arguments):
            name = arguments[position + 1]
    if name not in known:
        raise SolaError(f"--{flag} {name}: no such {flag}; expected one of {', '.join(known)}")
    return name
