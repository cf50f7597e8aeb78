"""Bulk work over many machines: folders here or in an object store, and Ray Data to go over their videos."""
