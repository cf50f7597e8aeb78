"""Writes a folder of features that can replace the one they came from."""

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.core.files import must_be_free, read_json, replacing, unwritable, write_json
from sola.data.features import FeatureSet
from sola.data.manifest import MANIFEST_NAME, Manifest

RECORD = ".record.json"
"""In a written folder: which files it was made from, and their sizes and times."""


class FeatureWriter:
    """Writes features to a folder that can replace the one they came from: file names, format, orientation, dtype.

    The folder appears, manifest and all, when the `with` block ends well. Until then the files gather in a hidden
    one beside it: after a kill or an interrupt they are found again (`has`), after an error they are removed.
    Joined streams are written as one, in the layout of the first. Where the same was written before, there is nothing
    to do (`finished`).

    Raises SolaError when `out` exists (unless `overwrite`), holds what is read, or cannot be written.
    """

    def __init__(self, features: FeatureSet, out: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
        self._features = features
        self._manifest = manifest
        self._out = out.resolve()
        self._gathered = self._out.with_name(f".{self._out.name}.partial")
        self._overwrite = overwrite
        self.finished = False
        """Whether the folder is there already, from the same files and with the same manifest."""

    def __enter__(self) -> "FeatureWriter":
        sources = [stream.source.resolve() for stream in self._features.streams]
        # files of other size or time are other files, whatever they are called
        states = {video: [s.state(video) for s in self._features.streams] for video in self._features.videos}
        description = {
            "sources": [str(source) for source in sources],
            "states": states,
            "manifest": self._manifest.to_json(),
        }
        record = json.loads(json.dumps(description))  # as it is read back: a tuple is a list
        if any(source.is_relative_to(self._out) for source in sources):
            raise SolaError(f"{self._out}: holds the features that are read; choose another folder")
        if not self._overwrite and _recorded(self._out) == record:
            self.finished = all((self._out / self._features.file_name(video)).is_file() for video in states)
        if self.finished:
            return self
        try:
            must_be_free(self._out, overwrite=self._overwrite, mark=MANIFEST_NAME, key="sola")
            if _recorded(self._gathered) == record:
                for unfinished in [*self._gathered.glob(".*.tmp"), *self._gathered.glob("*.h5")]:
                    unfinished.unlink()
            else:
                shutil.rmtree(self._gathered, ignore_errors=True)
                self._gathered.mkdir(parents=True)
                write_json(self._gathered / RECORD, record)
        except OSError as error:
            raise unwritable(self._out, error) from error
        return self

    def has(self, video: str) -> bool:
        """Tell whether a video is there already, from a writer that was interrupted or had finished."""
        return self.finished or (self._gathered / self._features.streams[0].relative(video)).is_file()

    def write(self, video: str, array: Float[np.ndarray, "time channels"]) -> None:
        """Write one video. Raises SolaError when a value does not fit the dtype of the file it came from."""
        if self.finished:
            return
        stream = self._features.streams[0]
        dtype = self._features.header(video).dtype
        with np.errstate(over="ignore"):
            stored = array.astype(dtype, copy=False)
        if not np.isfinite(stored).all():
            raise SolaError(
                f"video {video!r}: a result does not fit {dtype}, whose largest value is "
                f"{np.finfo(dtype).max:g}, or is NaN; scale the features down or store them in a wider dtype"
            )
        if stream.channels_first:
            stored = stored.T
        relative = stream.relative(video)
        if len(relative.parts) > 1:  # into an archive, which nobody sees before the folder appears
            stream.format.write(self._gathered / relative, stored, stream.paths[video])
        else:
            with replacing(self._gathered / relative) as aside:
                stream.format.write(aside, stored, stream.paths[video])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.finished:
            return
        if kind is not None:
            if issubclass(kind, Exception):
                shutil.rmtree(self._gathered, ignore_errors=True)
            return
        replaced = self._out.with_name(f".{self._out.name}.replaced")
        self._manifest.write(self._gathered)
        try:
            if self._out.exists():
                self._out.rename(replaced)
            self._gathered.rename(self._out)
        except OSError as failure:
            raise unwritable(self._out, failure) from failure
        shutil.rmtree(replaced, ignore_errors=True)


def _recorded(folder: Path) -> Any:
    """What a folder, finished or not, was made from; None where nothing says so."""
    return read_json(folder / RECORD, "a record") if (folder / RECORD).is_file() else None
