"""Features × SoLa → features, in the layout they came in."""

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
from sola.data.feature_writer import write_like
from sola.data.features import FeatureSet
from sola.data.journal import JobFolder, Report, Row
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.pipeline.executors import ONE_AT_A_TIME, Executor, Progress, no_progress, run_job
from sola.pipeline.stored_features import ARCHIVE, Features, one_video, sources_of, state_of
from sola.softlanding.network import CONFIG, WEIGHTS, SoLa
from sola.softlanding.transform import describe, transform_array
from sola.video.errors import BadVideo

Change = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time changed"]]


class RewriteJob:
    """Writes every video as `change` returns it, with the file names, format, orientation and dtype of the input.

    An .h5 archive is written aside, and appears when it is complete.

    Args:
        features: what is read; joined streams are written as one, in the layout of the first.
        out: a folder, new or of the same work.
        load: returns what changes the array of a video; called once in each worker.
        manifest: the manifest of the result, from that of the input.
        description: JSON that identifies the change.
        overwrite: replace what `sola transform` wrote with another description.

    Raises:
        SolaError: if `out` holds the features that are read, or something else.
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
        self.videos = features.videos
        sources = sources_of(features)
        if any(_inside(source, Storage.of(out)) for source in sources):
            raise SolaError(f"{out}: holds the features that are read; choose another folder")
        described = {"command": "sola transform", **description, "features": [source.location for source in sources]}
        if isinstance(features, FeatureSet):
            described |= {
                key: getattr(features.manifest, key) for key in ("fps", "stride", "window", "offset", "layout")
            }
        self.folder = JobFolder.open(out, described, overwrite=overwrite)
        self._change: Change | None = None

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_manifest": None}  # workers do not write it

    def pending(self) -> list[str]:
        """Return the videos that are not there, or were written from another file."""
        there, rows = set(self.folder.storage.names()), self.folder.rows
        missing = [
            video
            for video in self.videos
            if self.features.file_name(video) not in there
            or rows.get(video, {}).get("read") != state_of(self.features, video)
        ]
        return list(self.videos) if missing and self._archive is not None else missing

    def setup(self) -> None:
        """Load what changes the videos."""
        self._change = self._load()

    def run(self, video: str, report: Report) -> Row:
        """Write one video."""
        assert self._change is not None
        out, name = self.folder.storage, self.features.file_name(video)
        with ExitStack() as stack:
            try:
                features = stack.enter_context(one_video(self.features, video))
                array = features.read(video)
            except SolaError as error:
                if self._archive is None:
                    out.remove(name)  # what was written from an earlier file
                raise BadVideo(str(error)) from None
            changed = self._change(array)
            if self._archive is not None:
                write_like(features, video, changed, self._archive / video)
            else:
                with out.writing(name) as aside:
                    write_like(features, video, changed, aside)
        return {"video": video, "read": state_of(self.features, video), "snippets": len(array)}

    def finish(self) -> None:
        """Write the manifest, and let an archive appear."""
        out = self.folder.storage
        if isinstance(self.features, FeatureSet):
            manifest = self._manifest(self.features)
        else:
            good = next(video for video in self.videos if "read" in self.folder.rows.get(video, {}))
            with one_video(self.features, good) as features:
                manifest = self._manifest(features)
        out.write_json(MANIFEST_NAME, manifest.to_json())
        if self._archive is not None:
            os.replace(self._archive, self._archive.with_name(self.features.file_name(self.videos[0])))

    @property
    def _archive(self) -> Path | None:
        """Where an archive is written until it is complete; None for formats with a file for each video."""
        name = self.features.file_name(self.videos[0])
        place = self.folder.storage.local
        return place / f".{name}.tmp" if place is not None and Path(name).suffix == ARCHIVE else None


def transform_job(
    module: SoLa,
    features: Features,
    out: Path | str | Storage,
    *,
    device: Device | None = None,
    overwrite: bool = False,
) -> RewriteJob:
    """Return the job that writes every video of `features` through `module` to `out`.

    Raises SolaError if the widths differ, or as `RewriteJob` does.
    """
    if isinstance(features, FeatureSet) and features.channels != module.channels:
        raise SolaError(
            f"the features have {features.channels} channels, the module was trained on {module.channels}; "
            "transform the features that it was trained for"
        )
    described = describe(module)

    def manifest(read: FeatureSet) -> Manifest:
        before = {} if read.manifest.sola is None else {"after": dict(read.manifest.sola)}
        return dataclasses.replace(read.manifest, dim=read.channels, sola={**described, **before})

    load = partial(_through, module, device)
    return RewriteJob(features, out, load, manifest, {"module": described["fingerprint"]}, overwrite=overwrite)


def transform(
    module: SoLa,
    features: FeatureSet,
    out: Path | str,
    *,
    device: Device | None = None,
    executor: Executor = ONE_AT_A_TIME,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> FeatureSet:
    """Write every video of `features` through `module` to the folder `out`, and return what was written.

    File names, format, orientation and dtype stay; the manifest is the input's, with the module added. A transform
    that was stopped continues with the videos that are missing; one that is finished has nothing to do.

    Args:
        module: a trained module.
        features: per-video arrays [time, channels].
        out: a folder, new or of the same module and features.
        device: where the module runs; None is where it is.
        executor: `Threads` or `Ray`.
        overwrite: replace what was transformed by another module, or from other features.
        progress: called as videos are written.

    Raises:
        SolaError: if `out` holds something else or cannot be written, or the features are bad or of another width.
    """
    job = transform_job(module, features, out, device=device, overwrite=overwrite)
    skipped = run_job(job, executor, skip_bad=features.skip_bad, progress=progress)
    return FeatureSet.open(out).only(video for video in features.videos if video not in skipped)


def load_module(run: Path | str | Storage) -> SoLa:
    """Load the module of a finished run, local or in an object store. Raises SolaError if there is none."""
    place = Storage.of(run)
    if place.local is not None and not place.local.is_dir():
        raise SolaError(f"{run}: no such folder; expected a finished run of `sola train`")
    with place.fetched(CONFIG, WEIGHTS) as folder:
        module = SoLa.from_pretrained(folder)
    if place.local is None:
        module.origin = {**module.origin, "run": place.location}
    return module


def _through(module: SoLa, device: Device | None) -> Change:
    return partial(transform_array, module if device is None else module.to(choose_device(device)))


def _inside(source: Storage, out: Storage) -> bool:
    """Whether `source` is `out`, or lies in it."""
    if source.local is not None and out.local is not None:
        return source.local.resolve().is_relative_to(out.local.resolve())
    return f"{source}/".startswith(f"{out}/")
