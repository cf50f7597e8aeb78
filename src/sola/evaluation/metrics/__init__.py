"""Detection and proposal metrics: pure functions over `SegmentTable`, without a loop over predictions.

Read `protocol` (thresholds, which instances count), `overlaps` (pairs and rankings), `average_precision`,
`average_recall` and `top_recall`, then `diagnosis` (kinds of errors).
"""
