"""Data sets of worn sensors, to evaluate recipes on something other than video."""
