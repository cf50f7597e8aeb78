"""`sola predict`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Decoding, DecodingFlags, Videos, report_skipped
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.detections import UNLABELED, write_detections
from sola.detectors.trained import TrainedDetector
from sola.pipeline.detect_job import Found
from sola.pipeline.executors import Threads
from sola.pipeline.pipeline import predict, rebuild_chain
from sola.report.timeline import write_timeline
from sola.video.files import find_videos
from sola.video.key_frames import key_frames

KEY_FRAMES = 8
"""In a picture."""
KEY_FRAME_HEIGHT = 144
"""Pixels."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Find actions in video files with a trained detector.

    Rebuilds the chain that the detector stands on (encoder, SoLa modules if any, head) from what its run says, or says
    what is missing. Writes the detections as ActivityNet's JSON, and a picture of every video. When it was stopped, it
    goes on with the videos that are missing.
    """

    videos: Videos
    """Video files, or folders of them (with the folders in them)."""
    detector: Annotated[Path, arg(metavar="RUN")]
    """A finished run of `sola localize train` on features of `sola extract`."""
    out: Annotated[Path, arg(metavar="JSON")]
    """The detections: segments in seconds after the first frame, labels, scores."""
    pictures: Annotated[Path | None, arg(metavar="DIR")] = None
    """Where a picture of each video goes (default: a folder called like OUT without its .json)."""
    no_pictures: bool = False
    """Draw none."""
    encoder: str | None = None
    """The encoder, where it is not to be had under the name it had when the features were extracted."""
    sola: Annotated[tuple[Path, ...], arg(metavar="RUN")] = ()
    """Where the SoLa modules are, when their runs were moved."""
    overwrite: bool = False
    """Replace files that exist."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""
    quiet: bool = False
    """No progress bar, no remarks."""
    decoding: DecodingFlags = dataclasses.field(default_factory=Decoding)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Predict, "predict", arguments)
    pictures = None if options.no_pictures else options.pictures or options.out.with_suffix("")
    if pictures == options.out:
        raise SolaError(f"--out {options.out}: needs a suffix, such as .json; its pictures go to the name without")
    for path in filter(None, (options.out, pictures)):
        if path.exists() and not options.overwrite:
            raise SolaError(f"{path}: exists already; choose another place, or pass --overwrite")
    videos = find_videos(options.videos)
    detector = TrainedDetector.load(options.detector)
    chain = rebuild_chain(detector, options.device, encoder=options.encoder, modules=options.sola)
    workspace = Storage.of(options.out.absolute().with_name(f".{options.out.name}.partial"))
    with stderr_bar(options.quiet) as bar:
        lines = {step: bar.add_task(step, total=None, visible=False) for step in ("extract", "transform", "detect")}
        found = predict(
            videos,
            chain,
            workspace,
            batch=options.decoding.batch,
            skip_bad=options.decoding.skip_bad,
            device=options.device,
            executor=Threads(options.decoding.jobs),
            progress=lambda step, done, total, _: bar.update(lines[step], completed=done, total=total, visible=True),
        )
        classes = detector.classes or (UNLABELED,)
        if pictures is not None:
            draw(pictures, videos, found, classes)
    write_detections(options.out, found.detections, classes)
    workspace.delete()
    report_skipped(found.skipped)
    if not options.quiet:
        also = "" if pictures is None else f", pictures in {pictures}"
        count = sum(map(len, found.detections.values()))
        say(f"{options.out}: {count} detections in {len(found.detections)} videos{also}")


def draw(folder: Path, videos: Mapping[str, Path], found: Found, classes: tuple[str, ...]) -> None:
    """Draw every video's timeline."""
    for video, detections in found.detections.items():
        duration = found.durations[video]
        middles = [(number + 0.5) * duration / KEY_FRAMES for number in range(KEY_FRAMES)]
        frames = key_frames(videos[video], middles, KEY_FRAME_HEIGHT)
        write_timeline(folder / f"{video}.png", video, duration, frames, detections, classes)
