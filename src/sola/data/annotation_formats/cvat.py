"""CVAT XML (CVAT for video 1.1, and CVAT for images 1.1 with tags): tracks and tags over frames."""

from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as Xml

from sola.data.annotation_formats.base import (
    Format,
    Source,
    VideoRecord,
    Videos,
    classes_of,
    media_name,
    media_of,
    visible_ranges,
    written_rate,
)
from sola.data.annotation_formats.xml import parse, write_xml


def read(source: Source) -> Videos:
    """Read the tracks and tags of one task.

    Each run of frames in which a track is not outside becomes an instance, and so does each run of frames with the same
    tag. Raises SolaError for a malformed file or a missing frame rate.
    """
    root = parse(source)
    task = root.find("meta/task")
    if task is None:
        task = root.find("meta/job")
    media = root.findtext("meta/source") or ("" if task is None else task.findtext("source") or "")
    video = source.video or (media_name(media) if media else source.path.stem)
    rate = source.rate(None, f"video {video!r}")
    size = None if task is None else task.findtext("size")
    frames = None if size is None else int(source.number("the task", size, "its size"))
    first = 0 if task is None else int(source.number("the task", task.findtext("start_frame") or 0, "its first frame"))
    record = VideoRecord(fps=rate, duration=None if frames is None else frames / rate)
    for track in root.iter("track"):
        label, where = track.get("label"), f"track {track.get('id')!r}"
        shapes = sorted(
            (int(source.number(where, shape.get("frame"), "a frame")), shape.get("outside") == "1") for shape in track
        )
        last = max((frame for frame, _ in shapes), default=0) + 1
        keys = [(frame, not outside) for frame, outside in shapes]
        for begin, end in visible_ranges(keys, last if frames is None else max(first + frames, last)):
            record.instances.append(source.instance(where, begin / rate, end / rate, label))
    tagged: dict[str, list[int]] = {}
    for image in root.iter("image"):
        frame = int(source.number(f"image {image.get('name')!r}", image.get("id"), "its id"))
        for tag in image.iter("tag"):
            tagged.setdefault(tag.get("label", ""), []).append(frame)
    for label, tagged_frames in tagged.items():
        for _, run in groupby(enumerate(sorted(set(tagged_frames))), key=lambda pair: pair[1] - pair[0]):
            stretch = [frame for _, frame in run]
            ends = stretch[0] / rate, (stretch[-1] + 1) / rate
            record.instances.append(source.instance(f"tag {label!r}", *ends, label))
    record.instances.sort(key=lambda instance: (instance.start, instance.end))
    return {video: record}


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the instances of one video as tracks with a box over the whole frame."""
    ((video, record),) = videos.items()
    rate = written_rate(path, video, record, fps)
    frames = max(round(record.length * rate), *(round(instance.end * rate) + 1 for instance in record.instances), 1)
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    task = Xml.SubElement(Xml.SubElement(root, "meta"), "task")
    task_fields = {"name": video, "size": str(frames), "mode": "interpolation", "source": media_of(video, record)}
    for name, value in task_fields.items():
        Xml.SubElement(task, name).text = value
    labels = Xml.SubElement(task, "labels")
    for name in classes_of(videos):
        Xml.SubElement(Xml.SubElement(labels, "label"), "name").text = name
    for number, instance in enumerate(record.instances):
        track = Xml.SubElement(root, "track", {"id": str(number), "label": instance.label, "source": "auto"})
        begin = max(round(instance.start * rate), 0)
        for frame, outside in ((begin, "0"), (max(round(instance.end * rate), begin + 1), "1")):
            box = {"frame": str(frame), "outside": outside, "occluded": "0", "keyframe": "1"}
            corners = {"xtl": "0.00", "ytl": "0.00", "xbr": "1.00", "ybr": "1.00", "z_order": "0"}
            Xml.SubElement(track, "box", box | corners)
    write_xml(root, path)


def fits(text: str) -> bool:
    """Return True if the text is CVAT XML."""
    return "<annotations>" in text and any(mark in text for mark in ("<track", "<image", "<version>1.1"))


FORMAT = Format("cvat", fits, read, write, suffix=".xml", by_video=True)
