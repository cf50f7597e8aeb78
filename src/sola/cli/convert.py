"""`sola convert`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sola.cli import options
from sola.core.log import counted, show_log

log = logging.getLogger(__name__)


def convert(
    files: Annotated[
        tuple[Path, ...],
        Parameter(group=options.INPUTS, help="Annotations or detections, or folders with a file for each video."),
    ],
    /,
    *,
    to: Annotated[str, Parameter(group=options.OUTPUT, metavar="FORMAT")],
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="PATH")],
    label_key: options.LabelKey = "label",
    fps: Annotated[float | None, Parameter(group=options.INPUTS, converter=options.fraction)] = None,
    video: Annotated[str | None, Parameter(group=options.INPUTS, metavar="ID")] = None,
    without: Annotated[tuple[Path, ...], Parameter(group=options.OUTPUT, metavar="FILE")] = (),
    media: Annotated[str, Parameter(group=options.OUTPUT, metavar="PATTERN")] = "*.mp4",
    split: Annotated[str | None, Parameter(group=options.OUTPUT, metavar="SHARE")] = None,
    min_score: Annotated[float, Parameter(group=options.OUTPUT)] = 0.0,
    per_minute: Annotated[float | None, Parameter(group=options.OUTPUT, validator=Number(gt=0))] = None,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola convert`.

    Args:
        to: Output format: activitynet, csv, boris, elan, label-studio, cvat, via, audacity, srt, vtt or frames.
        out: File to write; a folder with a file for each video for elan, cvat, audacity, srt, vtt and frames.
        fps: Frames per second of the videos, for files that count frames and do not state their rate.
        video: Video id, for a file of one video that does not name it. Without it, the file name.
        without: Leave out videos that are annotated in these files, such as a detector's training videos.
        media: Path or URL of a video as the tool needs it, with * for its id: videos/*.avi.
        split: Share of the annotated videos for training (0.8), drawn with a fixed seed; the rest is for validation.
            Or a file with one video id and its subset per line.
        min_score: Leave out detections with a lower score.
        per_minute: Maximum number of detections per minute of video; those with the highest scores stay.
    """
    from sola.data.conversion import address, keep_best, read_any, write_videos
    from sola.data.splits import assign_subsets, split_of

    show_log(quiet)
    videos = read_any(files, label_key, fps=fps, video=video)
    known = read_any(without, label_key, fps=fps, video=video)
    videos = {id_: record for id_, record in videos.items() if id_ not in known or not known[id_].annotated}
    dropped = keep_best(videos, min_score=min_score, per_minute=per_minute)
    if split is not None:
        assign_subsets(videos, split_of(split), files[0])
    address(videos, media)
    written = write_videos(videos, to, out, fps=fps)
    instances = counted(sum(len(record.instances) for record in videos.values()), "instance")
    unlabeled = sum(not record.annotated for record in videos.values())
    log.info("%s with %s%s", counted(len(videos), "video"), instances, f", {dropped} left out" if dropped else "")
    if unlabeled:
        log.info("%s without annotation", counted(unlabeled, "video"))
    log.info("%s", out if len(written) == 1 else f"{out}: {len(written)} files")
