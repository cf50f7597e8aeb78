"""Where the repository keeps what tests read."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
SUPPORT = Path(__file__).parent
QUADRANTS = SUPPORT / "quadrants.py"
"""An encoder of a user's own."""
