"""The command `sola`: one file per command; `app` lists them and exits."""

from sola.cli.app import COMMANDS, main

__all__ = ["COMMANDS", "main"]
