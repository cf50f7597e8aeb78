"""Measure properties of the benchmark: raw features, all controls, a supervised bound, similarity against distance.

cd benchmarks && python -m rendered.facts OUT [--sets NAME ...]

OUT is written by `rendered.benchmark`; adds OUT/facts.json and OUT/similarity.png. Uses the labels of the
training videos and evaluates on the validation videos. The test subset is not read.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.evaluation.controls import center
from sola.evaluation.probe import probe
from sola.evaluation.similarity import inspect, variance_within
from sola.evaluation.statistics import roc_auc
from sola.report.plots import PALETTE, STYLE
from sola.report.saving import write_plot
from sola.softlanding.network import SoLa

FEW, DRAWS = 5, 10
BATCHES, BATCH, DROPOUT, RATE = 800, 256, 0.3, 5e-4
"""Supervised bound: number of batches, snippets per batch, dropout rate, learning rate (AdamW)."""


def supervised_bound(data: Dataset, smoothing: int, seed: int = 0) -> float:
    """Return the ROC-AUC of a network with SoLa's shape, trained with all training labels; scores are smoothed."""
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = SoLa(data.features.channels, hidden=256, kernel_size=9, form="direct", smoothing=smoothing)
        classifier = nn.Linear(data.features.channels, 1)
        snippets, labels = _labeled(data.subset("training"))
        scale = float(np.sqrt(np.mean(np.concatenate(snippets) ** 2)))
        padded = [F.pad(torch.from_numpy(video / scale), (0, 0, module.reach, module.reach)) for video in snippets]
        seen = torch.cat([video.unfold(0, module.kernel_size, 1).transpose(1, 2) for video in padded])
        wanted = torch.from_numpy(np.concatenate(labels)).float()
        optimizer = torch.optim.AdamW([*module.parameters(), *classifier.parameters()], lr=RATE, weight_decay=0.05)
        for _ in range(BATCHES):
            drawn = torch.from_numpy(generator.integers(0, len(seen), BATCH))
            hidden = module.adapt_at(F.dropout(seen[drawn], DROPOUT)).relu()
            scores = classifier(F.dropout(hidden, DROPOUT))[:, 0]
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(scores, wanted[drawn]).backward()
            optimizer.step()
        snippets, labels = _labeled(data.subset("validation"))
        with torch.inference_mode():
            found = [classifier(module.adapt(torch.from_numpy(video / scale)[None]).relu()) for video in snippets]
            found = [module.smooth(scores)[0, :, 0] for scores in found]
    return roc_auc(np.concatenate(labels), torch.cat(found).numpy())


def _labeled(data: Dataset) -> tuple[list[Float[np.ndarray, "_ channels"]], list[Bool[np.ndarray, " _"]]]:
    """Return centered float32 features by video, and whether each snippet is inside an action."""
    snippets, labels = [], []
    for video in data.videos:
        snippets.append(center(data.read(video).astype(np.float32)))
        labels.append(video.grid.covered(video.segments, video.length, len(data.classes)).any(axis=1))
    return snippets, labels


def facts(folder: Path) -> dict[str, object]:
    """Measure one set."""
    data = Dataset.open(folder / "features", folder / "annotations.json")
    part = data.subset("validation")
    validation = [part.read(video) for video in part.videos]
    curve = inspect(validation, step=2).whole
    found: dict[str, object] = {
        "variance_within": variance_within(validation),
        "distance": curve.distance.tolist(),
        "similarity": curve.similarity.tolist(),
        "supervised": supervised_bound(data, 17 if folder.name.startswith("long") else 5),
    }
    for solver in ("ridge", "sgd"):
        for videos in (None, FEW):
            rows = probe(data, solver=solver, videos=videos, seeds=DRAWS if videos else 3).rows
            name = f"{solver}, {'all labels' if videos is None else f'{videos} videos'}"
            found[name] = {row.name: [row.mean("roc_auc"), row.summaries["roc_auc"].std] for row in rows}
    return found


def similarity_curves(known: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Plot mean similarity against distance (snippets), with a panel per encoder and a line per set."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2))
        encoders = sorted({name.rsplit("-", 1)[1] for name in known})
        for axes, encoder in zip(
            figure.subplots(1, len(encoders), sharey=True, squeeze=False)[0], encoders, strict=True
        ):
            for color, name in zip(PALETTE, sorted(n for n in known if n.endswith(f"-{encoder}")), strict=False):
                axes.plot(known[name]["distance"], known[name]["similarity"], label=name, color=color, linewidth=1.8)
            axes.set_title(encoder)
            axes.set_xlabel("temporal distance (snippets)")
            axes.legend()
        figure.axes[0].set_ylabel("mean cosine similarity")
        figure.axes[0].set_ylim(0, 1)
    return figure


def main() -> None:
    """Measure all sets that have no results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="output folder of rendered.benchmark")
    parser.add_argument("--sets", nargs="+", help="sets to measure; all by default")
    given = parser.parse_args()
    names = given.sets or sorted(path.parent.name for path in given.out.glob("*/annotations.json"))
    path = given.out / "facts.json"
    known = read_json(path, "facts") if path.exists() else {}
    for name in names:
        if name not in known:
            known[name] = facts(given.out / name)
            write_json(path, known)
            print(name, {key: value for key, value in known[name].items() if isinstance(value, float)}, flush=True)
    write_plot(given.out / "similarity.png", similarity_curves(known))


if __name__ == "__main__":
    main()
