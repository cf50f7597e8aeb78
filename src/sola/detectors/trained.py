"""A trained detector: its network, its snippet classifier, and a description of its training features."""

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
"""Errors from reading a config or weights that do not belong to a run."""
SAME_PERIOD = 0.1
"""Relative difference up to which two snippet periods count as equal."""
CHAIN = ("encoder", "fps", "stride", "window", "offset", "dim")
"""Manifest fields that must agree between training and detection features if both are known."""


def same_period(before: float, now: float) -> bool:
    """Return True if two snippet periods (seconds) count as equal."""
    return abs(now / before - 1) <= SAME_PERIOD


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A trained network with everything needed to run it on more features of the same kind.

    Examples:
        >>> import sola
        >>> detector = sola.TrainedDetector.load("detector")
        >>> detector.config.model, detector.classes
        ('actionformer', ('action_0', 'action_1'))
        >>> detector.manifest.encoder  # of the training features
        'synthetic world'
    """

    model: Detector
    """The network, in evaluation mode if it was loaded."""
    config: DetectorConfig
    """Settings of the training run."""
    classes: tuple[str, ...]
    """Class names, in the order of the labels."""
    manifest: Manifest
    """Manifest of the training features."""
    classifier: SnippetClassifier | None
    """Classifier that assigns classes to proposals, or None if there is none."""
    snippet_period: float | None = None
    """Time between training snippets (seconds), or None if unknown or not constant."""
    trained_classes: tuple[str, ...] = ()
    """Classes with training instances; empty for runs that do not record them."""

    @classmethod
    def load(cls, run: Path | str) -> "TrainedDetector":
        """Load a finished run of `sola train-detector`.

        Args:
            run: folder of the run.

        Raises:
            SolaError: if the folder does not hold a finished run.
        """
        run = Path(run)
        if not run.is_dir():
            raise SolaError(f"{run}: no such folder; expected a finished run of `sola train-detector`")
        if not (run / WEIGHTS).is_file():
            raise SolaError(
                f"{run}: no {WEIGHTS}; expected a finished run of `sola train-detector` "
                "(runs of earlier versions must be trained again)"
            )
        record = read_json(run / CONFIG, "a run's config")
        try:
            kind = detector_family(record["training"]["model"]).config
            config = msgspec.convert(vars(kind(**record["training"])), kind)  # checks names and types
            classes = msgspec.convert(record["classes"], tuple[str, ...])
            channels = msgspec.convert(record["features"]["channels"], int)
            manifest = Manifest.of(record["features"]["manifest"])
            period = msgspec.convert(record["features"].get("snippet_period"), float | None)
            trained = msgspec.convert(record.get("trained_classes", []), tuple[str, ...])
            tensors = load_file(run / WEIGHTS)
            weights = {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")}
            with torch.device("meta"):  # do not allocate memory before the weights are known to match the config
                config.build(channels, len(classes)).load_state_dict(weights, assign=True)
            with torch.random.fork_rng(devices=[]):  # keeps the random state of the caller
                model = config.build(channels, len(classes))
            model.load_state_dict(weights)
            classifier = None
            if "classifier/weight" in tensors:
                weight, bias = tensors["classifier/weight"].numpy(), tensors["classifier/bias"].numpy()
                if weight.shape != (channels, len(classes)) or bias.shape != (len(classes),):
                    raise ValueError(f"classifier weights {weight.shape}, expected ({channels}, {len(classes)})")
                classifier = SnippetClassifier(weight, bias)
        except FAULTS as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{run}: not a run of `sola train-detector` ({reason}); train it again") from None
        return cls(model.eval(), config, classes, manifest, classifier, period, trained)

    def save_weights(self, run: Path) -> None:
        """Write the weights of the network and the classifier to the folder of a run, atomically."""
        tensors = {f"model/{name}": value.cpu().contiguous() for name, value in self.model.state_dict().items()}
        if self.classifier is not None:
            for name, values in vars(self.classifier).items():
                tensors[f"classifier/{name}"] = torch.from_numpy(values.copy())
        with replacing(run / WEIGHTS) as aside:
            save_file(tensors, aside)

    def check_compatible(self, manifest: Manifest) -> None:
        """Raise SolaError if features with this manifest were not made in the same way as the training features."""
        cure = "use features from the same encoder and settings"
        expected, actual = (
            None if features.extraction is None else [features.extraction.get(key) for key in ("identity", "framing")]
            for features in (self.manifest, manifest)
        )
        extracted = None not in (expected, actual)
        for key in CHAIN:
            before, now = getattr(self.manifest, key), getattr(manifest, key)
            compared = key != "encoder" or not extracted  # its folder may have moved, so its hash is compared below
            if compared and None not in (before, now) and before != now:
                raise SolaError(
                    f"the features have {key}={now}, the detector was trained on features with {key}={before}; {cure}"
                )
        if extracted and expected != actual:
            raise SolaError(
                f"the features and the training features come from different versions of {self.manifest.encoder}, or "
                f"from differently prepared frames; {cure}"
            )
        before, now = _modules(self.manifest.sola), _modules(manifest.sola)
        if before != now:
            raise SolaError(
                f"the features went through {now}, the detector was trained on features that went through {before}; "
                "use the features that the detector was trained on, or make them with `sola transform`"
            )

    def check_timing(self, data: Dataset) -> None:
        """Raise SolaError if the time between snippets differs from that of the training features."""
        before, now = self.snippet_period, data.snippet_period
        if before is not None and now is not None and not same_period(before, now):
            raise SolaError(
                f"the features have a snippet every {now:.4g} s, the detector was trained on features with one every "
                f"{before:.4g} s: fps or stride of one of them looks wrong by a factor of "
                f"{max(now / before, before / now):.3g}, or its features are padded; state the same timing for both, "
                "in features.json or by --fps and --stride"
            )


def _modules(sola: Mapping[str, Any] | None) -> str:
    """Return a unique description of the SoLa modules that features went through."""
    if sola is None:
        return "no SoLa module"
    name = f"the SoLa module {str(sola.get('fingerprint'))[:12]}"
    before = sola.get("after")
    return f"{_modules(before)} and {name}" if isinstance(before, Mapping) else name
