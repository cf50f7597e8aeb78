"""`Video`: one video of a `Dataset`, with its segments and snippet times."""

from dataclasses import dataclass

from sola.core.errors import SolaError
from sola.data.annotations import VideoAnnotation
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid, resolve_grid


@dataclass(frozen=True, eq=False)
class Video:
    """One video of a `Dataset`.

    Examples:
        >>> import sola
        >>> video = sola.Dataset.open("features", "annotations.json").videos[0]
        >>> video.id, video.subset, len(video.segments) > 0
        ('training_0000', 'training', True)
        >>> video.grid.seconds(0.0) < video.grid.seconds(video.length - 1) < video.duration
        True
    """

    id: str
    """Video id in the annotations, or in the features if there are no annotations."""
    feature_id: str
    """Video id in the features."""
    length: int
    """Number of snippets."""
    segments: Segments
    """Annotated segments (seconds), empty without annotations."""
    duration: float | None
    """Video duration (seconds), or None if unknown."""
    subset: str | None
    """Subset name, or None without annotations."""
    timing: SnippetGrid | None
    """Snippet times, or None if unknown."""

    @property
    def grid(self) -> SnippetGrid:
        """Snippet times. Raises SolaError if they are unknown."""
        if self.timing is None:
            raise SolaError(
                f"video {self.id!r}: snippet times are unknown; expected fps in features.json or as --fps "
                "(and --stride, --window, --offset), or fps or duration in the annotations"
            )
        return self.timing


def timed_video(feature_id: str, length: int, manifest: Manifest, record: VideoAnnotation | None) -> Video:
    """Return a video with timing from the manifest, or else from the annotation."""
    timing = resolve_grid(
        length,
        **manifest.timing(),
        annotation_fps=None if record is None else record.fps,
        duration=None if record is None else record.features_duration,
    )
    if record is None:
        return Video(feature_id, feature_id, length, Segments.empty(), None, None, timing)
    return Video(record.video, feature_id, length, record.segments, record.duration, record.subset, timing)
