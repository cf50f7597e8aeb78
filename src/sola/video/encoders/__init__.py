"""Snippet encoders: frames in, features out."""
