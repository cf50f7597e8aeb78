"""The supplement's tables and figure, as sweeps over runs that are shared and resumed; and the demo.

Read `catalog` (what each experiment compares) → `workspace` (where its runs lie) → `runs` (one run) → `sweep` (all runs
of an experiment, several at once) → `measuring` (metrics, summaries and comparisons). `assumption` is section C, which
trains no detector.
"""
