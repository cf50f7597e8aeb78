"""Video files in, snippet features out: decoding → framing → snippets → encoder → extraction. Needs the extra `video`.

`decoding` reads frames by their time stamps, `framing` brings them to the size that an encoder takes, `sampling` shows
them at a steady rate, `snippets` cuts windows of them, an `encoder` makes features of these, and `extraction` does it
all for many files.
"""
