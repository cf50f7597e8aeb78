"""Shared training code: the training loop, run folders, checkpoints and distributed training."""
