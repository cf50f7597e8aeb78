"""`sola extract`."""

import dataclasses
import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.log import counted, show_log
from sola.video.encoders.base import DEFAULT_ENCODER
from sola.video.extraction import DType

log = logging.getLogger(__name__)


def extract(
    videos: options.Videos,
    /,
    *,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="FEATURES")],
    encoder: Annotated[
        str,
        Parameter(
            help="efficientnet-lite0 (works offline); a folder or Hugging Face id of VideoMAE, VideoMAE V2, "
            "TimeSformer, V-JEPA 2, CLIP or DINOv2; a checkpoint (.pth, .bin, .safetensors) of VideoMAE V2 or "
            "InternVideo2; or module:function (file.py:function) that returns your own encoder."
        ),
    ] = DEFAULT_ENCODER,
    fps: float | None = None,
    window: int | None = None,
    stride: int | None = None,
    whole_frame: bool = False,
    dtype: DType = "float16",
    id_from: options.IdFromOption = "name",
    skip_bad: options.SkipBad = False,
    decoding: options.Decoding = options.Decoding(),
    device: options.DeviceOption = "auto",
    execution: options.Execution = options.Execution(),
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
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
    from sola.core.storage import Storage
    from sola.pipeline.executors import run_job
    from sola.pipeline.extract_job import EncoderSource, ExtractJob
    from sola.video.files import find_videos

    show_log(quiet)
    executor = execution.executor_for(*videos, out, threads=decoding.jobs)
    found, source = find_videos(videos, id_from), EncoderSource(encoder, window, device)
    job = ExtractJob(
        found,
        source,
        Storage.of(out),
        fps=fps,
        stride=stride,
        framing=dataclasses.replace(source.load().framing, short_side=None) if whole_frame else None,
        dtype=dtype,
        batch=decoding.batch_size,
        overwrite=overwrite,
    )
    with progress_bar("extract", total=len(found), quiet=quiet) as bar:
        skipped = run_job(job, executor, skip_bad=skip_bad, progress=options.bar_progress(bar))
    options.report_skipped(skipped)
    log.info(
        "%s: %s; next: sola train %s%s --recipe auto --out RUN",
        options.place_of(out),
        counted(len(found) - len(skipped), "video"),
        options.place_of(out),
        " --id-from path" if id_from == "path" else "",
    )
