"""Annotated videos: action instances with classes, and the subset of each video."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.annotation_formats import format_of
from sola.data.annotation_formats.base import CLASS_KEY, Source, Videos
from sola.data.layouts import EXPECTED, known_binary, known_layout
from sola.data.segments import Segments
from sola.data.splits import Split, assign_subsets

SAME_SUBSET = ({"training", "train"}, {"validation", "valid", "val"}, {"testing", "test"})
"""Names that different data sets use for the same subset."""


@dataclass(frozen=True)
class VideoAnnotation:
    """One annotated video."""

    video: str
    subset: str
    duration: float | None
    """Video duration (seconds), or None if unknown (THUMOS14)."""
    fps: float | None
    """Frames per second, or None if unknown."""
    segments: Segments
    features_share: float = 1.0
    """Fraction of the duration that the features cover: feature_frame/duration_frame in BMN's and G-TAD's files."""

    @property
    def features_duration(self) -> float | None:
        """Duration covered by the features (seconds), or None if unknown."""
        return None if self.duration is None else self.duration * self.features_share


@dataclass(frozen=True)
class Annotations:
    """Annotated videos by id, and the class names that their labels index.

    Read them with `read_annotations`.

    Examples:
        >>> import sola
        >>> annotations = sola.read_annotations("annotations.json")
        >>> validation = annotations.subset("validation")
        >>> len(annotations.videos), sorted(validation.videos)
        (9, ['validation_0000', 'validation_0001', 'validation_0002'])
        >>> video = validation.videos["validation_0000"]
        >>> len(video.segments), [annotations.classes[label] for label in video.segments.label][:2]
        (5, ['action_1', 'action_0'])
    """

    videos: Mapping[str, VideoAnnotation]
    """Annotated videos by id."""
    classes: tuple[str, ...]
    """Class names, sorted if read from a file."""
    source: Path | None = None
    """Path of the file or folder, or None if the annotations were not read from disk."""
    label_key: str = "label"
    """Name of the class field in the file."""

    def subset(self, name: str) -> "Annotations":
        """Return the videos of one subset, with the classes of all subsets.

        Args:
            name: subset name, not case-sensitive. "train", "val", "valid" and "test" also match "training",
                "validation" and "testing", and vice versa, if no subset has the given name.

        Raises:
            SolaError: if the annotations have no such subset.
        """
        wanted = name.casefold()
        for names_of_subset in ({wanted}, next((names for names in SAME_SUBSET if wanted in names), set())):
            chosen = {
                video: record for video, record in self.videos.items() if record.subset.casefold() in names_of_subset
            }
            if chosen:
                break
        else:
            counts = Counter(record.subset for record in self.videos.values())
            known = ", ".join(f"{subset!r} ({count} videos)" for subset, count in counts.most_common())
            raise SolaError(
                f"unknown subset {name!r}; the annotations have {known or 'no videos'}: name the subsets with "
                "--train-subset and --test-subset, or assign them with `sola convert --split`"
            )
        return replace(self, videos=chosen)


def read_annotations(
    path: Path | str,
    label_key: str = CLASS_KEY,
    *,
    fps: float | None = None,
    video: str | None = None,
    split: Split | None = None,
) -> Annotations:
    """Read an annotation file, or a folder with one file per video, in any supported format.

    The format is detected from the file content.

    Args:
        path: the file or folder.
        label_key: field, column, tier or attribute that holds the class.
        fps: frames per second, for formats with times in frames and no frame rate.
        video: video id, for a single-video file that does not name its video; by default the file name without suffix.
        split: subsets of the videos, for formats without subsets; see `assign_subsets`.

    Raises:
        SolaError: if the file is missing, malformed, in an unknown format, or holds detections with scores.

    Examples:
        >>> import sola
        >>> annotations = sola.read_annotations("annotations.json")
        >>> len(annotations.videos), len(annotations.classes)
        (9, 2)
        >>> annotations.videos["training_0000"].segments.start.dtype
        dtype('float64')
    """
    path = Path(path)
    videos = read_videos(path, label_key, fps=fps, video=video)
    for name, record in videos.items():
        if not record.annotated:
            record.instances = []  # predictions that nobody has reviewed
        elif any(instance.score != 1.0 for instance in record.instances):
            raise SolaError(
                f"{path}: video {name!r}: has scores, so these are detections, not annotations; once they are "
                "corrected, remove the score column, or pass the file as PREDICTIONS to `sola evaluate`"
            )
    assign_subsets(videos, split, path)
    return assembled(videos, path, label_key)


def read_videos(
    path: Path, label_key: str = CLASS_KEY, *, fps: float | None = None, video: str | None = None
) -> Videos:
    """Read a file or folder like `read_annotations`, but do not assign subsets. Raises SolaError like it."""
    if not path.is_dir():
        return _read_file(path, label_key, fps, video)
    videos: Videos = {}
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise SolaError(f"{path}: empty folder; expected one annotation file per video")
    for file in files:
        found_videos = _read_file(file, label_key, fps, video)
        if duplicates := videos.keys() & found_videos.keys():
            raise SolaError(
                f"{file}: video {min(duplicates)!r} is also in another file of the folder; remove one of the files"
            )
        videos |= found_videos
    return videos


def _read_file(path: Path, label_key: str, fps: float | None, video: str | None) -> Videos:
    try:
        content = path.read_bytes()
        text = decoded(content)
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected annotations") from None
    except OSError as error:
        raise SolaError(f"{path}: cannot be read as annotations ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise known_binary(path, content) or SolaError(f"{path}: not text ({error}); save it as UTF-8") from None
    form = format_of(text)
    if form is None:
        raise known_layout(path) or SolaError(f"{path}: {EXPECTED}")
    return form.read(Source(path, text, label_key, fps, video))


def assembled(videos: Videos, path: Path | None = None, label_key: str = CLASS_KEY) -> Annotations:
    """Return the annotations for records with assigned subsets."""
    # use views of one array per field: ActivityNet's 19,228 videos would need 77,000 small arrays
    instances = [instance for record in videos.values() for instance in record.instances]
    classes = tuple(sorted({instance.label for instance in instances}))
    position = {label: index for index, label in enumerate(classes)}
    all_segments = Segments(
        np.array([instance.start for instance in instances], np.float64),
        np.array([instance.end for instance in instances], np.float64),
        np.array([position[instance.label] for instance in instances], np.int64),
        np.ones(len(instances)),
    )
    annotated = {}
    begin = 0
    for video, record in videos.items():
        end = begin + len(record.instances)
        segments = all_segments.take(slice(begin, end))
        assert record.subset is not None
        annotated[video] = VideoAnnotation(
            video, record.subset, record.duration, record.fps, segments, record.features_share
        )
        begin = end
    return Annotations(annotated, classes, path, label_key)
