"""What SoLa is worth on the rendered benchmark: modules of both recipes, beside every control, judged in four ways.

`softening` trains the modules; then `linear` (linear evaluation), `boundaries` (a change-point detector that sees no
labels) and `heads` (BMN, G-TAD, ActionFormer) each measure, and `tables` writes what they found as Markdown. Each goes
on where it stopped. OUT is written by `rendered.renderer.benchmark` and `rendered.renderer.facts`; RUNS is our own.
"""
