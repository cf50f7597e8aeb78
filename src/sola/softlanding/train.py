"""Train a SoLa module on features, without labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sola.core.errors import SolaError
from sola.core.log import counted
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.ragged import PackedFeatures, pack
from sola.data.summary import summaries_json
from sola.softlanding.config import TrainingConfig
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.multiscale_task import MultiScaleMatching
from sola.softlanding.recipes import Config, MultiScaleRecipe, Recipe, recipe_named
from sola.softlanding.task import SimilarityMatching
from sola.softlanding.trained import WEIGHTS, TrainedModule
from sola.softlanding.windows import longest_step, window_length
from sola.training.session import Options, Place, Prepared, fingerprint, ids_digest, run_training

MEMORY_SHARE = 0.6
"""Largest share of the free memory used for features."""


def train(
    features: FeatureSet | Dataset | Path | str,
    recipe: Recipe | Config | str = "anet",
    out: Path | str = "run",
    *,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    memory_limit: int | None = None,
    skipped: dict[str, str] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> TrainedModule:
    """Train a SoLa module without labels, and write the run to `out`.

    Training uses all videos that are at least as long as a window.

    Args:
        features: features [time, channels] of each video: a FeatureSet, a folder, or a Dataset, whose labels are not
            used.
        recipe: a recipe, its name ("anet", "hacs", "thumos", "gtea" or "auto"), or a complete config.
        out: folder of the run. It holds config.json, metrics.jsonl, checkpoint/ and, after training,
            module.safetensors.
        resume: continue from the checkpoint if there is one; do nothing if the run is finished.
        overwrite: replace an existing run.
        tensorboard: also write the log to out/tensorboard.
        memory_limit: memory for the features in each process (bytes); larger features are mapped from a temporary file
            next to `out`. The default is 60% of the free memory.
        skipped: dictionary that receives the reason for each skipped video, by video id.
        quiet: show no progress bar.
        settings: settings that override those of the recipe.

    Returns:
        The trained module, loaded from `out`.

    Raises:
        SolaError: if the features are invalid, a value is out of range, the run exists already, or no video is as long
            as a window.

    Examples:
        >>> import sola
        >>> module = sola.train("features", "anet", out="module", step=2, hidden=16, epochs=1, quiet=True)
        >>> module.network.output_channels
        16
        >>> module.provenance["training"]["step"]
        2
    """
    out = Path(out)
    data = features if isinstance(features, Dataset) else Dataset.open(features)
    features = data.features
    if isinstance(recipe, TrainingConfig | MultiScaleConfig):
        kind = Recipe if isinstance(recipe, TrainingConfig) else MultiScaleRecipe
        recipe = kind(vars(recipe))
    chosen = (recipe_named(recipe) if isinstance(recipe, str) else recipe).override(**settings)
    defaults = chosen.kind()
    task: SimilarityMatching | MultiScaleMatching

    def prepare(place: Place) -> Prepared:
        nonlocal task
        config, reasons = chosen.resolve(features)
        limit = int(MEMORY_SHARE * place.free_memory) if memory_limit is None else memory_limit
        bad: dict[str, str] = {} if skipped is None else skipped
        packed = pack(features, limit, place.folder, skipped=bad)
        summary = data.without(bad).summary
        notes = [*summary.lines, *_notes(features, packed, config, reasons)]
        if isinstance(config, TrainingConfig):
            task = SimilarityMatching(config, packed, place.device)
        else:
            task = MultiScaleMatching(config, packed, place.device, limit, place.folder)
        description = {
            "data": summaries_json(summary),
            "sources": list(dict.fromkeys(str(stream.source) for stream in features.streams)),
            "module": task.network.config(),
            "training": dataclasses.asdict(config),
            "chosen": reasons,
            "features": {
                "videos": len(packed.videos),
                "snippets": int(packed.lengths.sum()),
                "too_short": int((packed.lengths < config.window).sum()),
                "fingerprint": fingerprint(
                    (packed.videos, packed.lengths.tolist(), packed.values.dtype.str),
                    map(packed.video, range(len(packed.videos))),
                ),
                "manifest": features.manifest.to_json(),
            },
        }
        return Prepared(task, config.epochs, description, notes)

    def save(model: nn.Module) -> None:
        assert model is task.model
        task.finish()
        TrainedModule(task.network).save_weights(out)

    run_training(
        out,
        {
            "features": features.locations,
            "videos": ids_digest(features.videos),
            **chosen.settings,
        },
        prepare,
        save,
        product=WEIGHTS,
        device=chosen.settings.get("device", defaults.device),
        precision=chosen.settings.get("precision", defaults.precision),
        options=Options(resume, overwrite, tensorboard, quiet),
    )
    return TrainedModule.load(out)


def _notes(features: FeatureSet, packed: PackedFeatures, config: Config, reasons: Mapping[str, str]) -> Sequence[str]:
    """Return the log lines to write before training. Raises SolaError if no video is as long as a window."""
    lengths = packed.lengths
    short = int((lengths < config.window).sum())
    if short == len(lengths):
        longest = int(lengths.max())
        raise SolaError(
            f"{', '.join(str(stream.source) for stream in features.streams)}: no video is as long as a training "
            f"window: the longest has {longest} snippets, the window {config.window} ({config.positions} positions at "
            f"step {config.shortest_step}, margin {config.margin}); {_cure(longest, config)}"
        )
    notes = [f"{name} = {getattr(config, name)}: {reason}" for name, reason in reasons.items()]
    notes.append(
        f"{counted(len(lengths), 'video')} of {lengths.min()} to {lengths.max()} snippets, "
        f"{counted(packed.values.shape[1], 'channel')}; windows of {config.window} snippets"
    )
    if short:
        notes.append(
            f"{short} of {len(lengths)} videos are shorter than the window of {config.window} snippets and not used"
        )
    return notes


def _cure(longest: int, config: Config) -> str:
    """Return the advice for the case that the longest video has fewer snippets than a window."""
    flag = "--step" if isinstance(config, TrainingConfig) else "--largest-step"
    step = longest_step(longest, config.positions, config.margin)
    if step:
        return f"pass {flag} {step} or less"
    shortest = window_length(config.positions, 1, config.margin)
    cure = f"no {flag} helps: the shortest window has {shortest} snippets; extract features with a smaller stride"
    positions = longest - 2 * config.margin
    return f"{cure}, or pass {flag} 1 --positions {positions}" if positions > 1 else cure
