"""Synthetic features and annotations in the layout of a published data set."""

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from published_layouts import Layout

from sola.core.files import write_json
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.class_scores import thumos14_layout
from sola.data.segments import Segments
from sola.data.thumos14 import NUMBERS

NOUNS = 300
"""Noun classes of EPIC-Kitchens-100."""
EPIC_COLUMNS = (
    *("narration_id", "participant_id", "video_id", "narration_timestamp", "start_timestamp", "stop_timestamp"),
    *("start_frame", "stop_frame", "narration", "verb", "verb_class", "noun", "noun_class"),
    *("all_nouns", "all_noun_classes"),
)


def class_names(layout: Layout) -> tuple[str, ...]:
    """Return the class names: those of THUMOS14 if it has as many classes, else numbers."""
    count = layout.statistics.classes
    return tuple(NUMBERS.values()) if count == len(NUMBERS) else tuple(map(str, range(count)))


def draw_annotations(layout: Layout, training: int) -> Annotations:
    """Draw annotations of `training` training videos and half as many for evaluation.

    The durations of the videos are evenly spaced quantiles of a log-normal distribution, so that few videos have the
    same mean duration as many.
    """
    statistics, generator = layout.statistics, np.random.default_rng(0)
    location = np.log(statistics.duration) - statistics.duration_spread**2 / 2
    durations = NormalDist(location, statistics.duration_spread)
    records = {}
    for subset, pattern, count in zip(layout.subsets, layout.videos, sizes(training), strict=True):
        for number, rank in enumerate(generator.permutation(count), 4):  # the first test video of THUMOS14 is number 4
            duration = round(math.exp(durations.inv_cdf((rank + 0.5) / count)), 2)
            record = _draw_video(layout, pattern.format(number), subset, duration, generator)
            records[record.video] = record
    return Annotations(records, class_names(layout))


def sizes(training: int) -> tuple[int, int]:
    """Return the numbers of training and evaluation videos of a rehearsal."""
    return training, max(training // 2, 1)


def _draw_video(
    layout: Layout, video: str, subset: str, duration: float, generator: np.random.Generator
) -> VideoAnnotation:
    statistics = layout.statistics
    count = 1 + generator.poisson((statistics.instances - 1) * duration / statistics.duration)
    lengths = generator.lognormal(np.log(statistics.instance), statistics.instance_spread, count)
    lengths = np.clip(lengths, 0.2, 0.9 * duration)
    starts = generator.random(count) * (duration - lengths)
    order = np.argsort(starts)
    starts, lengths = starts[order], lengths[order]
    labels = generator.integers(statistics.classes, size=1 if statistics.one_class else count)
    segments = Segments(
        starts.round(2), (starts + lengths).round(2), np.broadcast_to(labels, count).copy(), np.ones(count)
    )
    return VideoAnnotation(video, subset, duration, None, segments)


def first_videos(annotations: Annotations, layout: Layout, training: int) -> list[VideoAnnotation]:
    """Return the first annotated videos: `training` for training, and half as many for evaluation."""
    records = []
    for subset, count in zip(layout.subsets, sizes(training), strict=True):
        usable = [
            record for record in annotations.subset(subset).videos.values() if len(record.segments) and record.duration
        ]
        records += usable[:count]
    return records


def draw_features(
    record: VideoAnnotation, snippets: int, classes: Float[np.ndarray, "classes channels"], seed: int
) -> Float[np.ndarray, "snippets channels"]:
    """Draw features: a scene, the state of each class inside its instances, slow and fast noise; then a ReLU."""
    generator = np.random.default_rng(seed)
    channels = classes.shape[1]
    assert record.duration is not None
    centers = (np.arange(snippets) + 0.5) * record.duration / snippets
    values = generator.standard_normal((snippets, channels), np.float32) * 0.5
    values += np.repeat(generator.standard_normal((snippets // 8 + 1, channels), np.float32), 8, axis=0)[:snippets] / 2
    values += generator.standard_normal(channels).astype(np.float32)
    for start, end, label in zip(record.segments.start, record.segments.end, record.segments.label, strict=True):
        values[(centers >= start) & (centers < end)] += classes[label]
    return np.maximum(values, 0, out=values)


def write_data_set(
    records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, channels: int, folder: Path
) -> None:
    """Write features, annotations and class scores as they are published."""
    source = folder / "features"
    source.mkdir(parents=True)
    classes = np.random.default_rng(0).standard_normal((len(names), channels)).astype(np.float32)
    for seed, record in enumerate(records, 1):
        assert record.duration is not None
        path = source / layout.features.format(record.video)
        values = draw_features(record, layout.snippets(record.duration), classes, seed)
        if path.suffix == ".csv":
            header = ",".join(f"f{channel}" for channel in range(channels))
            np.savetxt(path, values, "%.6f", delimiter=",", header=header, comments="")
        elif path.suffix == ".npz":
            np.savez(path, feats=values.astype(np.float16))
        else:
            np.save(path, values.astype(np.float16))
    if layout.has_manifest:
        dataclasses.replace(layout.grid, dim=channels).write(source)
    writers = {
        "activitynet": _write_activitynet,
        "action-lists": _write_action_lists,
        "epic-kitchens": _write_epic_kitchens,
        "ego4d": _write_ego4d,
    }
    writers[layout.annotations](records, names, layout, folder)
    if layout.classifier is not None:
        _write_class_scores(records, names, folder / layout.classifier)


def _instances(record: VideoAnnotation, names: Sequence[str]) -> list[tuple[float, float, str]]:
    segments = record.segments
    return [
        (float(start), float(end), names[label])
        for start, end, label in zip(segments.start, segments.end, segments.label, strict=True)
    ]


def _write_activitynet(records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, folder: Path) -> None:
    database = {}
    for record in records:
        assert record.duration is not None
        rates: dict[str, float] = {"fps": layout.fps, "frame": round(record.duration * layout.fps)}
        database[record.video] = {
            "subset": record.subset,
            "duration": record.duration,
            **({layout.rate: rates[layout.rate]} if layout.rate else {}),
            "annotations": [
                {"segment": [start, end], "label": label} for start, end, label in _instances(record, names)
            ],
        }
    write_json(folder / layout.files[0], {"version": "1.3", "database": database})


def _write_action_lists(records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, folder: Path) -> None:
    videos = {
        record.video: {
            "subset": record.subset,
            "duration": record.duration,
            "actions": [[int(label), start, end] for start, end, label in _instances(record, names)],
        }
        for record in records
    }
    write_json(folder / layout.files[0], videos)


def _write_epic_kitchens(
    records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, folder: Path
) -> None:
    """Write a table for each subset, with nouns drawn at random."""
    generator = np.random.default_rng(0)
    for subset, name in zip(layout.subsets, layout.files, strict=True):
        with (folder / name).open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(EPIC_COLUMNS)
            for record in records:
                if record.subset != subset:
                    continue
                for number, (start, end, label) in enumerate(_instances(record, names)):
                    noun = int(generator.integers(NOUNS))
                    times = [
                        f"{int(time // 3600):02d}:{int(time // 60) % 60:02d}:{time % 60:05.2f}" for time in (start, end)
                    ]
                    table.writerow(
                        [f"{record.video}_{number}", record.video[:3], record.video, times[0], *times]
                        + [round(time * layout.fps) for time in (start, end)]
                        + [f"verb{label} noun{noun}", f"verb{label}", label, f"noun{noun}", noun]
                        + [[f"noun{noun}"], [noun]]
                    )


def _write_ego4d(records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, folder: Path) -> None:
    """Write a file for each subset; every clip is in the middle of a video of its own."""
    for subset, name in zip(layout.subsets, layout.files, strict=True):
        videos = []
        for record in records:
            if record.subset != subset:
                continue
            assert record.duration is not None
            labels = [
                {
                    **{"start_time": start, "end_time": end, "label": label, "primary": True},
                    **{"video_start_time": start + 60.0, "video_end_time": end + 60.0},
                }
                for start, end, label in _instances(record, names)
            ]
            clip = {
                "clip_uid": record.video,
                **{"video_start_sec": 60.0, "video_end_sec": 60.0 + record.duration},
                "annotations": [{"annotator_uid": "0", "labels": labels}],
            }
            videos.append({"video_uid": f"video-{record.video}", "split": subset, "clips": [clip]})
        write_json(folder / name, {"version": "1", "split": subset, "videos": videos})


def _write_class_scores(records: Sequence[VideoAnnotation], names: Sequence[str], path: Path) -> None:
    """Write class scores in the layout of CUHK's file, or of UntrimmedNet's for a `.npy`."""
    generator = np.random.default_rng(0)
    scores = {}
    for record in records:
        row = generator.random(len(names)) * 0.01
        row[record.segments.label[0]] = 0.9
        scores[record.video] = row
    if path.suffix == ".npy":
        rows, columns = thumos14_layout()
        table = np.zeros((len(rows), len(columns)), np.float32)
        for video in set(rows) & set(scores):
            table[rows.index(video), [columns.index(name) for name in names]] = scores[video]
        np.save(path, table)
    else:
        results = {video: row.tolist() for video, row in scores.items()}
        write_json(path, {"results": results, "class": list(names)})
