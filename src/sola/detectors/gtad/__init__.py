"""G-TAD: Sub-Graph Localization for Temporal Action Detection (Xu et al., CVPR 2020)."""
