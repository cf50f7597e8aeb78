"""Error for bad videos."""

from sola.core.errors import SolaError


class BadVideo(SolaError):  # noqa: N818
    """Raised for a file that is damaged or not a video, which --skip-bad skips."""
