"""A trained detector: its network, the classifier that names its proposals, and the features it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sola.core.errors import SolaError
from sola.core.files import read_json, replacing
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest
from sola.detectors import detector_family
from sola.detectors.base import Detector, DetectorConfig
from sola.detectors.snippet_classifier import SnippetClassifier

WEIGHTS = "detector.safetensors"
CONFIG = "config.json"
FAULTS = (
    *(KeyError, TypeError, ValueError, OverflowError, RuntimeError, OSError),
    *(SafetensorError, SolaError, msgspec.ValidationError),
)
"""Errors of reading a config or weights that are not a run's."""
SAME_PERIOD = 0.1
"""Relative difference of the time between snippets up to which it is the same."""
CHAIN = ("encoder", "fps", "stride", "window", "offset", "dim")
"""Fields of the manifest that must agree between training and detection, where both are known."""


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A network with all that is needed to run it on more features of the same kind."""

    model: Detector
    config: DetectorConfig
    classes: tuple[str, ...]
    manifest: Manifest
    """Of the training features."""
    classifier: SnippetClassifier | None
    snippet_period: float | None = None
    """Seconds from one training snippet to the next; None if unknown or not constant."""
    trained_classes: tuple[str, ...] = ()
    """Classes that training instances have; empty in runs that do not say."""

    @classmethod
    def load(cls, run: Path) -> "TrainedDetector":
        """Load a finished run of `sola train-detector`; raises SolaError when the folder is no such run."""
        if not run.is_dir():
            raise SolaError(f"{run}: no such folder; expected a finished run of `sola train-detector`")
        if not (run / WEIGHTS).is_file():
            raise SolaError(
                f"{run}: holds no {WEIGHTS}; expected a finished run of `sola train-detector` "
                "(train the runs of earlier versions again)"
            )
        record = read_json(run / CONFIG, "a run's config")
        try:
            kind = detector_family(record["training"]["model"]).config
            config = msgspec.convert(vars(kind(**record["training"])), kind)  # all known by name, and of the right type
            classes = msgspec.convert(record["classes"], tuple[str, ...])
            channels = msgspec.convert(record["features"]["channels"], int)
            manifest = Manifest.of(record["features"]["manifest"])
            period = msgspec.convert(record["features"].get("snippet_period"), float | None)
            trained = msgspec.convert(record.get("trained_classes", []), tuple[str, ...])
            tensors = load_file(run / WEIGHTS)
            weights = {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")}
            with torch.device("meta"):  # allocates nothing before the weights are known to fit the config
                config.build(channels, len(classes)).load_state_dict(weights, assign=True)
            with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten
                model = config.build(channels, len(classes))
            model.load_state_dict(weights)
            classifier = None
            if "classifier/weight" in tensors:
                weight, bias = tensors["classifier/weight"].numpy(), tensors["classifier/bias"].numpy()
                if weight.shape != (channels, len(classes)) or bias.shape != (len(classes),):
                    raise ValueError(f"a classifier of shape {weight.shape}, not ({channels}, {len(classes)})")
                classifier = SnippetClassifier(weight, bias)
        except FAULTS as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{run}: not a run of `sola train-detector` ({reason}); train it again") from None
        return cls(model.eval(), config, classes, manifest, classifier, period, trained)

    def save_weights(self, run: Path) -> None:
        """Write the weights of network and classifier into a run's folder, atomically."""
        tensors = {f"model/{name}": value.cpu().contiguous() for name, value in self.model.state_dict().items()}
        if self.classifier is not None:
            for name, values in vars(self.classifier).items():
                tensors[f"classifier/{name}"] = torch.from_numpy(values.copy())
        with replacing(run / WEIGHTS) as aside:
            save_file(tensors, aside)

    def check_compatible(self, manifest: Manifest) -> None:
        """Raise SolaError unless features with this manifest were made as the training features were."""
        cure = "predict on features of the same encoder and settings"
        ours, theirs = (
            None if features.extraction is None else [features.extraction.get(key) for key in ("identity", "framing")]
            for features in (self.manifest, manifest)
        )
        extracted = None not in (ours, theirs)
        for key in CHAIN:
            before, now = getattr(self.manifest, key), getattr(manifest, key)
            compared = key != "encoder" or not extracted  # its folder may have moved; compared by digest below
            if compared and None not in (before, now) and before != now:
                raise SolaError(
                    f"the features have {key}={now}, the detector was trained on features with {key}={before}; {cure}"
                )
        if extracted and ours != theirs:
            raise SolaError(
                f"the features come from another {self.manifest.encoder} than the detector's, or from frames that are "
                f"cut otherwise; {cure}"
            )
        before, now = _modules(self.manifest.sola), _modules(manifest.sola)
        if before != now:
            raise SolaError(
                f"the features went through {now}, the detector was trained on features that went through {before}; "
                "bring them to the same state with `sola transform`, or name the other features"
            )

    def check_timing(self, data: Dataset) -> None:
        """Raise SolaError if the snippets are not as far apart in time as those of the training features."""
        before, now = self.snippet_period, data.snippet_period
        if before is not None and now is not None and abs(now / before - 1) > SAME_PERIOD:
            raise SolaError(
                f"the features have a snippet every {now:.4g} s, the detector was trained on features with one every "
                f"{before:.4g} s: fps or stride of one of them looks wrong by a factor of "
                f"{max(now / before, before / now):.3g}, or its features are padded; state the same timing for both, "
                "in features.json or by --fps and --stride"
            )


def _modules(sola: Mapping[str, Any] | None) -> str:
    """Describe the SoLa modules that features went through; other modules have another description."""
    if sola is None:
        return "no SoLa module"
    name = f"the SoLa module {str(sola.get('fingerprint'))[:12]}"
    before = sola.get("after")
    return f"{_modules(before)} and {name}" if isinstance(before, Mapping) else name
