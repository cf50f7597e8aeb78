"""`sola transform` over many machines."""

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.feature_writer import RECORD
from sola.data.manifest import MANIFEST_NAME
from sola.data.unfinished import UNFINISHED
from sola.pipeline.ray import Progress, Resources, Work, spread
from sola.pipeline.staging import StoredFeatures, fetched_run
from sola.pipeline.storage import Storage
from sola.softlanding.network import CONFIG, WEIGHTS, SoLa
from sola.softlanding.transform import describe, transform


def transform_on_cluster(
    run: Storage,
    features: StoredFeatures,
    out: Storage,
    *,
    device: Device = "auto",
    resources: Resources,
    skip_bad: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> dict[str, str]:
    """Write every video through the module of `run` to `out`, and return why videos were left out, by id.

    What `transform` writes, file by file, each whole when it is seen. A mark says that the folder is not whole until
    it is; called again, it goes on with the videos that are missing.

    Raises SolaError when `out` holds something else, or a video is bad and `skip_bad` is not set.
    """
    with _module(run) as module:
        described = {**describe(module), "run": run.location}
    record = {"module": described["fingerprint"], "features": [source.location for source in features.sources]}
    if out in features.sources:
        raise SolaError(f"{out.location}: holds the features that are read; choose another folder")
    files, total = features.files[0], len(features.videos)
    there, left_out = _found(out, record, overwrite=overwrite)
    if UNFINISHED not in there and all(files[video] in there or video in left_out for video in features.videos):
        return left_out
    out.write_json(UNFINISHED, record)
    missing = [video for video in features.videos if files[video] not in there]
    bad: dict[str, str] = {}
    progress(total - len(missing), total)
    work = partial(_worker, run, features, out, device)
    for done, one in enumerate(spread(missing, work, resources), start=total - len(missing) + 1):
        if one.error is not None:
            if not skip_bad:
                raise SolaError(one.error)
            bad[one.video] = one.error
        progress(done, total)
    good = next((video for video in features.videos if video not in bad), None)
    if good is None:
        raise SolaError(f"{next(iter(bad.values()))}; none of {total} videos is left")
    with features.fetched(good) as read:
        after = {} if read.manifest.sola is None else {"after": dict(read.manifest.sola)}
        manifest = dataclasses.replace(read.manifest, dim=read.channels, sola={**described, **after})
    out.write_json(MANIFEST_NAME, manifest.to_json())
    out.write_json(RECORD, {**record, "left_out": bad})
    out.remove(UNFINISHED)
    return bad


def _found(out: Storage, record: dict[str, Any], *, overwrite: bool) -> tuple[set[str], dict[str, str]]:
    """What is there already of the same work: names of files, and why others were left out when it was finished.

    Raises SolaError when it is of other work, unless `overwrite` and it is ours: then nothing is left of it.
    """
    there = set(out.names())
    before = out.read_json(UNFINISHED if UNFINISHED in there else RECORD)
    left_out = before.pop("left_out", {}) if isinstance(before, dict) else {}
    if not there or (before == record and (UNFINISHED in there or not overwrite)):
        return there, left_out
    if not overwrite:
        raise SolaError(f"{out.location}: exists already and is something else; choose another folder")
    if UNFINISHED not in there and not (out.read_json(MANIFEST_NAME) or {}).get("sola"):
        raise SolaError(f"{out.location}: has no {MANIFEST_NAME} of ours, so is not ours to overwrite; choose another")
    out.write_json(UNFINISHED, record)
    for name in there - {UNFINISHED}:
        out.remove(name)
    return {UNFINISHED}, {}


@contextmanager
def _module(run: Storage) -> Iterator[SoLa]:
    with fetched_run(run, (CONFIG, WEIGHTS)) as folder:
        if not folder.is_dir():
            raise SolaError(f"{folder}: no such folder; expected a finished run of `sola train`")
        yield SoLa.from_pretrained(folder)


def _worker(run: Storage, features: StoredFeatures, out: Storage, device: Device) -> Work:
    with _module(run) as loaded:
        module = loaded.to(choose_device(device))

    def work(video: str) -> None:
        with features.fetched(video) as one, tempfile.TemporaryDirectory() as place:
            transform(module, one, Path(place) / "out")
            name = one.file_name(video)
            out.put(Path(place) / "out" / name, name)

    return work
