"""Evaluation of features, detections and proposals: metrics, linear evaluation, controls and statistics."""
