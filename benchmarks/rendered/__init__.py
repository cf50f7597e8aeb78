"""The rendered benchmark: its renderer, and the study on its sets."""
