"""`sola extract`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tyro.conf import arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Decoding, DecodingFlags, Spreading, SpreadingFlags, Videos, place_of, report_skipped
from sola.core.device import Device
from sola.pipeline.extracting import Extraction, extract_on_cluster, find_stored_videos
from sola.pipeline.ray import Resources
from sola.pipeline.storage import Storage
from sola.video.encoders.loading import DEFAULT_ENCODER
from sola.video.extraction import DType, extract
from sola.video.extraction_log import ExtractionLog
from sola.video.files import find_videos


@dataclasses.dataclass(frozen=True)
class Extract:
    """Write the features of every video to OUT, one .npy [time, channels] each, with a manifest that says how.

    An extraction that was stopped goes on when it is called again, and more videos are added.
    """

    videos: Videos
    """Video files, or folders of them (with the folders in them)."""
    out: Annotated[Path, arg(metavar="FEATURES")]
    """The folder to write."""
    encoder: str = DEFAULT_ENCODER
    """efficientnet-lite0 (needs no network); a folder or hub id of VideoMAE, TimeSformer, V-JEPA 2, CLIP or DINOv2; or
    module:function (file.py:function) that returns an encoder of your own."""
    fps: float | None = None
    """Frames a second that the encoder is shown (default: the encoder's own)."""
    window: int | None = None
    """Frames that a snippet spans (default: the encoder's own)."""
    stride: int | None = None
    """Frames from one snippet to the next (default: the encoder's own)."""
    whole_frame: bool = False
    """Squash the whole frame to the encoder's size, where else its center is cut out."""
    dtype: DType = "float16"
    """Of the stored features."""
    overwrite: bool = False
    """Begin again where OUT holds features of other settings."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""
    quiet: bool = False
    """No progress bar, no remarks."""
    decoding: DecodingFlags = dataclasses.field(default_factory=Decoding)
    spreading: SpreadingFlags = dataclasses.field(default_factory=Spreading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Extract, "extract", arguments)
    resources = options.spreading.resources(*options.videos, options.out)
    extraction = Extraction(
        options.encoder,
        options.window,
        options.fps,
        options.stride,
        options.whole_frame,
        options.dtype,
        options.decoding.batch,
        options.device,
    )
    if resources is None:
        count, skipped = here(options, extraction)
    else:
        count, skipped = on_cluster(options, extraction, resources)
    report_skipped(skipped)
    if not options.quiet:
        out = place_of(options.out)
        say(f"{out}: {count} videos; next: sola train {out} --recipe auto --out RUN")


def here(options: Extract, extraction: Extraction) -> tuple[int, Mapping[str, str]]:
    """Do it in this process; return how many videos have features, and why others have none."""
    videos = find_videos(options.videos)
    encoder = extraction.encoder()
    with extraction_bar(options.quiet) as bar:
        line = bar.add_task("extract", total=len(videos), rate="")
        features = extract(
            videos,
            encoder,
            options.out,
            fps=options.fps,
            stride=options.stride,
            framing=extraction.framing(encoder),
            dtype=options.dtype,
            batch=options.decoding.batch,
            jobs=options.decoding.jobs,
            source=options.encoder,
            skip_bad=options.decoding.skip_bad,
            overwrite=options.overwrite,
            progress=lambda done, snippets: bar.update(line, completed=done, rate=rate(bar, line, snippets)),
        )
    log = ExtractionLog(options.out)
    there = set(features.videos)
    return len(there), {video: log.reason(video) for video in videos if video not in there}


def on_cluster(options: Extract, extraction: Extraction, resources: Resources) -> tuple[int, Mapping[str, str]]:
    """Do it on a cluster; return the same."""
    videos = find_stored_videos(options.videos)
    with extraction_bar(options.quiet) as bar:
        line = bar.add_task("extract", total=len(videos), rate="")
        skipped = extract_on_cluster(
            videos,
            Storage.of(options.out),
            extraction,
            resources=resources,
            skip_bad=options.decoding.skip_bad,
            overwrite=options.overwrite,
            progress=lambda done, total: bar.update(line, completed=done),
        )
    return len(videos) - len(skipped), skipped


def extraction_bar(quiet: bool) -> Progress:
    """A bar over videos, with features a second and the time left."""
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


def rate(bar: Progress, line: TaskID, snippets: int) -> str:
    """How fast it goes."""
    seconds = bar.tasks[line].elapsed
    return f"{snippets / seconds:.0f} features/s" if seconds else ""
