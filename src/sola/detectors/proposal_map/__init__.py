"""The map of proposals that BMN and G-TAD share: cells, targets, loss, decoding, training."""
