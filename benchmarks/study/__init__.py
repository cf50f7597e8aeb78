"""Study of SoLa on any data sets: modules of both recipes compared with all controls.

`softening` trains the modules. Then `linear` (linear evaluation), `selection` (choice of videos to label), `rounds`
(rounds of labeling) and `detectors` (BMN, G-TAD, ActionFormer) evaluate them, and `tables` writes Markdown tables. All
of them resume after an interruption. OUT is a folder of data sets, each with features/ and annotations.json, as written
by `rendered.benchmark` or `sensors`; RUNS is the folder of the study. `results` runs the experiments shown in
docs/results.
"""
