"""VIA 3 projects (JSON) and exported tables (CSV) with temporal segments."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sola.core.files import write_json
from sola.data.annotation_formats.base import (
    CLASS_KEY,
    Format,
    Source,
    VideoRecord,
    Videos,
    classes_of,
    media_name,
    media_of,
)

ATTRIBUTE = "action"
"""Name of the written attribute."""
COLUMNS = ("metadata_id", "file_list", "flags", "temporal_coordinates", "spatial_coordinates", "metadata")
VIDEO, SEGMENT = 4, "FILE1_Z2_XY0"
"""VIA's code of a video file, and its name for an attribute of a time segment of one file."""
LOCAL, URI = 1, 2
"""VIA's codes of file locations."""


class _Attribute(msgspec.Struct):
    aname: str = ""
    options: dict[str, str] = {}


class _File(msgspec.Struct):
    fname: str


class _View(msgspec.Struct):
    fid_list: list[str | int]


class _Segment(msgspec.Struct):
    vid: str | int
    z: list[float] = []
    av: dict[str, str] = {}


class _Project(msgspec.Struct):
    attribute: dict[str, _Attribute]
    file: dict[str, _File]
    view: dict[str, _View]
    metadata: dict[str, _Segment]


def read(source: Source) -> Videos:
    """Read a project. The class is the attribute named by `label_key`, or else the first attribute of a segment.

    Raises SolaError for a malformed project.
    """
    project: _Project = source.decode(_Project)
    video_of_view = {}
    for key, view in project.view.items():
        file = next((project.file[str(fid)] for fid in view.fid_list if str(fid) in project.file), None)
        if file is None:
            raise source.bad(f"view {key!r}", "has no file; remove the view or add its video in VIA")
        video_of_view[key] = source.video if source.video and len(project.view) == 1 else media_name(file.fname)
    videos: Videos = {video: VideoRecord() for video in video_of_view.values()}
    for key, segment in project.metadata.items():
        where = f"segment {key!r}"
        if str(segment.vid) not in video_of_view:
            raise source.bad(where, f"belongs to view {segment.vid!r}, which does not exist")
        values = {}
        for id_, value in segment.av.items():
            attribute = project.attribute.get(id_, _Attribute(id_))
            values[attribute.aname or id_] = attribute.options.get(value, value)
        _add(source, videos[video_of_view[str(segment.vid)]], where, segment.z, values)
    return videos


def _add(source: Source, record: VideoRecord, where: str, times: Sequence[float], values: Mapping[str, Any]) -> None:
    """Add a segment to a video. Skip entries without a start and end, such as a box in one frame."""
    if len(times) != 2:
        return
    wanted = list(values) if source.label_key == CLASS_KEY else [source.label_key]
    if not wanted or wanted[0] not in values:
        raise source.bad(where, f"has no attribute {wanted[0] if wanted else ATTRIBUTE!r}, only {', '.join(values)}")
    start, end = (source.number(where, time, "a time") for time in times)
    record.instances.append(source.instance(where, start, end, values[wanted[0]]))


def read_table(source: Source) -> Videos:
    """Read an exported table. Raises SolaError for a malformed table."""
    videos: Videos = {}
    lines = source.text.splitlines()
    columns = list(COLUMNS)
    for number, line in enumerate(lines, 1):
        if header := re.match(r"#\s*CSV_HEADER\s*=\s*(.*)", line):
            columns = [name.strip() for name in header[1].split(",")]
        if not line.strip() or line.startswith("#"):
            continue
        where = f"line {number}"
        cells = next(csv.reader([line], skipinitialspace=True))
        if cells == columns:
            continue
        row = dict(zip(columns, cells, strict=False))
        try:
            files = msgspec.json.decode(row["file_list"], type=list[str])
            times = msgspec.json.decode(row["temporal_coordinates"], type=list[float])
            values = msgspec.json.decode(row.get("metadata") or "{}", type=dict[str, Any])
            video = source.video or media_name(files[0])
        except (KeyError, IndexError, msgspec.DecodeError, RecursionError):
            raise source.bad(where, f"{line[:60]!r}; expected the cells {', '.join(columns)}") from None
        _add(source, videos.setdefault(video, VideoRecord()), where, times, values)
    return videos


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write a project with one view per video and one attribute for the class."""
    labels = classes_of(videos)
    metadata, files, views = {}, {}, {}
    for number, (video, record) in enumerate(videos.items(), 1):
        key, name = str(number), media_of(video, record)
        files[key] = {"fid": key, "fname": name, "type": VIDEO, "loc": URI if "://" in name else LOCAL, "src": name}
        views[key] = {"fid_list": [key]}
        for position, instance in enumerate(record.instances):
            z, av = [round(instance.start, 6), round(instance.end, 6)], {"1": str(labels.index(instance.label))}
            metadata[f"{key}_{position:08x}"] = {"vid": key, "flg": 0, "z": z, "xy": [], "av": av}
    attribute = {
        "aname": ATTRIBUTE,
        "anchor_id": SEGMENT,
        "type": 4,
        "desc": "Class of the instance",
        "options": {str(number): label for number, label in enumerate(labels)},
        "default_option_id": "",
    }
    project = {"pid": "__VIA_PROJECT_ID__", "rev": "__VIA_PROJECT_REV_ID__", "rev_timestamp": "", "pname": path.stem}
    config = {
        "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
        "ui": {
            "file_content_align": "center",
            "spatial_region_label_attribute_id": "",
            "gtimeline_visible_row_count": "4",
        },
    }
    write_json(
        path,
        {
            "project": {**project, "creator": "sola", "created": 0, "vid_list": list(views)},
            "config": config,
            "attribute": {"1": attribute},
            "file": files,
            "metadata": metadata,
            "view": views,
        },
    )


PROJECT = Format("via", lambda text: '"vid_list"' in text, read, write)
TABLE = Format(
    "via-table",
    lambda text: (
        re.match(r"\s*#\s*(exported using v|csv_header)", text, re.IGNORECASE) is not None
        or "temporal_coordinates" in text.partition("\n")[0]
    ),
    read_table,
)
