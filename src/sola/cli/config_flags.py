"""Command-line flags generated from config dataclasses: their fields, types and docstrings."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from cyclopts import Group, Parameter
from docstring_parser import parse_from_object


class ConfigFlags:
    """Config values from the command line, one attribute per flag; None where the flag was not given."""

    def given(self) -> dict[str, Any]:
        """Return the values that were given, by field."""
        return {name: value for name, value in vars(self).items() if value is not None}


def config_flags(configs: Mapping[str, type], group: Group, *, without: tuple[str, ...] = ()) -> type[ConfigFlags]:
    """Return a dataclass with an optional field for every field of the configs.

    The help of a flag is the docstring of the field. Where fields of one name differ among the configs, or some configs
    lack it, it names the configs.

    Args:
        configs: config dataclasses by the name that help texts use.
        group: heading of the flags in help texts.
        without: fields that get no flag.
    """
    owners = field_owners(configs)
    hints = {name: get_type_hints(config) for name, config in configs.items()}
    texts = {name: field_docstrings(config) for name, config in configs.items()}
    fields = []
    for field, names in owners.items():
        if field in without:
            continue
        kind = None
        by_text: dict[str, list[str]] = {}
        for name in names:
            kind = hints[name][field] if kind is None else kind | hints[name][field]
            by_text.setdefault(texts[name].get(field, ""), []).append(name)
        everywhere = len(by_text) == 1 and len(names) == len(configs)
        help_text = " ".join(text if everywhere else f"[{', '.join(of)}] {text}" for text, of in by_text.items())
        annotation = Annotated[kind | None, Parameter(help=help_text)]  # type: ignore[valid-type]
        fields.append((field, annotation, dataclasses.field(default=None)))
    flags = dataclasses.make_dataclass(
        "Flags", fields, bases=(ConfigFlags,), namespace={"__module__": __name__}, frozen=True, kw_only=True
    )
    return Parameter(name="*", group=group)(flags)


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
