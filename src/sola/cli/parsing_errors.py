"""Format errors of the command line as one line: the flag, the value, and what is expected."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from sola.cli.help import shown_value

KINDS = {int: "a whole number", float: "a number", str: "text", bool: "no value (it is a switch)", Path: "a path"}


def one_line(error: CycloptsError) -> str:
    """Return the error of the command line and its cure."""
    see = f"see {' '.join(('sola', *(error.command_chain or ())))} --help"
    match error:
        case UnknownCommandError():
            return unknown_command((error.unused_tokens or [""])[0], error.app, see)
        case UnknownOptionError():
            given = error.token.keyword or error.token.value
            flags = [name for argument in error.argument_collection for name in argument.names]
            return f"{given}: unknown option{nearest(given, flags)}; {see}"
        case UnusedCliTokensError():
            return f"{(error.unused_tokens or [''])[0]}: unexpected argument; {see}"
        case MissingArgumentError(keyword=str()):
            return f"{error.keyword} needs a value; {see}"
        case MissingArgumentError() if error.argument is not None:
            unknown = [token for token in error.unused_tokens or [] if token.startswith("--")]
            for given in get_close_matches(error.argument.name, unknown, n=1):
                return f"{given}: unknown option, did you mean {error.argument.name}?; {see}"
            return f"{error.argument.name} is missing; {see}"
        case CoercionError() if error.token is not None and error.msg is None:
            name = error.token.keyword or (error.argument.name if error.argument is not None else "")
            return f"{name} {error.token.value or repr('')}: expected {expected(error.target_type)}"
        case ValidationError() if error.argument is not None:
            reason = error.exception_message.rstrip(".")
            value = shown_value(error.argument.value)
            return f"{error.argument.name} {value}: {reason[:1].lower()}{reason[1:]}"
    return f"{error}; {see}"


def unknown_command(name: str, app: App | None, see: str) -> str:
    """Return the error for an unknown command."""
    commands = [command for command in app or () if not command.startswith("-")]
    if name.startswith("-"):
        return f"{name}: unknown option; {see}"
    return f"{name}: unknown command{nearest(name, commands)}; expected one of {', '.join(commands)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean …?" if a known name is similar, otherwise ""."""
    close = get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""


def expected(kind: Any) -> str:
    """Return a description of the values of a type."""
    if get_origin(kind) is Literal:
        choices = ", ".join(map(str, get_args(kind)))
        return f"one of {choices}" if "," in choices else choices
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(expected(part) for part in get_args(kind) if part is not type(None))
    return KINDS.get(kind, "another value")
