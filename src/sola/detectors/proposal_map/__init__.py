"""The proposal map that BMN and G-TAD share: cells, targets, loss, decoding, settings."""
