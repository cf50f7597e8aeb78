"""Named settings of BMN: which are published, and which are ours."""

from collections.abc import Callable, Mapping

from sola.detectors.bmn.config import BMNConfig


def anet() -> BMNConfig:
    """BMN on ActivityNet-1.3, as published (Lin et al., ICCV 2019; the authors' program): 100 units per video."""
    return BMNConfig()


def hacs() -> BMNConfig:
    """BMN on HACS. Nothing is published: ActivityNet's settings, whose videos are as long."""
    return anet()


def thumos() -> BMNConfig:
    """BMN on THUMOS14. The windows are G-TAD's (256 snippets, proposals up to 64); the rest is ActivityNet's."""
    return BMNConfig(length=256, window_size=256, window_stride=128, max_duration=64, max_detections=200)


def gtea() -> BMNConfig:
    """BMN on GTEA, 15 snippets per second. Nothing is published: ours.

    A window is 25.6 s, a unit four snippets (0.27 s); proposals last up to 10.7 s, as 97 % of the actions do. Eight
    epochs, the last three at a tenth of the rate, so that a training takes a minute or two on two cores.
    """
    return BMNConfig(length=96, window_size=384, window_stride=192, max_duration=40, epochs=8, decay_every=5)


def quick() -> BMNConfig:
    """BMN on whole videos, small and hardly trained: to see that it runs."""
    return BMNConfig(length=40, epochs=3, decay_every=3, batch_size=8, classifier_epochs=20)


RECIPES: Mapping[str, Callable[[], BMNConfig]] = {
    "anet": anet,
    "hacs": hacs,
    "thumos": thumos,
    "gtea": gtea,
    "quick": quick,
}
