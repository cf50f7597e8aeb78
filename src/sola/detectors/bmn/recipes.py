"""Recipes of BMN."""

from collections.abc import Mapping

from sola.detectors.bmn.config import BMNConfig

RECIPES: Mapping[str, BMNConfig] = {
    # published (Lin et al., ICCV 2019, and the authors' code): 100 units per video
    "anet": BMNConfig(),
    # not published; settings for ActivityNet, whose videos have similar lengths
    "hacs": BMNConfig(),
    # windows of G-TAD (256 snippets, proposals up to 64); other settings as for ActivityNet
    "thumos": BMNConfig(length=256, window_size=256, window_stride=128, max_duration=64, max_detections=200),
    # not published; for 15 snippets per second: windows of 25.6 s, units of four snippets (0.27 s), proposals up to
    # 10.7 s, which covers 97% of the actions; eight epochs take one to two minutes on two CPU cores
    "gtea": BMNConfig(length=96, window_size=384, window_stride=192, max_duration=40, epochs=8, decay_every=5),
    # a small network on whole videos, trained briefly, for quick checks
    "quick": BMNConfig(length=40, epochs=3, decay_every=3, batch_size=8, classifier_epochs=20),
}
