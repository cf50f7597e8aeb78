"""Checkpoints of the authors' ActionFormer program."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.actionformer.network import THUMOS_WINDOWS, ActionFormer
from sola.detectors.published import check_names, published_weights

WHAT = "ActionFormer's published program"
NORMALIZER = "criterion.normalizer"
"""Our name of the running normalizer of the loss."""
ACTIVITYNET_WIDTH, ACTIVITYNET_LENGTH, ACTIVITYNET_WINDOWS = 256, 192, (7, 7, 7, 7, 7, None)


def load(
    path: Path | str,
    *,
    length: int | None = None,
    windows: Sequence[int | None] | None = None,
    heads: int = 4,
    absolute_position: bool | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    min_duration: float | None = None,
) -> ActionFormer:
    """Load a checkpoint of the authors' program, with the outputs and segments of that program; in evaluation mode.

    Its averaged weights (`state_dict_ema`) are preferred. Widths, classes and numbers of layers come from the weights;
    one class is "an action". What the file does not hold defaults to the authors' values: for ActivityNet where the
    width is 256, for THUMOS14 elsewhere.

    Raises:
        SolaError: when the file is no such checkpoint.
    """
    state = published_weights(path, ("state_dict_ema", "state_dict"))
    layout = published_layout(path, state)
    activitynet = layout.width == ACTIVITYNET_WIDTH
    if windows is None:
        windows = ACTIVITYNET_WINDOWS if activitynet else THUMOS_WINDOWS
    if len(windows) != layout.levels:
        raise SolaError(f"{path}: a pyramid of {layout.levels} levels; give as many windows, not {len(windows)}")
    model = ActionFormer(
        layout.channels,
        None if layout.classes == 1 else layout.classes,
        length=length or (ACTIVITYNET_LENGTH if activitynet else 2304),
        width=layout.width,
        windows=windows,
        heads=heads,
        convolutions=layout.convolutions,
        stem=layout.stem,
        head_width=layout.head_width,
        absolute_position=activitynet if absolute_position is None else absolute_position,
        ranges=ranges,
        min_duration=(0.001 if activitynet else 0.05) if min_duration is None else min_duration,
    )
    ours = model.state_dict()
    weights = layout.renamed(path, state, {name: tensor.shape for name, tensor in ours.items()})
    model.load_state_dict({**weights, NORMALIZER: ours[NORMALIZER]})  # which the authors do not save
    return model.eval()


class PublishedLayout(NamedTuple):
    """The sizes of a published network, as its weights tell them."""

    channels: int
    width: int
    head_width: int
    classes: int
    levels: int
    convolutions: int
    stem: int

    def names(self) -> Iterator[tuple[str, str]]:
        """Give our name of each weight and the published one."""
        for index in range(self.convolutions):
            yield f"backbone.convolutions.{index}.weight", f"backbone.embd.{index}.conv.weight"
            yield from _both(f"backbone.norms.{index}", f"backbone.embd_norm.{index}")
        blocks = {"stem": self.stem, "branch": self.levels - 1}
        for block in (f"backbone.{part}.{index}" for part, count in blocks.items() for index in range(count)):
            for ours, theirs in _IN_BLOCK.items():
                yield from _both(f"{block}.{ours}", f"{block}.{theirs}")
            for role in ("query", "key", "value"):
                yield f"{block}.{role}.convolution.weight", f"{block}.attn.{role}_conv.conv.weight"
            yield f"{block}.attention_scale", f"{block}.drop_path_attn.scale"
            yield f"{block}.perceptron_scale", f"{block}.drop_path_mlp.scale"
        for level in range(self.levels):
            yield from _both(f"norms.{level}", f"neck.fpn_norms.{level}")
        for ours, theirs, output in (
            ("classifier", "cls_head", "cls_head"),
            ("regressor", "reg_head", "offset_head"),
        ):
            for index in range(2):
                yield f"{ours}.convolutions.{index}.weight", f"{theirs}.head.{index}.conv.weight"
                yield from _both(f"{ours}.norms.{index}", f"{theirs}.norm.{index}")
            yield from _both(f"{ours}.convolutions.2", f"{theirs}.{output}.conv")

    def scales(self) -> list[str]:
        """Give the published names of the offsets' scale at each level."""
        return [f"reg_head.scale.{level}.scale" for level in range(self.levels)]

    def renamed(
        self, path: Path | str, state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]
    ) -> dict[str, Tensor]:
        """Return the weights under our names and in our shapes.

        Raises:
            SolaError: when a weight has another shape.
        """
        names = dict(self.names())
        weights = {ours: state[theirs] for ours, theirs in names.items()}
        scales = [state[name] for name in self.scales()]
        if any(scale.numel() != 1 for scale in scales):
            raise SolaError(f"{path}: reg_head.scale holds more than one number a level; expected one")
        weights["offset_scale"] = torch.stack([scale.reshape(()) for scale in scales])
        for name, tensor in weights.items():
            # theirs has axes of 1 where ours has linear layers and plain vectors
            if _essential(tensor.shape) != _essential(shapes[name]):
                raise SolaError(
                    f"{path}: {names.get(name, name)} is {list(tensor.shape)}, which does not fit the other weights; "
                    f"expected {list(shapes[name])}"
                )
        return {name: tensor.reshape(shapes[name]) for name, tensor in weights.items()}


def published_layout(path: Path | str, state: Mapping[str, Tensor]) -> PublishedLayout:
    """Read the sizes of a published network off its weights.

    Raises:
        SolaError: when they are another network's.
    """
    first, head, last = (
        state.get(name, torch.empty(0))
        for name in ("backbone.embd.0.conv.weight", "cls_head.head.0.conv.weight", "cls_head.cls_head.conv.weight")
    )
    layout = PublishedLayout(
        channels=first.shape[1] if first.ndim == 3 else 0,
        width=first.shape[0],
        head_width=head.shape[0],
        classes=last.shape[0],
        levels=max(1, _count(state, "neck.fpn_norms")),
        convolutions=max(1, _count(state, "backbone.embd")),
        stem=_count(state, "backbone.stem"),
    )
    check_names(path, state, [*(theirs for _, theirs in layout.names()), *layout.scales()], WHAT)
    for name, tensor in {"backbone.embd.0": first, "cls_head.head.0": head, "cls_head.cls_head": last}.items():
        if tensor.ndim != 3 or not tensor.numel():
            raise SolaError(f"{path}: {name}.conv.weight is {list(tensor.shape)}; expected [out, in, 3]")
    return layout


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _both(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", f"{theirs}.{kind}"


def _essential(shape: torch.Size) -> list[int]:
    return [size for size in shape if size != 1]


_IN_BLOCK = {
    "attention_norm": "ln1",
    "query.norm": "attn.query_norm",
    "key.norm": "attn.key_norm",
    "value.norm": "attn.value_norm",
    "query.linear": "attn.query",
    "key.linear": "attn.key",
    "value.linear": "attn.value",
    "projection": "attn.proj",
    "perceptron_norm": "ln2",
    "expansion": "mlp.0",
    "contraction": "mlp.3",
}
"""Layers of a block by our names and the published ones."""
