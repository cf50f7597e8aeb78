"""Heads: temporal action localisers that take snippet features, raw or transformed, and never know which."""
