"""Wrong timing raises an error, and the usual layouts of published data sets raise none."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest

DURATIONS = (40.0, 63.0, 87.0, 110.0, 45.0, 71.0)


@dataclass(frozen=True)
class Made:
    """A data set of videos with these durations, features with the true timing, and two instances per video."""

    durations: tuple[float, ...] = DURATIONS
    true: dict[str, float] = field(default_factory=lambda: {"fps": 30.0, "stride": 16.0, "window": 16.0})
    stated: dict[str, float] | None = None
    """Timing in the manifest, or None for the true timing."""
    share: float = 1.0
    """Fraction of each video that its features cover."""
    length: int | None = None
    """Number of snippets of all videos, cut or extended with other snippets."""
    zeros: int = 0
    """Number of padding snippets."""
    shifted: float = 0.0
    """Shift of the annotated times (seconds)."""
    times: float = 1.0
    """Factor for the annotated times."""
    annotated: Callable[[float], float | None] = lambda duration: duration
    """Annotated duration."""
    extra: dict[str, float] = field(default_factory=dict)
    """Additional fields of each annotated video."""

    def open(self, folder: Path, **options) -> Dataset:
        """Write features and annotations, and open them."""
        features = folder / "features"
        features.mkdir()
        rng = np.random.default_rng(0)
        database = {}
        stride, window = self.true["stride"], self.true["window"]
        for index, duration in enumerate(self.durations):
            frames = self.share * duration * self.true["fps"] - self.true.get("offset", 0.0)
            length = self.length or max(int((frames - window) // stride) + 1, 1)
            values = rng.normal(size=(length, 4)).astype(np.float32)
            values = np.concatenate([values, np.zeros((self.zeros, 4), np.float32)])
            np.save(features / f"v{index}.npy", values)
            segments = [[0.1 * duration, 0.3 * duration], [0.5 * duration, 0.9 * duration]]
            record = {
                "subset": "training" if index % 2 else "validation",
                "annotations": [
                    {"segment": [self.shifted + self.times * t for t in one], "label": "a"} for one in segments
                ],
                **self.extra,
            }
            if (annotated := self.annotated(duration)) is not None:
                record["duration"] = annotated
            database[f"v{index}"] = record
        Manifest(**(self.true if self.stated is None else self.stated)).write(features)
        write_json(folder / "a.json", {"database": database})
        return Dataset.open(features, read_annotations(folder / "a.json"), **options)


TRUE = Made().true
BASE = Made()
UNKNOWN = replace(BASE, annotated=lambda duration: None)
"""Durations are not annotated, as in THUMOS14."""

REFUSED = {
    "stride": (
        replace(BASE, stated={**TRUE, "stride": 64.0}),
        r"video 'v0': its last snippet ends at 1(5\d\.\d+|60) s, but the video lasts 40 s, and 6 of 6 videos disagree "
        r"by the same factor: stride 64 looks 3\.\d+x too large, or fps 30 3\.\d+x too small \(stride 16\.\d+ or fps "
        r"1\d\d\.?\d* would fit\); correct .*features\.json",
    ),
    "fps": (
        replace(BASE, stated={**TRUE, "fps": 7.5}, extra={"fps": 30.0}),
        r"last snippet ends at 1(5\d\.\d+|60) s, but the video lasts 40 s.*fps 7\.5 looks (3\.\d+|4)x too small, the "
        r"annotations have 30",
    ),
    "half of each video": (
        replace(BASE, share=0.5),
        r"last snippet ends at 19\.\d+ s, but the video lasts 40 s.*or the features cover a part of each video only",
    ),
    "durations in milliseconds": (
        replace(BASE, times=1000.0, annotated=lambda duration: 1000 * duration),
        r"ends at (39\.\d+|40) s, but the video lasts 40000 s.*the durations look like milliseconds; expected seconds",
    ),
    "times in milliseconds": (
        replace(BASE, times=1000.0),
        r"video 'v0': an instance ends at 12000 s, but the video lasts 40 s, and 12 of 12 instances are too late: the "
        r"times look like milliseconds; expected seconds",
    ),
    "times in microseconds": (replace(BASE, times=1e6), "the times look like microseconds; expected seconds"),
    "times in frames": (
        replace(BASE, times=30.0),
        r"ends at 360 s, but the video lasts 40 s.*the times look like frames at 30 fps; expected seconds",
    ),
    "no stride stated": (
        replace(BASE, true={"fps": 30.0, "stride": 30.0, "window": 30.0}, stated={"fps": 30.0}),
        r"ends at 1\.33 s, but the video lasts 40 s.*stride 1 looks 30x too small, or fps 30 30x too large, or the "
        r"durations are in frames \(stride 30 or fps 1 would fit\)",
    ),
    "stride of one video": (
        replace(BASE, durations=(60.0,), stated={**TRUE, "stride": 64.0}),
        r"1 of 1 videos disagree by the same factor: stride 64 looks 3\.\d+x too large",
    ),
    "times in milliseconds without durations": (
        replace(UNKNOWN, times=1000.0),
        r"ends at 12000 s, but the last snippet ends at (39\.\d+|40) s.*look like milliseconds; expected seconds",
    ),
    "times in frames without durations": (
        replace(UNKNOWN, times=30.0),
        r"ends at 360 s, but the last snippet ends at (39\.\d+|40) s.*or the times are in frames; expected seconds",
    ),
}

FOUND = {
    "window": (
        replace(BASE, stated={**TRUE, "window": 160.0}),
        r"6 videos whose features and annotations disagree in time, such as 'v0' \(the last snippet ends at 44\.\d+ s, "
        r"the video at 40 s\); window 160 looks 14\d frames too large",
    ),
    "offset": (
        replace(BASE, stated={**TRUE, "offset": 300.0}),
        r"6 videos.*ends at (49\.\d+|50) s, the video at 40 s\); offset 300 looks 300 frames too large",
    ),
    "negative offset": (replace(BASE, stated={**TRUE, "offset": -90.0}), r"offset -90 looks 90 frames too small"),
    "durations of trimmed clips": (
        replace(BASE, annotated=lambda duration: 0.1 * duration + 7 + duration % 10),
        r"6 videos.*ends at (39\.\d+|40) s, the video at 11 s\); the durations look like those of trimmed clips",
    ),
    "window not stated": (
        replace(BASE, true={"fps": 30.0, "stride": 8.0, "window": 64.0}, stated={"fps": 30.0, "stride": 8.0}),
        r"6 videos.*window 8 looks \d\d frames too small",
    ),
    "window not stated, videos of equal length": (
        replace(
            BASE,
            durations=(10.0,) * 6,
            true={"fps": 30.0, "stride": 8.0, "window": 64.0},
            stated={"fps": 30.0, "stride": 8.0},
        ),
        r"6 videos.*window 8 looks \d\d frames too small",
    ),
    "features cut at one length": (
        replace(BASE, length=60),
        r"6 videos.*all have 60 snippets, so they look cut, or rescaled to one length \(then omit fps",
    ),
    "features filled up to one length": (
        replace(BASE, length=240),
        r"6 videos.*ends at 128 s, the video at 40 s\); all have 240 snippets, so they look padded, or rescaled to one",
    ),
    "times in fractions": (
        replace(BASE, times=1 / 110),
        r"6 videos.*'v0' \(the last instance ends at 0\.33 s of 40 s\); no instance of any video ends later, so the "
        r"times look like fractions",
    ),
    "durations of trimmed clips without fps": (
        replace(BASE, stated={}, annotated=lambda duration: 8 + duration % 10 if duration > 80 else duration),
        r"2 videos.*'v2' \(163 snippets in 15 s\); the median is 1\.\d+ snippets per second, so durations or features "
        r"look like those of other videos",
    ),
    "slightly too short": (
        replace(BASE, share=0.93),
        r"6 videos.*stride 16 looks 1\.0\dx too small, or fps 30 1\.0\dx too large, or the features cover a part",
    ),
    "stride too small without durations": (
        replace(UNKNOWN, stated={**TRUE, "stride": 10.0, "window": 10.0}),
        r"6 videos.*\(the last instance ends at .* s, the last snippet at .* s\); stride 10 looks too small, or fps "
        r"30 too large",
    ),
    "stride too large without durations": (
        replace(UNKNOWN, stated={**TRUE, "stride": 64.0, "window": 64.0}),
        r"6 videos.*stride 64 looks too large, or fps 30 too small",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_error_for_timing_contradicted_by_most_videos_has_the_cause(tmp_path: Path, name: str) -> None:
    data_set, message = REFUSED[name]
    with pytest.raises(SolaError, match=message) as error:
        data_set.open(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FOUND)
def test_finding_for_wrong_timing_has_the_cause(tmp_path: Path, name: str) -> None:
    data_set, message = FOUND[name]
    found = [str(finding) for finding in data_set.open(tmp_path).findings if finding.kind == "timing"]
    assert len(found) == 1
    assert re.search(message, found[0]), found[0]


def test_cure_for_timing_from_the_command_line_is_a_flag(tmp_path: Path) -> None:
    made = replace(BASE, stated={})
    with pytest.raises(SolaError, match="correct --fps and --stride"):
        made.open(tmp_path, timing={"fps": 30.0, "stride": 64.0})


def test_a_few_videos_that_disagree_are_counted(tmp_path: Path) -> None:
    made = replace(BASE, annotated=lambda duration: 20.0 if duration == 63.0 else duration)
    (timing, outside) = made.open(tmp_path).findings
    assert (timing.kind, timing.count, timing.advice) == ("timing", 1, "")
    assert "'v1' (the last snippet ends at 62.93 s, the video at 20 s)" in str(timing)
    assert (outside.kind, outside.count) == ("outside_video", 1)


def test_padding_is_not_mistaken_for_wrong_timing(tmp_path: Path) -> None:
    (finding,) = replace(BASE, zeros=100).open(tmp_path).findings
    assert (finding.kind, finding.count) == ("padding", 6)


def test_times_of_a_longer_recording_are_counted(tmp_path: Path) -> None:
    """No unit moves the times into the video, so no unit is guessed."""
    (finding,) = replace(BASE, shifted=1000.0).open(tmp_path).findings
    assert (finding.kind, finding.count) == ("outside_video", 12)
    assert "the times are not in seconds" in finding.advice


# common layouts of published data sets: (durations, manifest timing, extraction timing, other fields)
SILENT = {
    # features rescaled to 100 snippets, or TSP's at stride 16 of 15 fps; durations annotated
    "activitynet, rescaled": Made(true={"fps": 30.0, "stride": 16.0, "window": 16.0}, stated={}),
    "activitynet, TSP": Made(true={"fps": 15.0, "stride": 16.0, "window": 16.0}),
    "activitynet, 95 % covered": Made(
        share=0.9,
        true={"fps": 25.0, "stride": 5.0, "window": 5.0},
        extra={"duration_frame": 1000, "feature_frame": 900},
    ),
    "hacs, SlowFast": Made(true={"fps": 15.0, "stride": 8.0, "window": 32.0}, stated={}),
    "thumos14, I3D": Made(
        durations=(*DURATIONS, 1500.0, 6.0), true={"fps": 30.0, "stride": 4.0, "window": 16.0}, annotated=lambda d: None
    ),
    "thumos14 with durations, TSN": Made(
        durations=(*DURATIONS, 4.5, 700.0), true={"fps": 30.0, "stride": 8.0, "window": 16.0}
    ),
    "epic-kitchens, SlowFast": Made(
        durations=(700.0, 1800.0, 95.0), true={"fps": 30.0, "stride": 16.0, "window": 32.0}, extra={"fps": 59.94}
    ),
    "ego4d, clips of 8 minutes": Made(
        durations=(480.0,) * 4 + (300.5, 212.0), true={"fps": 30.0, "stride": 16.0, "window": 32.0}
    ),
    "fineaction": Made(true={"fps": 25.0, "stride": 16.0, "window": 16.0}, stated={}),
    "gtea": Made(true={"fps": 15.0, "stride": 1.0, "window": 1.0}, annotated=lambda d: None),
    "charades, whole seconds": Made(
        durations=(9.0, 31.0, 12.0, 30.0, 28.0),
        true={"fps": 24.0, "stride": 4.0, "window": 4.0},
        annotated=lambda d: d + (d % 2),
    ),
    "dense centered windows": Made(
        durations=(9.0, 31.0, 12.0, 30.0, 28.0),
        true={"fps": 15.0, "stride": 1.0, "window": 1.0},
        stated={"fps": 15.0, "window": 21.0, "offset": -10.0},
    ),
    "windows padded at the end": Made(
        durations=(9.0, 31.0, 12.0, 30.0, 28.0),
        true={"fps": 30.0, "stride": 8.0, "window": 1.0},
        stated={"fps": 30.0, "stride": 8.0, "window": 64.0},
    ),
    "windows dropped at the end": Made(
        durations=(9.0, 31.0, 12.0, 30.0, 28.0), true={"fps": 30.0, "stride": 8.0, "window": 64.0}
    ),
    "centered windows, padded": Made(
        true={"fps": 30.0, "stride": 8.0, "window": 8.0},
        stated={"fps": 30.0, "stride": 8.0, "window": 32.0, "offset": -12.0},
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_published_data_set_layout_has_no_findings(tmp_path: Path, name: str) -> None:
    assert SILENT[name].open(tmp_path).findings == ()
