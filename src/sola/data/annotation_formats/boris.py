"""BORIS: projects (.boris), and exported tables of tabular or aggregated events."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sola.core.files import write_json
from sola.data.annotation_formats import table
from sola.data.annotation_formats.base import (
    Format,
    Source,
    VideoRecord,
    Videos,
    classes_of,
    lanes,
    media_name,
    media_of,
)

VERSION = "7.0"
"""Project format version to write."""
STATE = "State event"
POINT = "POINT"

Event = tuple[float, tuple[str, ...]]
"""Time (seconds), and the key that pairs a state's start with its stop: class, subject and modifiers."""


class _Behavior(msgspec.Struct):
    code: str
    type: str = STATE


class _MediaInfo(msgspec.Struct):
    length: dict[str, float | str] = {}
    fps: dict[str, float | str] = {}


class _Observation(msgspec.Struct):
    events: list[list[float | str | None]]
    file: dict[str, list[str]] | list[str] = {}
    media_info: _MediaInfo | None = None


class _Project(msgspec.Struct):
    observations: dict[str, _Observation]
    behaviors_conf: dict[str, _Behavior] = {}


def read(source: Source) -> Videos:
    """Read the state events of all observations. A point event becomes a zero-length instance.

    Events of a state alternate between start and stop. Times refer to the files of the first player, played one after
    the other. Raises SolaError for a malformed project, a state without a stop, or an observation that plays several
    files of unknown length.
    """
    project: _Project = source.decode(_Project)
    points = {behavior.code for behavior in project.behaviors_conf.values() if behavior.type.upper().startswith(POINT)}
    videos: Videos = {}
    for name, observation in project.observations.items():
        where = f"observation {name!r}"
        media = observation.file.get("1", []) if isinstance(observation.file, dict) else []
        info = observation.media_info or _MediaInfo()
        begins = [0.0]
        for path in media[:-1]:
            if path not in info.length:
                raise source.bad(where, f"plays several files, but the length of {media_name(path)!r} is missing")
            begins.append(begins[-1] + source.number(where, info.length[path], "a length"))
        ids = [source.video if source.video and len(media) < 2 else media_name(path) for path in media] or [name]
        for id_, path in zip(ids, media or [""], strict=True):
            record = videos.setdefault(id_, VideoRecord())
            record.duration = source.number(where, info.length[path], "a length") if path in info.length else None
            record.fps = source.number(where, info.fps[path], "fps") if info.fps.get(path) else None
        events: list[Event] = []
        for event in observation.events:
            if len(event) < 3:
                raise source.bad(
                    where, f"invalid event {event}; expected time, subject, behavior, modifiers and comment"
                )
            modifiers = str(event[3]) if len(event) > 3 else ""
            events.append((source.number(where, event[0], "a time"), (str(event[2]), str(event[1]), modifiers)))
        states = _states(source, where, [event for event in events if event[1][0] not in points])
        for start, end, label in [*states, *((time, time, key[0]) for time, key in events if key[0] in points)]:
            position = max((place for place, begin in enumerate(begins) if begin <= start), default=0)
            instance = source.instance(where, start - begins[position], end - begins[position], label)
            videos[ids[position]].instances.append(instance)
    return videos


def _states(source: Source, where: str, events: Iterable[Event]) -> list[tuple[float, float, str]]:
    """Return (start, end, class) of all states by pairing the events with equal keys."""
    started: dict[tuple[str, ...], float] = {}
    states = []
    for time, key in sorted(events):
        if key in started:
            states.append((started.pop(key), time, key[0]))
        else:
            started[key] = time
    if started:
        key, time = next(iter(started.items()))
        raise source.bad(where, f"{key[0]!r} starts at {time:g} s but does not stop; fix unpaired events in BORIS")
    return sorted(states)


def read_table(source: Source) -> Videos:
    """Read an exported table of tabular or aggregated events. Raises SolaError for a malformed table."""
    lines = source.text.splitlines(keepends=True)
    begin = next((number for number, line in enumerate(lines) if "behavior type" in line.casefold()), 0)
    rows = [(number + begin, cells) for number, cells in table.rows_of(source, "".join(lines[begin:]))]
    aggregated = "start_s" in map(table.plain, rows[0][1])
    needed = ("behavior", "behavior_type", *(("start_s", "stop_s") if aggregated else ("time",)))
    videos: Videos = {}
    events: dict[str, list[Event]] = defaultdict(list)
    for where, row in table.named_rows(source, iter(rows), needed, "export the events again"):
        media = row.get("media_file_name") or row.get("media_file_path") or row.get("media_file") or ""
        video = source.video or (media_name(media) if media not in ("", "NA") else row.get("observation_id", "video"))
        record, label = videos.setdefault(video, VideoRecord()), row["behavior"]
        record.fps = _plain_number(row.get("fps_frame_s") or row.get("fps")) or record.fps
        record.duration = _plain_number(row.get("media_duration_s") or row.get("total_length")) or record.duration
        if aggregated:
            start = source.number(where, row["start_s"], "the start")
            stop = start if row["behavior_type"].upper() == POINT else source.number(where, row["stop_s"], "the stop")
            record.instances.append(source.instance(where, start, stop, label))
        elif row["behavior_type"].upper() == POINT:
            time = source.number(where, row["time"], "the time")
            record.instances.append(source.instance(where, time, time, label))
        else:
            modifiers = tuple(cell for name, cell in row.items() if name.startswith("modifier"))
            key = (str(label), row.get("subject", ""), *modifiers)
            events[video].append((source.number(where, row["time"], "the time"), key))
    for video, video_events in events.items():
        states = _states(source, f"video {video!r}", video_events)
        videos[video].instances += [source.instance(f"video {video!r}", *state) for state in states]
    return videos


def _plain_number(text: str | None) -> float | None:
    """Return the positive number in a cell, or None if the cell is empty or holds several numbers."""
    try:
        return float(text or "") or None
    except ValueError:
        return None


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write a project with one observation per video and the instances as state events."""
    labels = classes_of(videos)
    behavior = {"type": STATE, "key": "", "description": "", "category": "", "modifiers": "", "excluded": ""}
    observations: dict[str, Any] = {}
    for video, record in videos.items():
        media, rate = media_of(video, record), record.fps or fps
        # BORIS pairs events by subject, so overlapping instances of a class need different subjects
        events = [
            [round(time, 6), "" if lane == 1 else str(lane), instance.label, "", ""]
            for instance, lane in lanes(record.instances)
            for time in (instance.start, instance.end)
        ]
        observations[video] = {
            "file": {"1": [media], **{str(player): [] for player in range(2, 9)}},
            "type": "MEDIA",
            "date": "2000-01-01T00:00:00",
            "description": "",
            "time offset": 0,
            "events": sorted(events),
            "observation time interval": [0, 0],
            "independent_variables": {},
            "visualize_spectrogram": False,
            "visualize_waveform": False,
            "close_behaviors_between_videos": False,
            "media_info": {
                "length": {} if record.duration is None else {media: record.duration},
                "fps": {} if rate is None else {media: rate},
                "hasVideo": {media: True},
                "hasAudio": {media: False},
                "offset": {"1": 0.0},
            },
        }
    project = {
        "time_format": "hh:mm:ss",
        "project_date": "2000-01-01T00:00:00",
        "project_name": path.stem,
        "project_description": "",
        "project_format_version": VERSION,
        "subjects_conf": {},
        "behaviors_conf": {str(number): {**behavior, "code": label} for number, label in enumerate(labels)},
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    write_json(path, project)


def _fits_table(text: str) -> bool:
    head = text[:4000].casefold()
    return "behavior type" in head and ("observation id" in head or "media file" in head)


PROJECT = Format("boris", lambda text: '"project_format_version"' in text, read, write, suffix=".boris")
TABLE = Format("boris-table", _fits_table, read_table)
