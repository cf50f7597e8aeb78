"""The supplement's tables and figures as sweeps over runs that are kept, shared and never done twice.

Read `catalog` (what each experiment compares) → `workspace` (where its runs lie) → `work` (what one run does) →
`sweep` (which runs there are, several at once) → `measuring` (figures of a run, and under resampled videos) →
`outcome` (rows, comparisons, Markdown). `assumption` is section C, which trains no head.
"""
