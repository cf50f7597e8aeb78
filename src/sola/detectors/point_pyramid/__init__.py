"""The pyramid of points that ActionFormer and TriDet share: backbone, points, targets, loss, decoding, settings."""
