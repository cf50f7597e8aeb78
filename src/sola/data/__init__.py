"""Data: annotations, features and detections on disk, and the data set that joins them."""
