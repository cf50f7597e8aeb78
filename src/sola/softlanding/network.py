"""The SoLa module: a light convolutional pass beside the frozen features (supplement, sections A.2 and D)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least, odd, one_of
from sola.core.errors import SolaError
from sola.core.files import read_json, replacing, write_json
from sola.softlanding.kinds import Conditioning, Form, Gate

WEIGHTS = "module.safetensors"
CONFIG = "config.json"


class SoLa(nn.Module):
    """Feature sequence in, feature sequence of the same shape out: `smooth(x + gate(α)·f(x))`, x the conditioned input.

    f is Conv1d(C→H, k) · ReLU · Conv1d(H→H, 1) · ReLU · Conv1d(H→C, 1), stride 1, so the length is kept. As an
    *adapter* α starts at 0: untrained, the module is exactly its conditioned input. *Direct* is f(x) alone (Table 1).
    The supplement scales f by α ("linear"); the default is tanh(α), which is bounded.

    Args:
        channels: C, the width of the features.
        hidden: H (Table 4a).
        kernel_size: k of the first convolution, odd; the other two have 1.
        form: "adapter" or "direct".
        gate: "tanh" or "linear".
        conditioning: what is done to a whole video before f: "center" removes its mean over time, "scale" divides
            by one number for the whole data set (the buffer `scale`, set in training), or both.
        smoothing: snippets of the moving average after the module, odd; 1 is none. At the ends it averages what
            there is.

    Raises:
        SolaError: for a value out of range.
    """

    scale: Tensor
    origin: Mapping[str, Any]
    """How the module came about, where that is known: what a manifest tells of it beside its config."""

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 1024,
        kernel_size: int = 5,
        form: Form = "adapter",
        gate: Gate = "tanh",
        conditioning: Conditioning = "none",
        smoothing: int = 1,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, hidden=hidden)
        odd(kernel_size=kernel_size, smoothing=smoothing)
        one_of(Form, form=form)
        one_of(Gate, gate=gate)
        one_of(Conditioning, conditioning=conditioning)
        self.origin = {}
        self.channels, self.hidden, self.kernel_size = channels, hidden, kernel_size
        self.form, self.gate, self.conditioning, self.smoothing = form, gate, conditioning, smoothing
        self.conv1 = nn.Conv1d(channels, hidden, kernel_size, padding=kernel_size // 2)
        self.conv2 = nn.Conv1d(hidden, hidden, 1)
        self.conv3 = nn.Conv1d(hidden, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(())) if form == "adapter" else None
        self.register_buffer("scale", torch.ones(()))

    @property
    def reach(self) -> int:
        """Snippets that f sees on either side of the one it answers for."""
        return self.kernel_size // 2

    @property
    def centers(self) -> bool:
        """Whether each video's mean is removed before the module."""
        return self.conditioning.startswith("center")

    def gate_value(self) -> float:
        """What f is multiplied with: tanh(α) or α; 1 for the direct form, which has no gate."""
        return 1.0 if self.alpha is None else float(self._gate(self.alpha.detach()))

    def forward(self, features: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Transform whole videos of equal length."""
        return self.smooth(self.adapt(self.condition(features, features.mean(dim=1, keepdim=True))))

    def condition(
        self, features: Float[Tensor, "*batch channels"], mean: Float[Tensor, "*#batch channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """Remove the video's mean and the data set's scale, as far as `conditioning` says."""
        if self.centers:
            features = features - mean
        if self.conditioning.endswith("scale"):
            features = features / self.scale
        return features

    def adapt(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """x + gate(α)·f(x) at every snippet of conditioned features; beyond the ends f sees zeros."""
        hidden = self.conv1(x.transpose(1, 2)).relu()
        hidden = self.conv2(hidden).relu()
        return self._combine(x, self.conv3(hidden).transpose(1, 2))

    def adapt_at(self, neighborhood: Float[Tensor, "*batch reach channels"]) -> Float[Tensor, "*batch channels"]:
        """What `adapt` gives at the middle of each neighborhood of `kernel_size` conditioned snippets.

        Only the first convolution looks sideways, so three linear layers on the neighborhoods equal the dense
        convolutions at those snippets, at a fraction of the work when few snippets are asked for.
        """
        # [H, C, k] → [H, k·C]: the order in which a neighborhood [k, C] lies in memory
        weight = self.conv1.weight.transpose(1, 2).flatten(1)
        hidden = F.linear(neighborhood.flatten(-2), weight, self.conv1.bias).relu()
        hidden = F.linear(hidden, self.conv2.weight[:, :, 0], self.conv2.bias).relu()
        response = F.linear(hidden, self.conv3.weight[:, :, 0], self.conv3.bias)
        return self._combine(neighborhood[..., self.reach, :], response)

    def smooth(self, y: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Average each snippet with its neighbors over `smoothing` snippets, at the ends over those that exist."""
        if self.smoothing == 1:
            return y
        pooled = F.avg_pool1d(
            y.transpose(1, 2), self.smoothing, stride=1, padding=self.smoothing // 2, count_include_pad=False
        )
        return pooled.transpose(1, 2)

    def config(self) -> dict[str, Any]:
        """The constructor's values, as JSON has them."""
        return {
            "channels": self.channels,
            "hidden": self.hidden,
            "kernel_size": self.kernel_size,
            "form": self.form,
            "gate": self.gate,
            "conditioning": self.conditioning,
            "smoothing": self.smoothing,
        }

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `module.safetensors`; values beside "module" in an existing config are kept."""
        folder = Path(folder)
        path = folder / CONFIG
        config = read_json(path, "a SoLa module's config") if path.exists() else {}
        write_json(path, {**config, "module": self.config()})
        self.save_weights(folder)

    def save_weights(self, folder: Path) -> None:
        """Write `module.safetensors` alone."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        with replacing(folder / WEIGHTS) as aside:
            save_file(tensors, aside)

    @classmethod
    def from_pretrained(cls, source: Path | str, *, revision: str | None = None) -> "SoLa":
        """Load a module from a folder, or from the Hugging Face hub when `source` is no folder but "owner/name".

        Raises:
            SolaError: when there is no trained module, or its files do not fit together.
        """
        folder = Path(source)
        if not folder.is_dir():
            folder = _from_hub(str(source), revision)
        if not (folder / WEIGHTS).is_file():
            raise SolaError(f"{folder}: no {WEIGHTS} here; expected the folder of a finished `sola train` run")
        config = read_json(folder / CONFIG, "a SoLa module's config")
        if not isinstance(config, Mapping) or not isinstance(config.get("module"), Mapping):
            raise SolaError(f'{folder / CONFIG}: no "module" entry; expected the config of a `sola train` run')
        try:
            with torch.device("meta"):  # no memory is taken for what a config says before the weights are seen to fit
                module = cls(**config["module"])
            weights = load_file(folder / WEIGHTS)
            module.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
        except (TypeError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise SolaError(f'{folder / CONFIG}: the "module" entry is not a SoLa module\'s ({reason})') from None
        except (SafetensorError, OSError) as error:
            raise SolaError(f"{folder / WEIGHTS}: not a readable safetensors file ({error}); train again") from None
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{folder / WEIGHTS}: the weights do not fit {CONFIG} ({reason})") from None
        module.origin = {**origin_of(config), "run": str(folder.resolve() if Path(source).is_dir() else source)}
        return module.eval()

    def push_to_hub(self, repo_id: str, *, private: bool = False) -> str:
        """Upload config and weights to the Hugging Face hub, and return the address of the commit."""
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi()
        api.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="SoLa module"))

    def extra_repr(self) -> str:
        """The constructor's values, for `print(module)`."""
        return ", ".join(f"{name}={json.dumps(value)}" for name, value in self.config().items())

    def _gate(self, alpha: Tensor) -> Tensor:
        return alpha.tanh() if self.gate == "tanh" else alpha

    def _combine(self, x: Tensor, response: Tensor) -> Tensor:
        if self.alpha is None:
            return response.to(x.dtype)
        return x + self._gate(self.alpha) * response.to(x.dtype)


def origin_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's config tells of how its module came about; nothing where it is no run's."""
    training, chosen = config.get("training"), config.get("chosen")
    if not isinstance(training, Mapping):
        return {}
    return {
        "training": dict(training),
        "chosen": dict(chosen) if isinstance(chosen, Mapping) else {},
        "stopped_by": f"the last of {training.get('epochs', '?')} epochs: no label was looked at",
    }


def _from_hub(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SolaError(f"{source}: neither a folder here nor a module on the hub ({reason})") from None
