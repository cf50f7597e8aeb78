"""Layouts of published features and annotations: files, numbers of videos and classes, and the documented settings.

Numbers are from the sources that the page of each data set names. Those marked "assumed" were not found in any source
that could be read.
"""

import dataclasses
from typing import Literal

from sola.data.manifest import Manifest

Flags = tuple[object, ...]
"""Arguments of a command."""


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Counts and durations that synthetic annotations follow."""

    classes: int
    """Number of classes."""
    duration: float
    """Mean duration of a video (seconds)."""
    duration_spread: float
    """Standard deviation of the logarithm of the durations of videos."""
    instances: float
    """Mean number of instances per video."""
    instance: float
    """Median duration of an instance (seconds)."""
    instance_spread: float = 0.85
    """Standard deviation of the logarithm of the durations of instances."""
    one_class: bool = False
    """Whether all instances of a video have the same class."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Files of a published data set, and the settings of its documented steps."""

    training: int
    """Number of training videos."""
    testing: int
    """Number of videos that detectors are evaluated on."""
    statistics: Statistics
    channels: int
    """Channels of the features."""
    rescaled: int | None = None
    """Snippets of every video, or None where the number follows from the duration."""
    grid: Manifest = dataclasses.field(default_factory=Manifest)
    """Positions of snippets in time."""
    has_manifest: bool = True
    """Whether `grid` is written as `features.json`."""
    fps: float = 30.0
    """Frame rate of the videos, where `grid` has none."""
    features: str = "{}.npy"
    """Name of the feature file of a video."""
    annotations: Literal["activitynet", "action-lists", "epic-kitchens", "ego4d"] = "activitynet"
    """Format of the annotation files."""
    files: tuple[str, ...] = ("annotations.json",)
    """Names of the annotation files; where there are two, one for each subset."""
    rate: Literal["fps", "frame"] | None = None
    """Field of the annotations from which the frame rate follows."""
    conversion: Flags = ()
    """Arguments of `sola convert`, which ends with the file that the other steps read; empty if none is needed."""
    subsets: tuple[str, str] = ("training", "validation")
    """Subsets for training and for evaluation."""
    videos: tuple[str, str] = ("training_{:05d}", "validation_{:05d}")
    """Ids of the videos of either subset, by number."""
    classifier: str | None = None
    """File of the class scores of an external classifier, or None if the detector predicts classes."""
    recipe: str = "auto"
    """Recipe of `sola train`."""
    probed: bool = False
    """Whether `sola probe` is rehearsed."""
    model: str = "actionformer"
    """Detector."""
    detector_recipe: str = "thumos"
    """Recipe of the detector."""
    detector: Flags = ()
    """Further arguments of `sola train-detector`."""
    detector_epochs: int | None = None
    """Epochs of the detector where the page overrides those of the recipe."""
    detection: Flags = ()
    """Further arguments of `sola detect`."""

    @property
    def annotation_file(self) -> str:
        """Name of the file that is passed to `--annotations`."""
        return str(self.conversion[-1]) if self.conversion else self.files[0]

    def snippets(self, duration: float) -> int:
        """Return the number of snippets of a video of this duration in seconds."""
        if self.rescaled is not None:
            return self.rescaled
        assert self.grid.stride is not None
        assert self.grid.window is not None
        frames = duration * (self.grid.fps or self.fps) - (self.grid.offset or 0.0)
        return max(int((frames - self.grid.window) // self.grid.stride) + 1, 1)


ACTIVITYNET = Statistics(200, 117.5, 0.79, 1.54, 26.8, instance_spread=1.38, one_class=True)
"""Measured on `activitynet-1.3.json`."""
THUMOS_GRID = Manifest(dim=2048, stride=4.0, window=16.0)

LAYOUTS = {
    "activitynet": Layout(
        9_649,
        4_728,
        ACTIVITYNET,
        channels=400,
        rescaled=100,
        features="v_{}.csv",
        has_manifest=False,
        classifier="classifier.json",
        recipe="anet",
        probed=True,
        model="gtad",
        detector_recipe="anet",
    ),
    "hacs": Layout(
        37_613,
        5_981,
        ACTIVITYNET,  # assumed
        channels=2_304,
        grid=Manifest(dim=2_304, fps=15.0, stride=8.0, window=32.0),
        classifier="classifier.json",
        recipe="hacs",
        model="gtad",
        detector_recipe="hacs",
        detector=("--classifier-epochs", 0),  # the file of class scores replaces the snippet classifier
    ),
    "thumos14": Layout(
        200,
        212,
        Statistics(20, 261.0, 0.8, 15.4, 3.0, one_class=True),  # spread of the durations of videos: assumed
        channels=2_048,
        grid=THUMOS_GRID,
        files=("thumos14.json",),
        rate="fps",
        subsets=("Validation", "Test"),
        videos=("video_validation_{:07d}", "video_test_{:07d}"),
        classifier="uNet_test.npy",
    ),
    "multithumos": Layout(
        200,
        213,
        Statistics(65, 261.0, 0.8, 93.7, 1.9),  # spread of the durations of videos: assumed
        channels=2_048,
        grid=THUMOS_GRID,
        files=("multithumos_anno.json",),
        rate="frame",
        videos=("video_validation_{:07d}", "video_test_{:07d}"),
        model="temporalmaxer",
        detector_recipe="multithumos",
    ),
    "charades": Layout(
        7_983,
        1_863,
        Statistics(157, 30.0, 0.3, 6.8, 8.8, instance_spread=0.6),  # spreads: assumed
        channels=1_024,
        grid=Manifest(dim=1_024, fps=24.0, stride=8.0, window=8.0, offset=-4.0),
        annotations="action-lists",
        files=("charades.json",),
        subsets=("training", "testing"),
        videos=("A{:04d}", "Z{:04d}"),
        detector=(
            *("--length", 768, "--levels", 7, "--attention-window", 1535, "--absolute-position"),
            *("--batch-size", 16, "--sigma", 0.3, "--max-detections", 1000),
        ),
        detector_epochs=20,
    ),
    "epic-kitchens-100": Layout(
        495,
        138,
        Statistics(97, 514.0, 1.08, 129.0, 1.96, instance_spread=0.87),
        channels=2_304,
        grid=Manifest(dim=2_304, fps=30.0, stride=16.0, window=32.0),
        features="{}.npz",
        annotations="epic-kitchens",
        files=("EPIC_100_train.csv", "EPIC_100_validation.csv"),
        conversion=(
            *("EPIC_100_train.csv", "EPIC_100_validation.csv", "--label-key", "verb_class"),
            *("--to", "activitynet", "--out", "verbs.json"),
        ),
        videos=("P01_{:03d}", "P02_{:03d}"),
        detector_recipe="epic-verb",
    ),
    "ego4d-mq": Layout(
        1_500,  # assumed, like the next number and all durations
        500,
        Statistics(110, 480.0, 0.1, 9.0, 10.0, instance_spread=1.2),
        channels=2_304,
        grid=Manifest(dim=2_304, fps=30.0, stride=16.0, window=32.0),
        annotations="ego4d",
        files=("moments_train.json", "moments_val.json"),
        conversion=("moments_train.json", "moments_val.json", "--to", "activitynet", "--out", "moments.json"),
        subsets=("train", "val"),
        videos=("00000000-0000-4000-8000-{:012d}", "00000000-0000-4000-9000-{:012d}"),
        detector_recipe="epic-verb",
        detector=(
            *("--length", 1024, "--levels", 7, "--absolute-position", "--normalizer", 100),
            *("--sigma", 0.9, "--voting-iou", 0.95),
        ),
        detector_epochs=15,
    ),
    "fineaction": Layout(
        8_500,  # assumed, like the next number: half and a quarter of 17,000
        4_250,
        Statistics(106, 150.0, 0.8, 6.1, 3.0, instance_spread=1.2),  # durations: assumed
        channels=1_280,
        grid=Manifest(dim=1_280, fps=30.0, stride=16.0, window=16.0),
        has_manifest=False,
        files=("annotations_gt.json",),
        classifier="classifier.json",
        detector_recipe="anet",
        detector=("--classifier-epochs", 0),  # the file of class scores replaces the snippet classifier
        detector_epochs=20,
        detection=("--combine", "sqrt"),
    ),
}
"""Layouts by the name of the data set, as in `sola evaluate --dataset`."""
