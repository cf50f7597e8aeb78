"""`sola detect` on video files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from sola.cli.console import say, stderr_bar
from sola.cli.detect import VideoOptions
from sola.cli.options import Decoding
from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.detections import UNLABELED, write_detections
from sola.data.segments import Segments
from sola.detectors.trained import TrainedDetector
from sola.pipeline.pipeline import predict, rebuild_chain
from sola.report.timeline import write_timeline
from sola.video.extraction_log import ExtractionLog
from sola.video.files import find_videos
from sola.video.key_frames import key_frames

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
    pictures = out.with_suffix("") if options.pictures else None
    if pictures == out:
        raise SolaError(f"--out {out}: needs a suffix, such as .json; its pictures go to the name without")
    for path in filter(None, (out, pictures)):
        if path.exists() and not overwrite:
            raise SolaError(f"{path}: exists already; choose another place, or pass --overwrite")
    videos = find_videos(sources)
    detector = TrainedDetector.load(run)
    chain = rebuild_chain(detector, choose_device(device), encoder=options.encoder, modules=options.modules)
    workspace = out.absolute().with_name(f".{out.name}.partial")
    with stderr_bar(quiet) as bar:
        lines = {step: bar.add_task(step, total=None, visible=False) for step in ("extract", "transform", "detect")}
        found = predict(
            videos,
            chain,
            workspace,
            jobs=decoding.jobs,
            batch=decoding.batch_size,
            skip_bad=skip_bad,
            device=device,
            progress=lambda step, done, total: bar.update(lines[step], completed=done, total=total, visible=True),
        )
        log = ExtractionLog(workspace / "features")
        classes = detector.classes or (UNLABELED,)
        if pictures is not None:
            draw(pictures, videos, found, log, classes)
    write_detections(out, found, classes)
    shutil.rmtree(workspace, ignore_errors=True)
    left_out = [video for video in videos if video not in found]
    if left_out:
        say(f"{len(left_out)} bad files left out, the first: {log.reason(left_out[0])}")
    if not quiet:
        also = "" if pictures is None else f", pictures in {pictures}"
        say(f"{out}: {sum(map(len, found.values()))} detections in {len(found)} videos{also}")


def draw(
    folder: Path,
    videos: Mapping[str, Path],
    found: Mapping[str, Segments],
    log: ExtractionLog,
    classes: tuple[str, ...],
) -> None:
    """Draw the timeline of every video."""
    for video, detections in found.items():
        duration = log.seconds(video)
        middles = [(number + 0.5) * duration / KEY_FRAMES for number in range(KEY_FRAMES)]
        frames = key_frames(videos[video], middles, KEY_FRAME_HEIGHT)
        write_timeline(folder / f"{video}.png", video, duration, frames, detections, classes)
