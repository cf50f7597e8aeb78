"""The rendered benchmark: renderer, and study on its data sets."""
