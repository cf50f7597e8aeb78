"""Training parity: detectors trained by the authors' programs and by ours, on the same features, several seeds each."""
