"""`sola extract`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tyro.conf import arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Decoding, DecodingFlags, Spreading, SpreadingFlags, Videos, place_of, report_skipped
from sola.core.device import Device
from sola.core.storage import Storage
from sola.pipeline.executors import run_job
from sola.pipeline.extract_job import EncoderSource, ExtractJob, find_stored_videos
from sola.video.encoders.loading import DEFAULT_ENCODER
from sola.video.extraction import DType


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
    executor = options.spreading.executor(*options.videos, options.out, threads=options.decoding.jobs)
    videos = find_stored_videos(options.videos)
    encoder = EncoderSource(options.encoder, options.window, options.device)
    framing = dataclasses.replace(encoder.load().framing, short_side=None) if options.whole_frame else None
    job = ExtractJob(
        videos,
        encoder,
        Storage.of(options.out),
        fps=options.fps,
        stride=options.stride,
        framing=framing,
        dtype=options.dtype,
        batch=options.decoding.batch,
        overwrite=options.overwrite,
    )
    with extraction_bar(options.quiet) as bar:
        line = bar.add_task("extract", total=len(videos), rate="")
        skipped = run_job(
            job,
            executor,
            skip_bad=options.decoding.skip_bad,
            progress=lambda done, total, snippets: bar.update(line, completed=done, rate=rate(bar, line, snippets)),
        )
    report_skipped(skipped)
    if not options.quiet:
        out = place_of(options.out)
        count = len(videos) - len(skipped)
        say(f"{out}: {count} videos; next: sola train {out} --recipe auto --out RUN")


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
