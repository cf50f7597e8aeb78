"""`sola extract`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli.options import (
    OUTPUT,
    Decoding,
    DeviceOption,
    Execution,
    Overwrite,
    Quiet,
    SkipBad,
    Videos,
    place_of,
    report_skipped,
)
from sola.core.log import show_log
from sola.video.encoders.base import DEFAULT_ENCODER
from sola.video.extraction import DType

if TYPE_CHECKING:
    from sola.pipeline.extracting import Extraction

log = logging.getLogger(__name__)


def extract(
    videos: Videos,
    /,
    *,
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="FEATURES")],
    encoder: Annotated[
        str,
        Parameter(
            help="efficientnet-lite0 (works offline); a folder or Hugging Face id of VideoMAE, TimeSformer, V-JEPA 2, "
            "CLIP or DINOv2; or module:function (file.py:function) that returns your own encoder."
        ),
    ] = DEFAULT_ENCODER,
    fps: float | None = None,
    window: int | None = None,
    stride: int | None = None,
    whole_frame: bool = False,
    dtype: DType = "float16",
    skip_bad: SkipBad = False,
    decoding: Decoding = Decoding(),
    device: DeviceOption = "auto",
    execution: Execution = Execution(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola extract`.

    Args:
        out: Folder of features to write.
        fps: Frame rate at which the encoder sees the video (frames per second). Without it, the encoder's own.
        window: Length of a snippet (frames). Without it, the encoder's own.
        stride: Distance between the starts of two snippets (frames). Without it, the encoder's own.
        whole_frame: Resize the whole frame to the input of the encoder, instead of cropping its center.
        dtype: Type of the stored features.
    """
    from sola.core.progress import progress_bar
    from sola.pipeline.extracting import Extraction, extract_on_cluster, find_stored_videos
    from sola.pipeline.storage import Storage

    show_log(quiet)
    resources = execution.resources(*videos, out)
    extraction = Extraction(encoder, window, fps, stride, whole_frame, dtype, decoding.batch_size, device)
    if resources is None:
        count, skipped = extract_here(
            videos, out, extraction, jobs=decoding.jobs, skip_bad=skip_bad, overwrite=overwrite, quiet=quiet
        )
    else:
        found = find_stored_videos(videos)
        with progress_bar("extract", total=len(found), quiet=quiet) as bar:
            skipped = extract_on_cluster(
                found,
                Storage.of(out),
                extraction,
                resources=resources,
                skip_bad=skip_bad,
                overwrite=overwrite,
                progress=bar.update,
            )
        count = len(found) - len(skipped)
    report_skipped(skipped)
    log.info("%s: %d videos; next: sola train %s --recipe auto --out RUN", place_of(out), count, place_of(out))


def extract_here(
    sources: tuple[Path, ...],
    out: Path,
    extraction: "Extraction",
    *,
    jobs: int,
    skip_bad: bool,
    overwrite: bool,
    quiet: bool,
) -> tuple[int, Mapping[str, str]]:
    """Extract in this process; return the number of videos that have features, and why others have none."""
    from sola.core.progress import progress_bar
    from sola.video.extraction import extract
    from sola.video.extraction_log import ExtractionLog
    from sola.video.files import find_videos

    videos = find_videos(sources)
    encoder = extraction.encoder()
    with progress_bar("extract", total=len(videos), quiet=quiet) as bar:
        features = extract(
            videos,
            encoder,
            out,
            fps=extraction.fps,
            stride=extraction.stride,
            framing=extraction.framing(encoder),
            dtype=extraction.dtype,
            batch=extraction.batch,
            jobs=jobs,
            source=extraction.source,
            skip_bad=skip_bad,
            overwrite=overwrite,
            progress=lambda done, snippets: bar.update(done, note=f"{snippets / bar.elapsed:.0f} features/s"),
        )
    log = ExtractionLog(out)
    extracted = set(features.videos)
    return len(extracted), {video: log.reason(video) for video in videos if video not in extracted}
