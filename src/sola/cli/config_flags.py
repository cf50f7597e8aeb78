"""Command-line flags generated from config dataclasses: their fields, types and docstrings."""

import dataclasses
import functools
import operator
import re
from collections.abc import Collection, Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from cyclopts import Group, Parameter
from docstring_parser import parse_from_object

from sola.cli.help import secondary

FIRST_GROUP = 10
"""Sort key of the first secondary group of settings, after those of `options`."""
NUMBERS = {int: "INT", float: "FLOAT"}
"""Placeholders of numbers in help texts."""


class ConfigFlags:
    """Config values from the command line, one attribute per flag. None means that the flag was not given."""

    words: ClassVar[Mapping[str, str]]
    """Command-line word for None, by field."""

    def given(self) -> dict[str, Any]:
        """Return the values that were given, by field."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        return {name: None if value == self.words.get(name) else value for name, value in values.items()}


def config_flags(
    configs: Mapping[str, type],
    group: Group,
    common: Collection[str],
    *,
    without: Collection[str] = (),
    auto: Collection[str] = (),
) -> type[ConfigFlags]:
    """Return a dataclass with an optional field for every field of the configs.

    The help of a flag is the docstring of the field. Where the docstrings of one name differ among the configs, each
    names its configs. A field that may be None takes the word "none".

    Args:
        configs: config dataclasses by the name that help texts use.
        group: group of the common flags; the others are in secondary groups by the configs that have them.
        common: fields whose flags `--help` shows.
        without: fields that get no flag.
        auto: fields that also take the word "auto", which gives None.
    """
    hints = {name: get_type_hints(config) for name, config in configs.items()}
    texts = {name: field_docstrings(config) for name, config in configs.items()}
    fields, words = [], dict.fromkeys(auto, "auto")
    groups: dict[tuple[str, ...], Group] = {}
    for field, names in field_owners(configs).items():
        if field in without:
            continue
        kind = functools.reduce(operator.or_, (hints[name][field] for name in names))
        if NoneType in get_args(kind):
            words[field] = "none"
        if field in words:
            kind |= Literal[words[field]]
        by_text: dict[str, list[str]] = {}
        for name in names:
            by_text.setdefault(re.sub(r"\bNone\b", "none", texts[name].get(field, "")), []).append(name)
        text = " ".join(text if len(by_text) == 1 else f"[{', '.join(of)}] {text}" for text, of in by_text.items())
        if field not in common and tuple(names) not in groups:
            title = "More settings" if len(names) == len(configs) else f"Settings of {', '.join(names)}"
            groups[tuple(names)] = secondary(title, FIRST_GROUP + len(groups))
        where = group if field in common else groups[tuple(names)]
        number = next((name for type_, name in NUMBERS.items() if type_ in get_args(kind)), None)
        if field in words and number:
            shown = Parameter(group=where, help=text, metavar=f"{number}|{words[field]}", show_choices=False)
        else:
            negative = "no-" if bool in (kind, *get_args(kind)) else ()
            metavar = "CHOICE" if field in words else None
            shown = Parameter(group=where, help=text, metavar=metavar, negative_bool=negative)
        fields.append((field, Annotated[kind | None, shown], dataclasses.field(default=None)))
    flags = dataclasses.make_dataclass(
        "Flags",
        fields,
        bases=(ConfigFlags,),
        namespace={"__module__": __name__, "words": words},
        frozen=True,
        kw_only=True,
    )
    return Parameter(name="*")(flags)


def field_owners(configs: Mapping[str, type]) -> dict[str, list[str]]:
    """Return the names of the configs that have a field, by field."""
    owners: dict[str, list[str]] = {}
    for name, config in configs.items():
        for field in dataclasses.fields(config):
            owners.setdefault(field.name, []).append(name)
    return owners


def field_docstrings(config: type) -> dict[str, str]:
    """Return the docstrings of the fields of a dataclass and its bases, each in one line."""
    return {
        parameter.arg_name: " ".join((parameter.description or "").split())
        for part in reversed(config.__mro__[:-1])
        for parameter in parse_from_object(part).params
    }
