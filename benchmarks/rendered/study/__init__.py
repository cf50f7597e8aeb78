"""Study of SoLa on the rendered benchmark: modules of both recipes compared with all controls.

`softening` trains the modules. Then `linear` (linear evaluation), `selection` (choice of videos to label) and
`detectors` (BMN, G-TAD, ActionFormer) evaluate them, and `tables` writes Markdown tables. All of them resume after an
interruption. OUT is written by `rendered.renderer.benchmark` and `rendered.renderer.facts`, RUNS by the study.
"""
