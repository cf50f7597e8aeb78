"""The SoLa module: its network, label-free training, and the transform of features."""
