"""`sola extract`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli.console import place_of, report_skipped, say, stderr_bar
from sola.cli.options import (
    OUTPUT,
    Decoding,
    DeviceOption,
    Execution,
    Overwrite,
    Quiet,
    SkipBad,
    Videos,
)
from sola.video.encoders.base import DEFAULT_ENCODER
from sola.video.extraction import DType

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sola.pipeline.extracting import Extraction


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
    from sola.pipeline.extracting import Extraction, extract_on_cluster, find_stored_videos
    from sola.pipeline.storage import Storage

    resources = execution.resources(*videos, out)
    extraction = Extraction(encoder, window, fps, stride, whole_frame, dtype, decoding.batch_size, device)
    if resources is None:
        count, skipped = extract_here(
            videos, out, extraction, jobs=decoding.jobs, skip_bad=skip_bad, overwrite=overwrite, quiet=quiet
        )
    else:
        found = find_stored_videos(videos)
        with extraction_bar(quiet) as bar:
            line = bar.add_task("extract", total=len(found), rate="")
            skipped = extract_on_cluster(
                found,
                Storage.of(out),
                extraction,
                resources=resources,
                skip_bad=skip_bad,
                overwrite=overwrite,
                progress=lambda done, total: bar.update(line, completed=done),
            )
        count = len(found) - len(skipped)
    report_skipped(skipped)
    if not quiet:
        say(f"{place_of(out)}: {count} videos; next: sola train {place_of(out)} --recipe auto --out RUN")


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
    from sola.video.extraction import extract
    from sola.video.extraction_log import ExtractionLog
    from sola.video.files import find_videos

    videos = find_videos(sources)
    encoder = extraction.encoder()
    with extraction_bar(quiet) as bar:
        line = bar.add_task("extract", total=len(videos), rate="")
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
            progress=lambda done, snippets: bar.update(line, completed=done, rate=rate(bar, line, snippets)),
        )
    log = ExtractionLog(out)
    extracted = set(features.videos)
    return len(extracted), {video: log.reason(video) for video in videos if video not in extracted}


def extraction_bar(quiet: bool) -> "Progress":
    """Return a bar over videos, with the features per second and the time left."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    bar = stderr_bar(quiet)
    bar.columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f}/{task.total:.0f} videos {task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left,"),
        TimeElapsedColumn(),
    )
    return bar


def rate(bar: "Progress", line: "TaskID", snippets: int) -> str:
    """Return the speed in features per second."""
    seconds = bar.tasks[line].elapsed
    return f"{snippets / seconds:.0f} features/s" if seconds else ""
