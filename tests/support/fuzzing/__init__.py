"""Fuzzing: corrupted inputs, and the readers that must reject them with a one-line error."""
