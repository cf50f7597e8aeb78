"""Training parity: detectors trained by the authors' programs and by sola on the same features, with several seeds."""
