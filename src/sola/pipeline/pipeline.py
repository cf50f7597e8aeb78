"""Video files × trained detector → detections, through the chain that the detector stands on."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.segments import Segments
from sola.detectors.detect import detect, name_proposals
from sola.detectors.trained import TrainedDetector
from sola.softlanding.network import SoLa
from sola.softlanding.transform import describe, transform
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import is_own, load_encoder
from sola.video.extraction import extract
from sola.video.framing import Framing

Progress = Callable[[str, float, int], None]
"""Called with the name of the step, how many videos it is through, and of how many."""


@dataclass(frozen=True, eq=False)
class Chain:
    """All that lies between a video file and its detections."""

    encoder: Encoder
    source: str
    """What the encoder was loaded as."""
    modules: tuple[SoLa, ...]
    """The SoLa modules, in the order in which the features go through them."""
    detector: TrainedDetector


def rebuild_chain(
    detector: TrainedDetector, device: torch.device, *, encoder: str | None = None, modules: Sequence[Path] = ()
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
            "`sola localize predict`"
        )
    recorded = str(manifest.extraction.get("encoder"))
    if encoder is None and is_own(recorded):
        raise SolaError(
            f"the detector's features come from an encoder of somebody's own, {recorded}, and a file does not get to "
            f"say what code is run; if you trust it, name it with --encoder {recorded}"
        )
    source = encoder or recorded
    loaded = load_encoder(source, device, window=None if manifest.window is None else int(manifest.window))
    if loaded.identity != manifest.extraction.get("identity"):
        raise SolaError(
            f"the encoder {source} is not the one that the detector's features come from: its weights or settings "
            f"are others; name the right one ({manifest.encoder}) with --encoder"
        )
    found = tuple(found_modules(manifest.sola, modules))
    if loaded.dim != detector.model.channels:
        raise SolaError(
            f"the encoder {source} gives {loaded.dim} channels, the detector takes {detector.model.channels}: it was "
            "trained on several sets of features joined; extract each, then use `sola localize predict`"
        )
    return Chain(loaded, source, found, detector)


def found_modules(sola: Mapping[str, Any] | None, runs: Sequence[Path]) -> Iterator[SoLa]:
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
            module = SoLa.from_pretrained(place)
            if describe(module)["fingerprint"] == fingerprint:
                yield module
                return
    raise SolaError(
        f"the SoLa module {str(fingerprint)[:12]} that the detector's features went through is not in "
        f"{was or 'any known place'}{' nor in those named' if runs else ''}; name its run with --sola RUN"
    )


def predict(
    videos: Mapping[str, Path],
    chain: Chain,
    workspace: Path,
    *,
    jobs: int = 2,
    batch: int | None = None,
    skip_bad: bool = False,
    device: Device = "auto",
    progress: Progress = lambda step, done, total: None,
) -> dict[str, Segments]:
    """Return what the detector finds in each video file: detections in seconds after the first frame, best first.

    The same as `extract`, `transform`, `detect` and `name_proposals` one after the other. `workspace` keeps the
    features, so that work that was stopped goes on; whoever calls this removes it in the end.

    Raises SolaError as these do.
    """
    manifest = chain.detector.manifest
    assert manifest.extraction is not None
    total, where = len(videos), choose_device(device)
    features = extract(
        videos,
        chain.encoder,
        workspace / "features",
        fps=manifest.fps,
        stride=None if manifest.stride is None else int(manifest.stride),
        framing=Framing(**manifest.extraction["framing"]),
        dtype=manifest.extraction["dtype"],
        batch=batch,
        jobs=jobs,
        source=chain.source,
        skip_bad=skip_bad,
        overwrite=True,
        progress=lambda done, snippets: progress("extract", done, total),
    )
    for number, module in enumerate(chain.modules):
        out = workspace / f"transformed-{number}"
        shutil.rmtree(out, ignore_errors=True)  # of other videos, or the same: it takes no time
        features = transform(
            module.to(where), features, out, progress=lambda done, total: progress("transform", done, total)
        )
    data = Dataset.open(features)
    detector = chain.detector
    found = detect(
        detector,
        data,
        device=device,
        progress=lambda done, total: progress("detect", done, total),
    )
    if detector.config.predicts_classes or detector.classifier is None:
        return found
    return name_proposals(detector, data, found)
