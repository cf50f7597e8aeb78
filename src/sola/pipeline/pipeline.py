"""Detect actions in video files, with the encoder and modules of the detector's training features."""

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
from sola.pipeline.detect_job import DetectJob, VideoDetections
from sola.pipeline.executors import TWO_AT_A_TIME, Executor, Threads, run_job
from sola.pipeline.extract_job import EncoderSource, ExtractJob
from sola.pipeline.stored_features import match_features, open_features
from sola.pipeline.transform_job import transform_job
from sola.softlanding.trained import TrainedModule
from sola.video.encoders.loading import is_own
from sola.video.framing import Framing


@dataclass(frozen=True, eq=False)
class Chain:
    """Encoder, modules and detector: everything needed to get from a video file to its detections."""

    encoder: EncoderSource
    modules: tuple[TrainedModule, ...]
    """Modules in the order in which they transform the features."""
    detector: TrainedDetector


def rebuild_chain(
    detector: TrainedDetector, device: Device = "auto", *, encoder: str | None = None, modules: Sequence[Path] = ()
) -> Chain:
    """Load the encoder and modules of a detector, as recorded in the manifest of its training features.

    Args:
        detector: detector that was trained on features of `sola extract`, with or without SoLa modules.
        device: device of the encoder.
        encoder: new name of the encoder, if it has moved.
        modules: folders of `sola train` runs with the modules, if they have moved.

    Returns:
        The chain of encoder, modules and detector, for `predict`.

    Raises:
        SolaError: if the features were not extracted by `sola`, if they are several feature sets joined, or if the
            encoder or a module is missing or has changed.

    Examples:
        >>> import sola
        >>> detector = sola.TrainedDetector.load("video_detector")
        >>> chain = sola.rebuild_chain(detector)
        >>> chain.encoder.name, len(chain.modules)
        ('efficientnet-lite0', 1)
    """
    manifest = detector.manifest
    if manifest.extraction is None:
        raise SolaError(
            f"the training features of the detector (encoder {manifest.encoder or 'unknown'}) were not made by `sola "
            "extract`; extract features of the videos yourself, then run `sola detect` on them"
        )
    recorded = str(manifest.extraction.get("encoder"))
    if encoder is None and is_own(recorded):
        raise SolaError(
            f"the features of the detector come from a custom encoder, {recorded}, which is not loaded automatically; "
            f"if you trust it, pass --encoder {recorded}"
        )
    source = encoder or recorded
    chosen = EncoderSource(source, None if manifest.window is None else int(manifest.window), device)
    loaded = chosen.load()
    if loaded.identity != manifest.extraction.get("identity"):
        raise SolaError(
            f"the weights or settings of the encoder {source} differ from those of the detector's training features; "
            f"pass the right encoder ({manifest.encoder}) with --encoder"
        )
    loaded_modules = tuple(recorded_modules(manifest.sola, modules))
    outputs = [loaded.dim, *(module.network.output_channels for module in loaded_modules)]
    inputs = [*(module.network.channels for module in loaded_modules), detector.model.channels]
    for actual, expected in zip(outputs, inputs, strict=True):
        if actual != expected:
            raise SolaError(
                f"the encoder {source} and its modules output {actual} channels where {expected} are expected: the "
                "detector was trained on several feature sets joined; extract each of them, then use `sola detect`"
            )
    return Chain(chosen, loaded_modules, detector)


def recorded_modules(sola: Mapping[str, Any] | None, runs: Sequence[Path]) -> Iterator[TrainedModule]:
    """Yield the modules of a manifest in order, from `runs` or their recorded folders.

    Raises:
        SolaError: if a module is missing; the message names it.
    """
    if sola is None:
        return
    before = sola.get("after")
    yield from recorded_modules(before if isinstance(before, Mapping) else None, runs)
    fingerprint, recorded = sola.get("fingerprint"), sola.get("run")
    for place in [*runs, *([Path(recorded)] if isinstance(recorded, str) else [])]:
        if place.is_dir():
            module = TrainedModule.load(place)
            if module.fingerprint == fingerprint:
                yield module
                return
    raise SolaError(
        f"the SoLa module {str(fingerprint)[:12]} of the detector's training features is not in "
        f"{recorded or 'any known folder'}{' or in the runs of --modules' if runs else ''}; pass its run with "
        "--modules RUN"
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
) -> VideoDetections:
    """Detect actions in video files.

    This extracts features, transforms them with the modules of the chain, and runs the detector. A call that was
    stopped continues from its workspace. Delete the workspace after the result is stored.

    Args:
        videos: local or stored video files by id, for example from `find_videos`.
        chain: encoder, modules and detector, from `rebuild_chain`.
        workspace: folder for features and journals.
        batch: windows encoded at the same time, or None for as many as have 64 frames in total.
        skip_bad: skip videos that cannot be decoded.
        device: device of the modules and the detector.
        executor: threads or a Ray cluster; two threads by default.
        progress: function that is called with the name of the step ("extract", "transform" or "detect"), the number of
            finished videos, the number of all videos, and the number of written snippets.

    Returns:
        Detections and proposals of each video (seconds from the start of the file, as players show it), sorted by
        descending score, the reasons for skipped videos, and the durations of the videos.

    Raises:
        SolaError: if a video cannot be decoded, or the workspace holds other files.

    Examples:
        >>> import sola
        >>> chain = sola.rebuild_chain(sola.TrainedDetector.load("video_detector"))
        >>> videos = sola.find_videos(["new_videos"])
        >>> result = sola.predict(videos, chain, "workspace")
        >>> classes = chain.detector.classes
        >>> sola.write_detections("detections.json", result.detections, classes)
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
    others = Threads() if isinstance(executor, Threads) else executor  # a single video already uses all cores
    for number, module in enumerate(chain.modules):
        out = place / f"transformed-{number}"
        job = transform_job(module, features, out, device=device, overwrite=True)
        run_job(job, others, progress=partial(progress, "transform"))
        features = open_features([out.location], id_from=id_from).only(good)
    data, out = match_features(features), place / "detections"
    result = DetectJob(chain.detector, data, out, device=device, executor=others).detect(
        progress=partial(progress, "detect")
    )
    durations = {video: float(extraction.folder.rows[video]["seconds"]) for video in good}
    return dataclasses.replace(result, skipped={**skipped, **result.skipped}, durations=durations)
