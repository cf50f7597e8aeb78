"""Video files × trained detector → detections, through the chain that the detector stands on."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import Found, find_actions
from sola.pipeline.executors import TWO_AT_A_TIME, Executor, Threads, run_job
from sola.pipeline.extract_job import EncoderSource, ExtractJob
from sola.pipeline.stored_features import Features, StoredDataset, open_features
from sola.pipeline.transform_job import transform_job
from sola.softlanding.trained import TrainedModule
from sola.video.encoders.loading import is_own
from sola.video.framing import Framing


@dataclass(frozen=True, eq=False)
class Chain:
    """All that lies between a video file and its detections."""

    encoder: EncoderSource
    modules: tuple[TrainedModule, ...]
    """The SoLa modules, in the order in which the features go through them."""
    detector: TrainedDetector


def rebuild_chain(
    detector: TrainedDetector, device: Device = "auto", *, encoder: str | None = None, modules: Sequence[Path] = ()
) -> Chain:
    """Return the chain that a detector stands on, rebuilt from what the manifest of its features says.

    Args:
        detector: trained on features of `sola extract`, as they were or through SoLa modules.
        device: where the encoder runs.
        encoder: the encoder, where it is not to be had under the name it had; the same by its identity.
        modules: runs of `sola train` to look for the modules in, where they are no longer where they were.

    Raises SolaError saying what is missing: the features were not extracted from video by `sola`, are several sets
    joined, or an encoder or module is not to be found or is another one.
    """
    manifest = detector.manifest
    if manifest.extraction is None:
        raise SolaError(
            f"the detector was trained on features (encoder {manifest.encoder or 'unknown'}) that `sola extract` did "
            "not make, so nothing says how a video becomes such features; extract them your way, then use "
            "`sola detect`"
        )
    recorded = str(manifest.extraction.get("encoder"))
    if encoder is None and is_own(recorded):
        raise SolaError(
            f"the detector's features come from an encoder of somebody's own, {recorded}, and a file does not get to "
            f"say what code is run; if you trust it, name it with --encoder {recorded}"
        )
    source = encoder or recorded
    chosen = EncoderSource(source, None if manifest.window is None else int(manifest.window), device)
    loaded = chosen.load()
    if loaded.identity != manifest.extraction.get("identity"):
        raise SolaError(
            f"the encoder {source} is not the one that the detector's features come from: its weights or settings "
            f"are others; name the right one ({manifest.encoder}) with --encoder"
        )
    found = tuple(found_modules(manifest.sola, modules))
    if loaded.dim != detector.model.channels:
        raise SolaError(
            f"the encoder {source} gives {loaded.dim} channels, the detector takes {detector.model.channels}: it was "
            "trained on several sets of features joined; extract each, then use `sola detect`"
        )
    return Chain(chosen, found, detector)


def found_modules(sola: Mapping[str, Any] | None, runs: Sequence[Path]) -> Iterator[TrainedModule]:
    """Yield the modules that features went through, first to last, from `runs` or where they were.

    Raises SolaError naming the one that is not to be found.
    """
    if sola is None:
        return
    before = sola.get("after")
    yield from found_modules(before if isinstance(before, Mapping) else None, runs)
    fingerprint = sola.get("fingerprint")
    was = sola.get("run")
    for place in [*runs, *([Path(was)] if isinstance(was, str) else [])]:
        if place.is_dir():
            module = TrainedModule.load(place)
            if module.fingerprint == fingerprint:
                yield module
                return
    raise SolaError(
        f"the SoLa module {str(fingerprint)[:12]} that the detector's features went through is not in "
        f"{was or 'any known place'}{' nor in those named' if runs else ''}; name its run with --sola RUN"
    )


def predict(
    videos: Mapping[str, Path | StoredFile],
    chain: Chain,
    workspace: Path | str | Storage,
    *,
    batch: int | None = None,
    skip_bad: bool = False,
    device: Device = "auto",
    executor: Executor = TWO_AT_A_TIME,
    progress: Callable[[str, float, int, int], None] = lambda step, done, total, snippets: None,
) -> Found:
    """Detect actions in video files, in seconds after the first frame, best first.

    Runs the jobs of `extract`, `transform` and `detect` one after the other. A call that was stopped continues from
    its workspace, which the caller deletes once the result is stored.

    Args:
        videos: files by id.
        chain: what lies between a video and its detections.
        workspace: a folder for the features and the journal.
        batch: windows encoded at once; None is as many as make 64 frames.
        skip_bad: skip videos that cannot be decoded.
        device: where modules and detector run.
        executor: `Threads` or `Ray`.
        progress: called with the name of the step, then as `run_job` calls it.

    Raises SolaError as these do.
    """
    manifest, place = chain.detector.manifest, Storage.of(workspace)
    assert manifest.extraction is not None
    extraction = ExtractJob(
        videos,
        chain.encoder,
        place / "features",
        fps=manifest.fps,
        stride=None if manifest.stride is None else int(manifest.stride),
        framing=Framing(**manifest.extraction["framing"]),
        dtype=manifest.extraction["dtype"],
        batch=batch,
        overwrite=True,
    )
    skipped = run_job(extraction, executor, skip_bad=skip_bad, progress=partial(progress, "extract"))
    good = [video for video in extraction.videos if video not in skipped]
    features = _only(place / "features", good)
    others = Threads() if isinstance(executor, Threads) else executor  # one video already uses all cores
    for number, module in enumerate(chain.modules):
        out = place / f"transformed-{number}"
        job = transform_job(module, features, out, device=device, overwrite=True)
        run_job(job, others, progress=partial(progress, "transform"))
        features = _only(out, good)
    found = find_actions(
        chain.detector,
        Dataset.open(features) if isinstance(features, FeatureSet) else StoredDataset.match(features),
        place / "detections",
        device=device,
        executor=others,
        progress=partial(progress, "detect"),
    )
    durations = {video: float(extraction.folder.rows[video]["seconds"]) for video in good}
    return dataclasses.replace(found, skipped={**skipped, **found.skipped}, durations=durations)


def _only(folder: Storage, videos: Sequence[str]) -> Features:
    """Open these videos of a folder of the workspace."""
    features = open_features([folder.location])
    if isinstance(features, FeatureSet):
        return features.only(videos)
    return dataclasses.replace(features, files=({video: features.files[0][video] for video in videos},))
