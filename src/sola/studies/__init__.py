"""Experiments of the paper's supplement, as sweeps over shared, resumable runs; and the demo.

Read `catalog` (definitions of the experiments) → `workspace` (folders of runs) → `runs` (one run) → `sweep` (all runs
of an experiment, in parallel) → `measuring` (metrics, summaries and comparisons). `assumption` is section C, which
trains no detector.
"""
