"""What is wrong with a video, as against with anything else."""

from sola.core.errors import SolaError


class BadVideo(SolaError):  # noqa: N818 (it is what is skipped)
    """A file that is no video, or a damaged one: what --skip-bad leaves out."""
