"""Video files × encoder → a folder of features."""

import dataclasses
import math
import threading
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from sola.core.errors import SolaError
from sola.core.files import replacing, unwritable
from sola.data.features import FeatureSet
from sola.data.growing import GrowingArray
from sola.data.manifest import Manifest
from sola.video.decoding import read_header, shown_frames
from sola.video.encoders.base import Encoder
from sola.video.errors import BadVideo
from sola.video.extraction_log import ExtractionLog, state_of
from sola.video.framing import Framing
from sola.video.prefetch import prefetched
from sola.video.sampling import sampled
from sola.video.several import Progress, Tally, Watched, run_all
from sola.video.snippets import encoded, offset_of, windows

FRAMES_AT_ONCE = 64
"""Frames that go through the encoder together, unless the user says otherwise."""

DType = Literal["float16", "float32"]


def extract(
    videos: Mapping[str, Path],
    encoder: Encoder,
    out: Path,
    *,
    fps: float | None = None,
    stride: int | None = None,
    framing: Framing | None = None,
    dtype: DType = "float16",
    batch: int | None = None,
    jobs: int = 2,
    source: str | None = None,
    skip_bad: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda videos, snippets: None,
) -> FeatureSet:
    """Write the features of each video to `out/<id>.npy`, with a manifest, and return them as a FeatureSet.

    A file of features appears when it is whole. What is there already, from the same file and the same settings, is
    kept: an extraction that was stopped goes on, and one with more videos adds them. Decoding, the encoder, and other
    videos' decoding run beside each other, in constant memory.

    Args:
        videos: the files by id.
        encoder: what makes a feature of a window of frames.
        out: a folder, new or from an extraction with the same settings.
        fps: frames a second that the encoder is shown; by default what it asks for.
        stride: frames from one snippet to the next; by default what the encoder asks for.
        framing: how frames are scaled and cut; by default as the encoder asks for.
        dtype: of the stored features.
        batch: windows that are encoded at once; by default as many as make 64 frames.
        jobs: videos that are decoded at once.
        source: what `load_encoder` knows the encoder by, if that is not its name.
        skip_bad: leave out files that cannot be decoded, and note them in the log, instead of stopping.
        overwrite: begin again where the settings are others.
        progress: called with (videos done, with the share of those under way; snippets written).

    Raises:
        SolaError: for a file that cannot be decoded, an encoder that gives something else than it promises, an `out`
            of other settings, or when no video is left.
    """
    fps, stride = encoder.fps if fps is None else fps, encoder.stride if stride is None else stride
    batch = max(1, FRAMES_AT_ONCE // encoder.window) if batch is None else batch
    for name, value in (("fps", fps), ("stride", stride), ("batch", batch), ("jobs", jobs)):
        if not 0 < value < math.inf:
            raise SolaError(f"{name} must be positive, not {value}")
    framing = framing or encoder.framing
    manifest = manifest_of(encoder, fps, stride, framing, dtype, source or encoder.name)
    log = prepared(out, manifest, overwrite=overwrite)
    missing = [video for video, path in videos.items() if not log.has(video, path)]
    tally = Tally(len(videos) - len(missing), progress)
    turn = threading.Lock()  # the encoder uses all cores, or the GPU: one window at a time

    def encode(frames: UInt8[np.ndarray, "batch window height width 3"]) -> Float32[np.ndarray, "batch channels"]:
        with turn:
            features = encoder(frames)
        if features.shape != (len(frames), encoder.dim):
            raise SolaError(
                f"encoder {encoder.name}: gave features of shape {features.shape}; "
                f"expected {(len(frames), encoder.dim)}"
            )
        return features

    def one(video: str) -> None:
        path = videos[video]
        before = state_of(path)
        try:
            promised = read_header(path).duration
            shown = Watched(shown_frames(path), video, promised, tally)
            frames = sampled(shown, fps, framing)
            ahead = prefetched(windows(frames, encoder.window, stride), 2 * batch)
            with (
                closing(ahead) as snippets,
                replacing(out / f"{video}.npy") as aside,
                GrowingArray(aside, encoder.dim, np.dtype(dtype)) as array,
            ):
                for features in encoded(snippets, encode, batch):
                    array.append(features)
                    tally.add(video, snippets=len(features))
        except BadVideo as error:
            reason = naming(path, error)
            if not skip_bad:
                raise BadVideo(reason) from None
            (out / f"{video}.npy").unlink(missing_ok=True)  # of what the file was before
            log.refused(video, path, reason)
        except SolaError as error:
            raise SolaError(naming(path, error)) from None
        else:
            log.extracted(video, path, before, shown.count, shown.seconds, array.rows)
        tally.finish(video)

    run_all(one, missing, jobs, tally)
    there = [video for video, path in videos.items() if log.has(video, path)]
    if videos and not there:
        raise SolaError(f"{log.reason(next(iter(videos)))}; none of {len(videos)} videos is left")
    return FeatureSet.open(out).only(there)


def naming(path: Path, error: SolaError) -> str:
    """What went wrong, with the file that it went wrong with."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def manifest_of(encoder: Encoder, fps: float, stride: int, framing: Framing, dtype: DType, source: str) -> Manifest:
    """Return what there is to know of features before the first is made: all that it takes to make them again."""
    return Manifest(
        dim=encoder.dim,
        fps=float(fps),
        stride=float(stride),
        window=float(encoder.window),
        offset=float(offset_of(encoder.window, stride)),
        encoder=encoder.name,
        extraction={
            "encoder": source,
            "identity": encoder.identity,
            "license": encoder.license,
            "framing": dataclasses.asdict(framing),
            "dtype": dtype,
            "made_with": {package: version(package) for package in ("sola-tal", "av", "torch")},
        },
    )


def prepared(out: Path, manifest: Manifest, *, overwrite: bool) -> ExtractionLog:
    """Make sure that `out` is there, holds this manifest and nothing of another extraction; return its log.

    Raises SolaError when it holds something else.
    """
    log = ExtractionLog(out)
    try:
        if out.exists() and (not out.is_dir() or any(path for path in out.iterdir() if not path.match(".*.tmp"))):
            there = Manifest.read(out) if out.is_dir() else Manifest()
            if there.extraction is None:
                raise SolaError(f"{out}: exists and was not made by `sola extract`; choose another folder")
            difference = differing(there, manifest)
            if difference is None:
                for unfinished in out.glob(".*.tmp"):  # of a run that was killed
                    unfinished.unlink(missing_ok=True)
                return log
            if not overwrite:
                raise SolaError(f"{out}: {difference}; choose another folder, or pass --overwrite")
            # the manifest stays until the new one replaces it: stopped in between, the folder is still known for ours
            for path in [log.path, *out.glob("*.npy"), *out.glob(".*.tmp")]:
                path.unlink(missing_ok=True)
            log = ExtractionLog(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    manifest.write(out)
    return log


def differing(there: Manifest, wanted: Manifest) -> str | None:
    """Say in which setting two extractions differ; which release of a library made them is no setting."""
    before, now = settings(there), settings(wanted)
    for name in now:
        if before.get(name) != now[name]:
            return f"was extracted with {name} {before.get(name)}, now it is {now[name]}"
    return None


def settings(manifest: Manifest) -> dict[str, Any]:
    """What makes extracted features what they are."""
    extraction = dict(manifest.extraction or {})
    extraction.pop("made_with", None)
    extraction.pop("encoder", None)  # a folder may have moved: the identity tells
    return {name: getattr(manifest, name) for name in ("fps", "window", "stride", "dim")} | extraction
