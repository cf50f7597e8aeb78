"""The job of `sola transform`: transform features with a SoLa module, in the file layout of the input."""

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
"""Function that changes the features of a video."""


class RewriteJob(VideoJob):
    """Apply a function to the features of every video; file names, format, orientation and dtype do not change.

    An .h5 archive is moved to `out` when it is complete.

    Args:
        features: the input; joined streams are written as a single stream, in the layout of the first.
        out: a new folder, or the folder of the same job.
        load: function that returns the function [time, channels] → [time, changed]; called once in each worker.
        manifest: function that returns the manifest of the output for the input.
        description: JSON record that identifies the function.
        overwrite: replace the output of a job with another description.

    Raises:
        SolaError: if `out` holds the input features or other files, or an id would be written outside `out`.
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
        return vars(self) | {"_manifest": None}  # workers do not write the manifest

    def pending(self) -> list[str]:
        """Return the videos that are missing or were written from another file."""
        existing, features = set(self.folder.storage.names(recursive=True)), self.features
        read = {video: row.get("read") for video, row in self.folder.rows.items()}
        missing = [
            video
            for video in self.videos
            if features.file_name(video) not in existing or read.get(video) != features.state(video)
        ]
        return list(self.videos) if missing and self._archive is not None else missing

    def setup(self) -> None:
        """Load the function."""
        self._change = self._load()

    def run(self, video: str, report: Report) -> Row:
        """Write the changed features of a video."""
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
        """Write the manifest, and move an archive to its final path."""
        good = next((video for video in self.videos if "read" in self.folder.rows.get(video, {})), self.videos[0])
        with self.features.fetched(good) as features:
            self.folder.storage.write_json(MANIFEST_NAME, self._manifest(features).to_json())
        if self._archive is not None:
            os.replace(self._archive, self._archive.with_name(self.features.file_name(self.videos[0])))

    @property
    def _archive(self) -> Path | None:
        """Temporary path of an archive, or None for formats with one file per video."""
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
    """Return the job that transforms `features` with `module` and writes them to `out`.

    Args:
        module: trained module.
        features: features of the videos.
        out: a new folder, or the folder of the same job.
        device: device to run on, or None for the current device of the module.
        overwrite: replace the output for another module or other features.

    Raises:
        SolaError: if the numbers of channels differ, or `out` holds the input features or other files.
    """
    network, described = module.network, module.describe()
    if isinstance(features, FeatureSet) and features.channels != network.channels:
        raise SolaError(
            f"the features have {features.channels} channels, the module was trained on {network.channels}; "
            "use features of the same encoder"
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
    """Transform the features of all videos with a module, and write them to the folder `out`.

    File names, format, orientation and dtype do not change. The manifest records the module. A call that was stopped
    continues with the missing videos.

    Args:
        module: trained module.
        features: features [time, channels] of the videos.
        out: a new folder, or the folder of the same transform.
        device: device to run on, or None for the current device of the module.
        executor: threads or a Ray cluster; a single thread by default.
        overwrite: replace the output for another module or other features.
        progress: function that is called with the number of finished videos, the number of all videos, and the number
            of written snippets.

    Returns:
        The transformed features, with the same number of snippets as the input.

    Raises:
        SolaError: if the features are bad or have another number of channels than the module, or if `out` holds other
            files or cannot be written.

    Examples:
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
    """Load the module of a local or stored run. Raises SolaError if it is not a finished run."""
    place = Storage.of(run)
    if place.local is not None and not place.local.is_dir():
        raise SolaError(f"{run}: no such folder; expected a finished run of `sola train`")
    with place.fetched(CONFIG, WEIGHTS) as folder:
        module = TrainedModule.load(folder)
    run = place.location if place.local is None else module.provenance["run"]
    return dataclasses.replace(module, provenance={**module.provenance, "run": run})


def _through(network: Network, device: Device | None) -> Change:
    """Return a function that transforms features with a network."""
    return partial(transform_array, network if device is None else network.to(choose_device(device)))


def _inside(source: Storage, out: Storage) -> bool:
    """Return whether `source` is `out` or inside it."""
    if source.local is not None and out.local is not None:
        return source.local.resolve().is_relative_to(out.local.resolve())
    return f"{source}/".startswith(f"{out}/")
