"""Detections in video files, with the encoder and modules that the features of a detector came from."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile
from sola.data.names import id_from_of
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import DetectJob, Found
from sola.pipeline.executors import TWO_AT_A_TIME, Executor, Threads, run_job
from sola.pipeline.extract_job import EncoderSource, ExtractJob
from sola.pipeline.stored_features import match_features, open_features
from sola.pipeline.transform_job import transform_job
from sola.softlanding.trained import TrainedModule
from sola.video.encoders.loading import is_own
from sola.video.framing import Framing


@dataclass(frozen=True, eq=False)
class Chain:
    """Encoder, modules and detector: everything from a video file to its detections."""

    encoder: EncoderSource
    modules: tuple[TrainedModule, ...]
    """In the order in which features go through them."""
    detector: TrainedDetector


def rebuild_chain(
    detector: TrainedDetector, device: Device = "auto", *, encoder: str | None = None, modules: Sequence[Path] = ()
) -> Chain:
    """Rebuild the chain of a detector from the manifest of its features.

    Args:
        detector: trained on features of `sola extract`, possibly transformed by SoLa modules.
        encoder: another name of the same encoder, if it has moved.
        modules: runs of `sola train` with the modules, if they have moved.

    Raises SolaError if the features were not extracted by `sola` or are several sets joined, or if an encoder or module
    is missing or differs.
    """
    manifest = detector.manifest
    if manifest.extraction is None:
        raise SolaError(
            f"the detector was trained on features (encoder {manifest.encoder or 'unknown'}) that `sola extract` did "
            "not make; extract features of the videos yourself, then run `sola detect` on them"
        )
    recorded = str(manifest.extraction.get("encoder"))
    if encoder is None and is_own(recorded):
        raise SolaError(
            f"the features of the detector come from a custom encoder, {recorded}, which is not run because a file "
            f"names it; if you trust it, pass --encoder {recorded}"
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
    gives = [loaded.dim, *(module.network.output_channels for module in found)]
    takes = [*(module.network.channels for module in found), detector.model.channels]
    for given, taken in zip(gives, takes, strict=True):
        if given != taken:
            raise SolaError(
                f"the encoder {source} and its modules give {given} channels where {taken} are taken: the detector was "
                "trained on several sets of features joined; extract each, then use `sola detect`"
            )
    return Chain(chosen, found, detector)


def found_modules(sola: Mapping[str, Any] | None, runs: Sequence[Path]) -> Iterator[TrainedModule]:
    """Yield the modules of a manifest, first to last, from `runs` or their recorded folders.

    Raises SolaError naming the one that is missing.
    """
    if sola is None:
        return
    before = sola.get("after")
    yield from found_modules(before if isinstance(before, Mapping) else None, runs)
    fingerprint, was = sola.get("fingerprint"), sola.get("run")
    for place in [*runs, *([Path(was)] if isinstance(was, str) else [])]:
        if place.is_dir():
            module = TrainedModule.load(place)
            if module.fingerprint == fingerprint:
                yield module
                return
    raise SolaError(
        f"the SoLa module {str(fingerprint)[:12]} that the detector's features went through is not in "
        f"{was or 'any known place'}{' nor in those named' if runs else ''}; name its run with --modules RUN"
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
    """Detect actions in video files, in seconds after the start of each file as players show it, best first.

    Runs the jobs of `extract`, `transform` and `detect` one after the other. A call that was stopped continues from
    its workspace, the folder of features and journals that the caller deletes once the result is stored.

    Args:
        videos: files by id.
        batch: windows encoded at once; None is as many as make 64 frames.
        skip_bad: skip videos that cannot be decoded.
        device: device of modules and detector.
        progress: called with the name of the step, and the arguments of `Progress`.

    Raises SolaError as the jobs do.
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
    id_from = id_from_of(good)
    features = open_features([(place / "features").location], id_from=id_from).only(good)
    others = Threads() if isinstance(executor, Threads) else executor  # one video already uses all cores
    for number, module in enumerate(chain.modules):
        out = place / f"transformed-{number}"
        job = transform_job(module, features, out, device=device, overwrite=True)
        run_job(job, others, progress=partial(progress, "transform"))
        features = open_features([out.location], id_from=id_from).only(good)
    data, out = match_features(features), place / "detections"
    found = DetectJob(chain.detector, data, out, device=device, executor=others).detect(
        progress=partial(progress, "detect")
    )
    durations = {video: float(extraction.folder.rows[video]["seconds"]) for video in good}
    return dataclasses.replace(found, skipped={**skipped, **found.skipped}, durations=durations)
