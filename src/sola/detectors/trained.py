"""A trained detector: its head, the classifier that names what it finds, and the features that it stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from jaxtyping import Float
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sola.core.errors import SolaError
from sola.core.files import read_json, replacing
from sola.data.manifest import Manifest
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.bmn.network import BMN
from sola.detectors.config import DetectorConfig
from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.snippet_classifier import SnippetClassifier

WEIGHTS = "detector.safetensors"
CONFIG = "config.json"
FAULTS = (
    *(KeyError, TypeError, ValueError, OverflowError, RuntimeError, OSError),
    *(SafetensorError, SolaError, msgspec.ValidationError),
)
"""What a config or weights that are not of a run may raise."""
CHAIN = ("encoder", "fps", "stride", "window", "offset", "dim")
"""What of a manifest the features of a detector have to agree in, where both say it."""


CONFIGS: Mapping[str, type[ProposalMapConfig] | type[ActionFormerConfig]] = {
    "bmn": ProposalMapConfig,
    "gtad": ProposalMapConfig,
    "actionformer": ActionFormerConfig,
}
"""The config of each head."""


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A head with everything that it takes to run it on more features of the same kind."""

    head: ActionFormer | BMN | GTAD
    config: DetectorConfig
    classes: tuple[str, ...]
    manifest: Manifest
    """Of the features that it was trained on."""
    classifier: SnippetClassifier | None

    @classmethod
    def load(cls, run: Path) -> "TrainedDetector":
        """Load what `sola train-detector` left in a run's folder.

        Raises SolaError when it is no finished run of it.
        """
        if not run.is_dir():
            raise SolaError(f"{run}: no such folder; expected a finished run of `sola train-detector`")
        if not (run / WEIGHTS).is_file():
            raise SolaError(f"{run}: holds no {WEIGHTS}; expected a finished run of `sola train-detector`")
        record = read_json(run / CONFIG, "a run's config")
        try:
            kind = CONFIGS[record["training"]["head"]]
            config = msgspec.convert(vars(kind(**record["training"])), kind)  # all known by name, and of the right type
            classes = msgspec.convert(record["classes"], tuple[str, ...])
            channels = msgspec.convert(record["features"]["channels"], int)
            manifest = Manifest.of(record["features"]["manifest"])
            tensors = load_file(run / WEIGHTS)
            weights = {n.removeprefix("head/"): t for n, t in tensors.items() if n.startswith("head/")}
            with torch.device("meta"):  # no memory is taken for what a config says before the weights are seen to fit
                config.build(channels, len(classes)).load_state_dict(weights, assign=True)
            with torch.random.fork_rng(devices=[]):  # the weights drawn here are thrown away
                head = config.build(channels, len(classes))
            head.load_state_dict(weights)
            classifier = None
            if "classifier/weight" in tensors:
                weight, bias = tensors["classifier/weight"].numpy(), tensors["classifier/bias"].numpy()
                if weight.shape != (channels, len(classes)) or bias.shape != (len(classes),):
                    raise ValueError(f"a classifier of shape {weight.shape}, not ({channels}, {len(classes)})")
                classifier = SnippetClassifier(weight, bias)
        except FAULTS as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{run}: not a run of `sola train-detector` ({reason}); train it again") from None
        return cls(head.eval(), config, classes, manifest, classifier)

    def save_weights(self, run: Path) -> None:
        """Write the weights of head and classifier into a run's folder, whole or not at all."""
        tensors = {f"head/{name}": value.cpu().contiguous() for name, value in self.head.state_dict().items()}
        if self.classifier is not None:
            tensors["classifier/weight"] = contiguous(self.classifier.weight)
            tensors["classifier/bias"] = contiguous(self.classifier.bias)
        with replacing(run / WEIGHTS) as aside:
            save_file(tensors, aside)

    def must_stand_on(self, manifest: Manifest) -> None:
        """Raise SolaError, naming the difference, when features with this manifest went through another chain."""
        ours, theirs = made(self.manifest), made(manifest)
        extracted = None not in (ours, theirs)
        for key in CHAIN:
            if key == "encoder" and extracted:  # digests tell: a folder may have moved
                continue
            before, now = getattr(self.manifest, key), getattr(manifest, key)
            if None not in (before, now) and before != now:
                raise SolaError(
                    f"the features have {key}={now}, the detector was trained on features with {key}={before}; "
                    "predict on features of the same encoder and settings"
                )
        if extracted and ours != theirs:
            raise SolaError(
                f"the features come from another {self.manifest.encoder} than the detector's, or from frames that are "
                "cut otherwise; predict on features of the same encoder and settings"
            )
        before, now = told(self.manifest.sola), told(manifest.sola)
        if before != now:
            raise SolaError(
                f"the features went through {now}, the detector was trained on features that went through {before}; "
                "bring them to the same state with `sola transform`, or name the other features"
            )


def made(manifest: Manifest) -> tuple[Any, Any] | None:
    """What of an extraction from video makes features what they are, besides what every manifest says."""
    if manifest.extraction is None:
        return None
    return manifest.extraction.get("identity"), manifest.extraction.get("framing")


def told(sola: Mapping[str, Any] | None) -> str:
    """The modules that features went through, in words that differ when they do."""
    if sola is None:
        return "no SoLa module"
    name = f"the SoLa module {str(sola.get('fingerprint'))[:12]}"
    before = sola.get("after")
    return f"{told(before)} and {name}" if isinstance(before, Mapping) else name


def contiguous(values: Float[ndarray, "*shape"]) -> torch.Tensor:
    """A tensor of its own."""
    return torch.from_numpy(values.copy())
