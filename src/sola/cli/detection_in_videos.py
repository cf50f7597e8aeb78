"""`sola detect` on video files."""

import logging
from collections.abc import Mapping
from pathlib import Path

from sola.cli.detect import VideoOptions
from sola.cli.options import Decoding, report_skipped
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.core.progress import progress_bar
from sola.core.storage import Storage, StoredFile
from sola.data.detections import UNLABELED, write_detections
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import Found
from sola.pipeline.executors import Threads
from sola.pipeline.pipeline import predict, rebuild_chain
from sola.report.saving import write_plot
from sola.report.timeline import timeline
from sola.video.files import find_videos
from sola.video.key_frames import key_frames

log = logging.getLogger(__name__)

KEY_FRAMES = 8
"""Frames in a timeline."""
KEY_FRAME_HEIGHT = 144
"""Height of a frame in a timeline (pixels)."""


def detect_in_videos(
    run: Path,
    sources: tuple[Path, ...],
    out: Path,
    options: VideoOptions,
    decoding: Decoding,
    *,
    skip_bad: bool,
    device: Device,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Extract, transform and detect; write the detections, and a timeline of each video."""
    show_log(quiet)
    pictures = out.with_suffix("") if options.pictures else None
    if pictures == out:
        raise SolaError(f"--out {out}: needs a suffix, such as .json; its pictures go to the name without")
    for path in filter(None, (out, pictures)):
        if path.exists() and not overwrite:
            raise SolaError(f"{path}: exists already; choose another place, or pass --overwrite")
    videos = find_videos(sources)
    detector = TrainedDetector.load(run)
    chain = rebuild_chain(detector, device, encoder=options.encoder, modules=options.modules)
    workspace = Storage.of(out.parent) / f".{out.name}.partial"
    with progress_bar(quiet=quiet) as bar:
        found = predict(
            videos,
            chain,
            workspace,
            batch=decoding.batch_size,
            skip_bad=skip_bad,
            device=device,
            executor=Threads(decoding.jobs),
            progress=lambda step, done, total, snippets: bar.update(done, total, line=step),
        )
        classes = detector.classes or (UNLABELED,)
        if pictures is not None:
            draw(pictures, videos, found, classes)
    write_detections(out, found.detections, classes)
    workspace.delete()
    report_skipped(found.skipped)
    also = "" if pictures is None else f", pictures in {pictures}"
    count = sum(map(len, found.detections.values()))
    log.info("%s: %d detections in %d videos%s", out, count, len(found.detections), also)


def draw(folder: Path, videos: Mapping[str, StoredFile], found: Found, classes: tuple[str, ...]) -> None:
    """Draw the timeline of every video."""
    for video, detections in found.detections.items():
        duration = found.durations[video]
        middles = [(number + 0.5) * duration / KEY_FRAMES for number in range(KEY_FRAMES)]
        frames = key_frames(Path(videos[video].location), middles, KEY_FRAME_HEIGHT)
        write_plot(folder / f"{video}.png", timeline(video, duration, frames, detections, classes), dpi=120)
