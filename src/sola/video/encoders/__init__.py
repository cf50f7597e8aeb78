"""Snippet encoders, which compute features from frames."""
