"""When the snippets of a video are, from all that is known of it."""

from sola.data.annotations import VideoAnnotation
from sola.data.manifest import Manifest
from sola.grid import SnippetGrid, resolve_grid


def snippet_grid(video: str, length: int, manifest: Manifest, annotation: VideoAnnotation | None) -> SnippetGrid:
    """The grid of a video of `length` snippets: what the manifest says, else what its annotation does.

    Raises SolaError naming the video when neither says enough.
    """
    return resolve_grid(
        video,
        length,
        fps=manifest.fps,
        stride=manifest.stride,
        window=manifest.window,
        offset=manifest.offset,
        annotation_fps=annotation.fps if annotation else None,
        duration=annotation.features_duration if annotation else None,
    )
