"""The proposal map of BMN and G-TAD: cells, targets, loss, decoding and settings."""
