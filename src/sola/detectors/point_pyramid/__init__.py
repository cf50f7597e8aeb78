"""Backbone, points, targets, loss, decoding and settings shared by detectors on a pyramid of points."""
