"""Jobs that process videos one by one (extract, transform, detect), in threads or on a Ray cluster."""
