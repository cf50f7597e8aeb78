"""Recipes of G-TAD."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.gtad.config import GTADConfig

ANET = GTADConfig(candidates_only=True, epochs=10, learning_rate=4e-3, decay_every=5, suppression="gaussian", sigma=0.8)

RECIPES: Mapping[str, GTADConfig] = {
    # published (Xu et al., CVPR 2020; the authors' branch `anet`)
    "anet": ANET,
    # published: one class per proposal
    "hacs": replace(ANET, learning_rate=5e-4, batch_size=32, classes_per_proposal=1, class_score="share"),
    # the authors' windows (256 snippets, proposals up to 64) and network; other settings as for ActivityNet, at 4e-4
    "thumos": replace(
        ANET,
        candidates_only=False,
        length=256,
        window_size=256,
        window_stride=128,
        max_duration=64,
        bins=16,
        context_bins=16,
        kernel_size=3,
        batch_size=8,
        learning_rate=4e-4,
        max_detections=200,
    ),
    # not published: windows of BMN, and a learning rate for a small number of clips
    "gtea": replace(ANET, length=96, window_size=384, window_stride=192, max_duration=40, epochs=8, learning_rate=1e-3),
    # a small network on whole videos, trained briefly, for quick checks
    "quick": replace(
        ANET, length=40, bins=16, epochs=3, learning_rate=1e-3, decay_every=3, batch_size=8, classifier_epochs=20
    ),
}
