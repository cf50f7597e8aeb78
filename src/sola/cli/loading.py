"""How commands open a trained module."""

from pathlib import Path

from sola.core.errors import SolaError
from sola.softlanding.network import SoLa


def load_module(run: Path) -> SoLa:
    """Load the module of a finished run; SolaError when there is no such folder, before the hub is asked."""
    if not run.is_dir():
        raise SolaError(f"{run}: no such folder; expected a finished run of `sola train`")
    return SoLa.from_pretrained(run)
