"""Fuzzing: damaged inputs, and the readers that must refuse them in one line."""
