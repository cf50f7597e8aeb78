"""Per-video jobs (extract, transform, detect), run by threads or on a Ray cluster."""
