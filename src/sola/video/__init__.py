"""Snippet features of video files. Needs the extra `video`.

`decoding` reads frames with their time stamps, `framing` resizes them, `sampling` resamples them at a constant rate,
`snippets` groups them into windows, an encoder computes features, and `extraction` does all of it for one file.
"""
