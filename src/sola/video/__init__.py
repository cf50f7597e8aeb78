"""Extract snippet features from video files. Requires the `video` extra.

`decoding` reads frames with timestamps, `framing` resizes them, `sampling` resamples them at a constant rate,
`snippets` groups them into windows, an encoder computes features, and `extraction` runs all steps for one file.
"""
