"""What every training shares: the loop, runs on disk, checkpoints, several processes."""
