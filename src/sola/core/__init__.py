"""Shared building blocks: errors, whole-or-absent files, devices."""
