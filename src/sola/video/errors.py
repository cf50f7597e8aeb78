"""The error of bad videos."""

from sola.core.errors import SolaError


class BadVideo(SolaError):  # noqa: N818 (names what is skipped)
    """A file that is damaged or not a video, which --skip-bad skips."""
