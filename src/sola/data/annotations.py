"""Annotations of videos: which instances of which classes they have, and the subset of each."""

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
"""Names of the same subset in files of different data sets."""


@dataclass(frozen=True)
class VideoAnnotation:
    """One annotated video."""

    video: str
    subset: str
    duration: float | None
    """Seconds; None if unknown (THUMOS14)."""
    fps: float | None
    """Frames per second; None if unknown."""
    segments: Segments
    features_share: float = 1.0
    """Share of the duration that features cover: feature_frame/duration_frame in files of BMN and G-TAD."""

    @property
    def features_duration(self) -> float | None:
        """Seconds that features cover; None if unknown."""
        return None if self.duration is None else self.duration * self.features_share


@dataclass(frozen=True)
class Annotations:
    """Annotated videos by id, and the class names that their labels index."""

    videos: Mapping[str, VideoAnnotation]
    classes: tuple[str, ...]
    source: Path | None = None
    """The file; None where they were not read from one."""
    label_key: str = "label"
    """The file's field that holds the class."""

    def subset(self, name: str) -> "Annotations":
        """Return the videos of one subset, with the classes of all.

        Upper and lower case are the same, and so are the usual short forms ("train", "val", "test") where the name
        itself does not occur. Raises SolaError if it does not exist.
        """
        wanted = name.casefold()
        for same in ({wanted}, next((names for names in SAME_SUBSET if wanted in names), set())):
            chosen = {video: record for video, record in self.videos.items() if record.subset.casefold() in same}
            if chosen:
                break
        else:
            counts = Counter(record.subset for record in self.videos.values())
            known = ", ".join(f"{subset!r} ({count} videos)" for subset, count in counts.most_common())
            raise SolaError(
                f"unknown subset {name!r}; the annotations have {known or 'no video at all'}: name the subsets by "
                "--train-subset and --test-subset, or assign them by `sola convert --split`"
            )
        return replace(self, videos=chosen)


def read_annotations(
    path: Path,
    label_key: str = CLASS_KEY,
    *,
    fps: float | None = None,
    video: str | None = None,
    split: Split | None = None,
) -> Annotations:
    """Read a file of annotations, or a folder with a file for each video, in any format of `FORMATS`.

    The format is recognized by its content.

    Args:
        path: the file or folder.
        label_key: the field, column, tier or attribute that holds the class.
        fps: frames per second, for formats that count frames and do not say how many there are a second.
        video: id of the video, for a file of a single video that names none; otherwise its name is that of the file.
        split: subsets of the videos, for formats that have none; see `assign_subsets`.

    Raises SolaError naming the file, the place and the value at fault, or what else a file is.
    """
    videos = read_videos(path, label_key, fps=fps, video=video)
    for name, record in videos.items():
        if not record.annotated:
            record.instances = []  # what another program found, and nobody has looked at
        elif any(one.score != 1.0 for one in record.instances):
            raise SolaError(
                f"{path}: video {name!r}: has scores, so these are detections, not annotations; once corrected, remove "
                "the column of scores, or pass them as PREDICTIONS to `sola evaluate`"
            )
    assign_subsets(videos, split, path)
    return assembled(videos, path, label_key)


def read_videos(
    path: Path, label_key: str = CLASS_KEY, *, fps: float | None = None, video: str | None = None
) -> Videos:
    """Read what `read_annotations` does, before subsets are assigned; raises SolaError likewise."""
    if not path.is_dir():
        return _read_file(path, label_key, fps, video)
    videos: Videos = {}
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise SolaError(f"{path}: is an empty folder; expected a file of annotations for each video")
    for file in files:
        found = _read_file(file, label_key, fps, video)
        if twice := videos.keys() & found.keys():
            raise SolaError(f"{file}: video {min(twice)!r} is in another file of the folder, too; remove one of them")
        videos |= found
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
        raise known_binary(path, content) or SolaError(f"{path}: is not text ({error}); save it as UTF-8") from None
    found = format_of(text)
    if found is None:
        raise known_layout(path) or SolaError(f"{path}: {EXPECTED}")
    return found.read(Source(path, text, label_key, fps, video))


def assembled(videos: Videos, path: Path | None = None, label_key: str = CLASS_KEY) -> Annotations:
    """Return annotations of these records, whose subsets are assigned."""
    # views of one array for all videos: ActivityNet's 19,228 videos would need 77,000 small arrays
    instances = [one for record in videos.values() for one in record.instances]
    classes = tuple(sorted({one.label for one in instances}))
    position = {label: index for index, label in enumerate(classes)}
    everything = Segments(
        np.array([one.start for one in instances], np.float64),
        np.array([one.end for one in instances], np.float64),
        np.array([position[one.label] for one in instances], np.int64),
        np.ones(len(instances)),
    )
    annotated = {}
    begin = 0
    for video, record in videos.items():
        end = begin + len(record.instances)
        segments = everything.take(slice(begin, end))
        assert record.subset is not None
        annotated[video] = VideoAnnotation(
            video, record.subset, record.duration, record.fps, segments, record.features_share
        )
        begin = end
    return Annotations(annotated, classes, path, label_key)
