"""Files in object stores."""

import shutil
from pathlib import Path

from sola.core.storage import Storage


def put(storage: Storage, path: Path, name: str) -> None:
    """Put a file under a name into a folder or an object store."""
    with storage.writing(name) as aside:
        shutil.copyfile(path, aside)
