"""Read and write annotations, features and detections, and join them in a data set."""
