"""Help texts of every command, and errors of the command line."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest
from rich.console import Console
from support.calling import refused, sola

from sola.cli import COMMANDS
from sola.cli.app import app

SUBCOMMANDS = [[name, part] for name in COMMANDS for part in app[name] if not part.startswith("-")]
ALL_COMMANDS = [*([name] for name in COMMANDS), *SUBCOMMANDS]
"""Every command and subcommand that is registered with the application."""


def full_help(capsys: pytest.CaptureFixture[str], command: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the complete help text of a command, with one line per option."""
    monkeypatch.setattr(app, "console", Console(width=400))
    assert sola(*command, "--help-all") == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_every_help_text_is_well_formed(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = full_help(capsys, command, monkeypatch)
    assert text.startswith(f"Usage: sola {' '.join(command)}")
    for bad in (
        "None",
        "options options",
        "(default: )",
        "[default: ]",
        "()",
        "True",
        "False",
        "{",
        "object at",
        "FLAGS",
    ):
        assert bad not in text.replace('{"results": {video: [{"segment", "label", "score"}]}}', ""), bad
    for line in text.splitlines():
        assert line.count("default:") <= 1, line
    options = [line for line in text.splitlines() if re.match(r"│ (\* )? *--", line)]
    if command != ["export"]:
        assert options
    flags = [line.strip("│ *").split()[0] for line in options]
    assert len(set(flags)) == len(flags), "duplicate flags"
    for line in options:
        names, _, description = line.strip("│ *").partition("  ")
        assert description.strip(), f"{names}: no description"
        positive, switch, negative = names.partition(" / ")
        if switch:
            assert negative == f"--no-{positive.removeprefix('--')}"
        elif not names.count(" "):
            assert "[default" not in description, f"{names}: a flag that is off by default shows no default"
        else:
            assert re.fullmatch(r"--[a-z0-9-]+ [A-Z=]+(\|auto|\|none|\.\.\.)?|--help|--version", names), names
        assert not description.strip().startswith(("No ", "Do not ", "Without "))


@pytest.mark.parametrize("command", [line for line in ALL_COMMANDS if line != ["export"]], ids=" ".join)
def test_every_help_text_ends_with_examples_that_parse(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, examples = full_help(capsys, command, monkeypatch).partition("Examples:")
    examples, _, _ = examples.partition("More flags:")
    lines = [line.strip() for line in examples.replace("\\\n", "").splitlines() if "sola " in line]
    assert len(lines) >= 2
    for line in lines:
        words = line[line.index("sola ") + 5 :].split()
        app.parse_args(words, exit_on_error=False, print_error=False)


MAX_HELP_LINES = 54
"""Maximum number of lines of a help text at 80 columns."""


@pytest.mark.parametrize("command", [line for line in ALL_COMMANDS if line != ["export"]], ids=" ".join)
def test_short_help_fits_on_a_screen(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "console", Console(width=80))
    assert sola(*command, "--help") == 0
    short = capsys.readouterr().out
    assert sola(*command, "--help-all") == 0
    complete = capsys.readouterr().out
    assert len(short.splitlines()) <= MAX_HELP_LINES
    assert set(short.splitlines()) <= set(complete.splitlines())
    assert ("More flags:" in short) == (len(complete) > len(short))
    assert all(len(line.rstrip()) <= 80 for line in short.splitlines())


def test_shell_completion_includes_every_command() -> None:
    script = app.generate_completion(shell="bash")
    assert all(name in script for name in COMMANDS)


def test_all_commands_and_subcommands_are_listed() -> None:
    assert sorted(name for name in app if not name.startswith("-")) == sorted(COMMANDS)
    assert SUBCOMMANDS == [["export", "onnx"], ["export", "opentad"], ["export", "actionformer"]]


def test_the_overview_lists_the_commands_without_importing_torch() -> None:
    script = "import sys; from sola.cli import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert all(f" {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("word", ["--subset", "--engine", "--track", "--head"])
def test_renamed_flags_do_not_appear_in_help_texts(
    word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ALL_COMMANDS:
        assert not re.search(rf"{word}\b(?!-)", full_help(capsys, command, monkeypatch)), command


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "trian: unknown command, did you mean train?"),
        (["--fast"], "--fast: unknown option"),
        (["train", "x", "--out", "y", "--epoch", "3"], "--epoch: unknown option, did you mean --epochs?"),
        (["train", "x", "--oout", "y"], "--oout: unknown option, did you mean --out?"),
        (["train", "x", "--out"], "--out needs a value"),
        (["train", "x", "--out", "y", "--epochs", "many"], "--epochs many: expected a whole number"),
        (["train", "x", "--out", "y", "--gate", "x"], "--gate x: expected one of tanh,"),
        (["train", "x", "--out", "y", "--gate="], "--gate '': expected one of tanh, linear"),
        (["train", "x", "--out", "y", "--quiet=loud"], "--quiet loud: expected no value"),
        (["train", "x", "--out", "y", "--quiet", "yes"], "yes: unexpected argument"),
        (["probe", "x", "--annotations", "y", "--seeds", "0"], "--seeds 0: must be >= 1"),
        (["probe", "x", "--annotations", "y", "--compare", "z"], "--compare z: expected NAME=PATH"),
        (["export", "torchscript"], "torchscript: unknown command; expected one of onnx, opentad, actionformer"),
        (["reproduce", "table4", "--out", "x"], "NAME table4: expected one of table1, table2"),
        (
            ["train-detector", "x", "--annotations", "y", "--out", "z", "--model", "bmn", "--crop", "0.5"],
            "--crop: bmn has no such setting, only actionformer",
        ),
        (["detect", "r", "v.mp4", "--out", "x.json", "--proposals", "y"], "--proposals: needs features, not videos"),
        (["detect", "r", "features", "--out", "x.json", "--encoder", "e"], "--encoder: needs videos, not features"),
    ],
)
def test_an_invalid_command_line_gives_a_one_line_error(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in refused(capsys, *arguments)


def flags_with_choices(command: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every flag of a command that accepts fixed words, alone or as an alternative to a number."""
    for argument in app[command].assemble_argument_collection():
        kinds = [argument.hint, *get_args(argument.hint)]
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        words += argument.parameter.choices or ()
        if words and argument.name.startswith("--"):
            yield argument.name, words


@pytest.mark.parametrize("command", [name for name, entry in COMMANDS.items() if entry.examples])
def test_an_invalid_choice_gives_a_one_line_error_with_the_choices(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    example = COMMANDS[command].examples.splitlines()[0].split()[1:]
    for flag, words in flags_with_choices(command):
        line = refused(capsys, *example, flag, "mps")
        assert line.startswith(f"sola: {flag} mps: expected ")
        assert all(word in line for word in words), flag


@pytest.mark.parametrize("call", [["--version"], ["train", "--version"]])
def test_the_version_is_printed(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert sola(*call) == 0
    assert re.fullmatch(r"sola \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_without_a_command_the_overview_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert sola() == 0
    assert "Usage: sola COMMAND" in capsys.readouterr().out
