"""Untrained modules with the configuration of trained modules: controls that show the effect of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.softlanding.kinds import Form
from sola.softlanding.moments import Moments
from sola.softlanding.multiscale import MultiScaleSoLa
from sola.softlanding.network import SoLa
from sola.softlanding.transform import Transform, transform_array

SHAPE = ("channels", "hidden", "kernel_size", "conditioning", "smoothing")
"""Settings that an untrained module copies from a trained module."""


@dataclass(frozen=True)
class UntrainedModule:
    """A module with random weights and the shape, conditioning, gate and scale of a trained module.

    The defaults are the module of the supplement (Table 4a) without conditioning and with a gate of 0.1.
    """

    channels: int
    hidden: int = 1024
    kernel_size: int = 5
    conditioning: str = "none"
    smoothing: int = 1
    gate: float = 0.1
    scale: float = 1.0

    def transform(
        self,
        seed: int,
        form: Form,
        moments: Moments | None = None,
        sample: Sequence[Float[np.ndarray, "_ channels"]] = (),
    ) -> Transform:
        """Return the transform of the module with this seed: f(x), or x + gate·f(x) for the form "adapter"."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = SoLa(
                self.channels,
                hidden=self.hidden,
                kernel_size=self.kernel_size,
                form=form,
                gate="linear",
                conditioning=self.conditioning,  # type: ignore[arg-type]  # from a manifest: SoLa checks it
                smoothing=self.smoothing,
            ).eval()
        module.scale.fill_(self.scale)
        _open_gate(module, self.gate)
        return partial(transform_array, module)


@dataclass(frozen=True)
class UntrainedMultiScale:
    """A multi-scale module with random weights and the mean gate of the trained modules."""

    config: Mapping[str, Any]
    gate: float

    def transform(
        self, seed: int, form: Form, moments: Moments, sample: Sequence[Float[np.ndarray, "_ channels"]]
    ) -> Transform:
        """Return the transform with this seed. Its modules are f(x), or x + gate·f(x) for the form "adapter".

        The conditioning is computed from `moments`, the means and weights of the parts from `sample`. There is no
        mapping to fewer channels.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = MultiScaleSoLa(**{**self.config, "mapped": None}, form=form).eval()
        network.fit_input(moments)
        for module in network.trained:
            _open_gate(module, float(np.arctanh(min(self.gate, 0.999))))
        network.fit_parts(torch.from_numpy(video.astype(np.float32))[None] for video in sample)
        return partial(transform_array, network)


Untrained = UntrainedModule | UntrainedMultiScale


def untrained_like(entry: Mapping[str, Any]) -> Untrained:
    """Read the `sola` entry of a manifest written by `sola transform`. Raises SolaError if it is incomplete."""
    try:
        config, gate, scale = entry["config"], float(entry["gate"]), float(entry["scale"])
        if "steps" in config:
            return UntrainedMultiScale(dict(config), gate)
        return UntrainedModule(**{name: config[name] for name in SHAPE}, gate=gate, scale=scale)
    except (KeyError, TypeError, ValueError) as error:
        raise SolaError(f'invalid "sola" entry in a manifest ({error!r}); transform the features again') from None


def _open_gate(module: SoLa, gate: float) -> None:
    if module.alpha is not None:
        module.alpha.data.fill_(gate)
