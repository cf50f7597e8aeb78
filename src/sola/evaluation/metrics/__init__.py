"""Detection and proposal metrics: vectorized pure functions over `SegmentTable`.

Read `protocol` (thresholds, counted instances), `overlaps` (pairs and rankings), `average_precision`,
`average_recall` and `top_recall`, then `diagnosis` (error types).
"""
