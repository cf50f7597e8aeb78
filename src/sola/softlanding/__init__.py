"""The SoLa module: the network, its training without labels, and the transform that applies it."""
