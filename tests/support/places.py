"""Paths of the repository used by tests."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
DATASET_PAGES = DOCS / "datasets"
SUPPORT = Path(__file__).parent
QUADRANTS = SUPPORT / "quadrants.py"
"""File with a user-defined encoder."""
