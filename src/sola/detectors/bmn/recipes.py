"""Named settings of BMN, published and ours."""

from collections.abc import Mapping

from sola.detectors.bmn.config import BMNConfig

RECIPES: Mapping[str, BMNConfig] = {
    # as published (Lin et al., ICCV 2019; the authors' program): 100 units per video
    "anet": BMNConfig(),
    # nothing is published: ActivityNet's settings, whose videos are as long
    "hacs": BMNConfig(),
    # G-TAD's windows (256 snippets, proposals up to 64); the rest is ActivityNet's
    "thumos": BMNConfig(length=256, window_size=256, window_stride=128, max_duration=64, max_detections=200),
    # ours, for 15 snippets per second: windows of 25.6 s in units of four snippets (0.27 s); proposals last up to
    # 10.7 s, as 97 % of the actions do; eight epochs take a minute or two on two cores
    "gtea": BMNConfig(length=96, window_size=384, window_stride=192, max_duration=40, epochs=8, decay_every=5),
    # whole videos, small and hardly trained: to see that it runs
    "quick": BMNConfig(length=40, epochs=3, decay_every=3, batch_size=8, classifier_epochs=20),
}
