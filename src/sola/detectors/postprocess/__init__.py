"""Postprocessing from candidates to detections: suppression, voting and class labels."""
