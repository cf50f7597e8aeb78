"""Shared building blocks: errors, checks, atomic files, devices, progress and log."""
