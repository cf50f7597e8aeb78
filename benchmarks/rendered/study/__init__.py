"""The study of SoLa on the rendered benchmark: modules of both recipes beside every control, evaluated in four ways.

`softening` trains the modules; then `linear` (linear evaluation), `boundaries` (a change-point detector that sees no
labels) and `detectors` (BMN, G-TAD, ActionFormer) measure, and `tables` writes Markdown tables. Each resumes where it
stopped. OUT is written by `rendered.renderer.benchmark` and `rendered.renderer.facts`, RUNS by the study.
"""
