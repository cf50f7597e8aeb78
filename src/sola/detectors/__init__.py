"""Temporal action detectors: one folder each, and what they share."""
