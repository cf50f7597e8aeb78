"""What detectors on a pyramid of points share: backbone, points, targets, loss, decoding, settings."""
