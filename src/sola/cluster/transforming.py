"""`sola transform` over many machines."""

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sola.cluster.engine import Progress, Resources, Work, spread
from sola.cluster.staging import StoredFeatures, fetched_run
from sola.cluster.storage import Storage
from sola.data.manifest import MANIFEST_NAME
from sola.data.unfinished import UNFINISHED
from sola.engine import Device, choose_device
from sola.errors import SolaError
from sola.module import CONFIG, WEIGHTS, SoLa
from sola.transformation import describe, transform


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
    there = set(_begun(out, record, overwrite=overwrite))
    files, total = features.files[0], len(features.videos)
    if MANIFEST_NAME in there and UNFINISHED not in there and there.issuperset(files.values()):
        return {}
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
    out.remove(UNFINISHED)
    return bad


def _begun(out: Storage, record: dict[str, Any], *, overwrite: bool) -> list[str]:
    """Mark the folder as being filled, unless it is whole; return what is there already."""
    there = out.names()
    if not there:
        out.write_json(UNFINISHED, record)
        return []
    before = out.read_json(UNFINISHED)
    sola = (out.read_json(MANIFEST_NAME) or {}).get("sola") or {}
    if before == record or (before is None and sola.get("fingerprint") == record["module"]):
        return there
    if not overwrite:
        raise SolaError(f"{out.location}: exists already and is something else; choose another folder")
    if before is None and not sola:
        raise SolaError(f"{out.location}: has no {MANIFEST_NAME} of ours, so is not ours to overwrite; choose another")
    out.write_json(UNFINISHED, record)
    for name in there:
        if name != UNFINISHED:
            out.remove(name)
    return []


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
