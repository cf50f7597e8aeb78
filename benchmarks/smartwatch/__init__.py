"""A data set of smartwatch recordings, to evaluate recipes on accelerometers."""
