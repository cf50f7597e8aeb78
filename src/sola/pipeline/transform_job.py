"""`sola transform`: features through a SoLa module, in the layout of the input."""

import dataclasses
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.features import FeatureSet
from sola.data.journal import JobFolder, Report, Row
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.data.names import id_from_of
from sola.pipeline.executors import ONE_AT_A_TIME, Executor, Progress, VideoJob, no_progress, run_job
from sola.pipeline.stored_features import ARCHIVE, Features
from sola.softlanding.multiscale import Network
from sola.softlanding.trained import CONFIG, WEIGHTS, TrainedModule
from sola.softlanding.transform import transform_array
from sola.video.errors import BadVideo

Change = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time changed"]]


class RewriteJob(VideoJob):
    """Writes every video as `change` returns it, with the file names, format, orientation and dtype of the input.

    An .h5 archive appears when it is complete.

    Args:
        features: the input; joined streams are written as one, in the layout of the first.
        out: a folder, new or of the same job; of another `description` with `overwrite`.
        load: returns the function [time, channels] → [time, changed]; called once in each worker.
        manifest: returns the manifest of the result for the input.
        description: JSON that identifies the function.

    Raises SolaError if `out` holds the features that are read, or something else, or an id would leave the folder.
    """

    def __init__(
        self,
        features: Features,
        out: Path | str | Storage,
        load: Callable[[], Change],
        manifest: Callable[[FeatureSet], Manifest],
        description: Row,
        *,
        overwrite: bool = False,
    ) -> None:
        self.features, self._load, self._manifest = features, load, manifest
        self.videos: tuple[str, ...] = features.videos
        if any(_inside(Storage.of(location), Storage.of(out)) for location in features.locations):
            raise SolaError(f"{out}: holds the features that are read; choose another folder")
        described = {"command": "sola transform", **description, "features": features.locations}
        if isinstance(features, FeatureSet):
            described |= {
                key: getattr(features.manifest, key) for key in ("fps", "stride", "window", "offset", "layout")
            }
        self.folder = JobFolder.open(out, described, overwrite=overwrite)

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_manifest": None}  # workers do not write it

    def pending(self) -> list[str]:
        """Return the videos that are missing, or were written from another file."""
        there, features = set(self.folder.storage.names(recursive=True)), self.features
        read = {video: row.get("read") for video, row in self.folder.rows.items()}
        missing = [
            video
            for video in self.videos
            if features.file_name(video) not in there or read.get(video) != features.state(video)
        ]
        return list(self.videos) if missing and self._archive is not None else missing

    def setup(self) -> None:
        """Load the function."""
        self._change = self._load()

    def run(self, video: str, report: Report) -> Row:
        """Write one video."""
        out, name = self.folder.storage, self.features.file_name(video)
        with ExitStack() as stack:
            try:
                features = stack.enter_context(self.features.fetched(video))
                array = features.read(video)
            except SolaError as error:
                if self._archive is None:
                    out.remove(name)  # written from an earlier file
                raise BadVideo(str(error)) from None
            changed = self._change(array)
            if self._archive is not None:
                features.write_like(video, changed, self._archive / video)
            else:
                with out.writing(name) as aside:
                    features.write_like(video, changed, aside)
        return {"video": video, "read": self.features.state(video), "snippets": len(array)}

    def finish(self) -> None:
        """Write the manifest, and move an archive into place."""
        good = next((video for video in self.videos if "read" in self.folder.rows.get(video, {})), self.videos[0])
        with self.features.fetched(good) as features:
            self.folder.storage.write_json(MANIFEST_NAME, self._manifest(features).to_json())
        if self._archive is not None:
            os.replace(self._archive, self._archive.with_name(self.features.file_name(self.videos[0])))

    @property
    def _archive(self) -> Path | None:
        """Temporary path of an archive; None for formats with a file for each video."""
        name = self.features.file_name(self.videos[0])
        place = self.folder.storage.local
        return place / f".{name}.tmp" if place is not None and Path(name).suffix == ARCHIVE else None


def transform_job(
    module: TrainedModule,
    features: Features,
    out: Path | str | Storage,
    *,
    device: Device | None = None,
    overwrite: bool = False,
) -> RewriteJob:
    """Return the job that writes every video of `features` through `module` to `out`.

    `device` None is the current device of the module; `overwrite` replaces features of another module or input.

    Raises SolaError if the widths differ, or as `RewriteJob` does.
    """
    network, described = module.network, module.describe()
    if isinstance(features, FeatureSet) and features.channels != network.channels:
        raise SolaError(
            f"the features have {features.channels} channels, the module was trained on {network.channels}; "
            "transform the features that it was trained for"
        )

    def manifest(read: FeatureSet) -> Manifest:
        before = {} if read.manifest.sola is None else {"after": dict(read.manifest.sola)}
        return dataclasses.replace(read.manifest, dim=network.output_channels, sola={**described, **before})

    load = partial(_through, network, device)
    return RewriteJob(features, out, load, manifest, {"module": described["fingerprint"]}, overwrite=overwrite)


def transform(
    module: TrainedModule,
    features: FeatureSet,
    out: Path | str,
    *,
    device: Device | None = None,
    executor: Executor = ONE_AT_A_TIME,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> FeatureSet:
    """Transform features [time, channels] into the folder `out`, and return the new features, as long as the old ones.

    File names, format, orientation and dtype stay; the manifest is that of the input with the module added. A call
    that was stopped continues with the missing videos. The arguments are those of `transform_job` and `run_job`.

    Raises SolaError if `out` holds something else or cannot be written, or the features are bad or of another width.

    >>> import sola
    >>> module = sola.TrainedModule.load("run")
    >>> softened = sola.transform(module, sola.FeatureSet.open("features"), out="new")
    >>> len(softened.videos), softened.channels
    (9, 176)
    """
    job = transform_job(module, features, out, device=device, overwrite=overwrite)
    skipped = run_job(job, executor, skip_bad=features.skip_bad, progress=progress)
    written = FeatureSet.open(out, id_from=id_from_of(features.videos))
    return written.only(video for video in features.videos if video not in skipped)


def load_module(run: Path | str | Storage) -> TrainedModule:
    """Load the module of a finished run, local or in an object store. Raises SolaError if there is none."""
    place = Storage.of(run)
    if place.local is not None and not place.local.is_dir():
        raise SolaError(f"{run}: no such folder; expected a finished run of `sola train`")
    with place.fetched(CONFIG, WEIGHTS) as folder:
        module = TrainedModule.load(folder)
    run = place.location if place.local is None else module.provenance["run"]
    return dataclasses.replace(module, provenance={**module.provenance, "run": run})


def _through(network: Network, device: Device | None) -> Change:
    return partial(transform_array, network if device is None else network.to(choose_device(device)))


def _inside(source: Storage, out: Storage) -> bool:
    """Return whether `source` is `out` or inside it."""
    if source.local is not None and out.local is not None:
        return source.local.resolve().is_relative_to(out.local.resolve())
    return f"{source}/".startswith(f"{out}/")
