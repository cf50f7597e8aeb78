"""Data: annotations, feature sets on disk, packing, windows, and the synthetic world."""
