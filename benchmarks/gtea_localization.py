"""Localisation on GTEA: a head on raw features, on the best control of linear evaluation, and after SoLa.

Settings are those of the recipes, the last epoch is taken: nothing is chosen on the validation videos but the control,
which is the one that linear evaluation finds best on these very videos, and that favours it. Three modules and three
heads; seed i of the head stands on seed i of the module. What is done already is not done again.

    python benchmarks/gtea_localization.py GTEA/split1 --out OUT [--head bmn] [--seeds 3] [--control "average 17"]
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sola import FeatureSet, read_annotations, settle, train, transform
from sola.controls import UntrainedModule, centre, moving_average
from sola.data.annotations import Annotations
from sola.data.features import FeatureWriter
from sola.detection import detect, name_proposals
from sola.localization import train_localizer
from sola.localizer_recipes import LOCALIZER_RECIPES
from sola.metrics import average_precision, average_recall, thresholds
from sola.recipes import RECIPES
from sola.segments import Segments, SegmentTable

TIOU = {"mAP .1:.1:.5": thresholds(0.1, 0.5, 0.1), "mAP .3:.1:.7": thresholds(0.3, 0.7, 0.1), "mAP .3": (0.3,)}
RESAMPLES = 1000


def control(features: FeatureSet, name: str, seed: int, out: Path) -> FeatureSet:
    """Features through "average W", "centred", "centred, average W" or "untrained direct"."""
    if not out.is_dir():
        with FeatureWriter(features, out, features.manifest) as writer:
            for video, values in features.items():
                changed = values
                if name == "untrained direct":
                    changed = UntrainedModule(features.channels).direct(seed)(values)
                if name.startswith("centred"):
                    changed = centre(values)
                if "average" in name:
                    changed = moving_average(changed, int(name.rsplit(" ", 1)[1]))
                writer.write(video, changed.astype(values.dtype))
    return FeatureSet.open(out)


def softened(features: FeatureSet, annotations: Annotations, recipe: str, seed: int, out: Path) -> FeatureSet:
    """Features through a module trained on the training videos without labels."""
    if not (out / "features").is_dir():
        training = features.only(annotations.subset("training").videos)
        config, reasons = settle(RECIPES[recipe](), training)
        config = type(config)(**{**vars(config), "seed": seed})
        module = train(training, config, out / "module", reasons=reasons, resume=True, quiet=True)
        transform(module, features, out / "features")
    return FeatureSet.open(out / "features")


def localized(
    features: FeatureSet, annotations: Annotations, head: str, seed: int, out: Path
) -> tuple[dict[str, Segments], dict[str, Segments]]:
    """Proposals and detections of the validation videos."""
    config = LOCALIZER_RECIPES[head, "gtea"]()  # type: ignore[index]
    config = type(config)(**{**vars(config), "seed": seed})
    localizer = train_localizer(features, annotations, config, out, resume=True, quiet=True)
    records = dict(annotations.subset("validation").videos)
    found = detect(localizer, features, records)
    return found, found if config.knows_classes else name_proposals(localizer, features, records, found)


def figures(
    annotations: Annotations, proposals: dict[str, Segments], detections: dict[str, Segments], videos: list[str]
) -> dict[str, float]:
    """AUC, AR and mAP over these videos, in per cent; a video named twice counts twice."""
    truth = SegmentTable.joined([annotations.videos[video].segments for video in videos])
    curve = average_recall(truth, SegmentTable.joined([proposals[video] for video in videos]))
    values = {"AUC": 100 * curve.auc, "AR@10": 100 * curve.at(10), "AR@100": 100 * curve.at(100)}
    found = SegmentTable.joined([detections[video] for video in videos])
    for name, tiou in TIOU.items():
        values[name] = 100 * average_precision(truth, found, tiou).mean
    return values


def main() -> None:
    """Train what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--head", choices=("bmn", "gtad", "actionformer"), default="bmn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--control", default="centred, average 17")
    options = parser.parse_args()
    annotations = read_annotations(options.split / "annotations.json")
    raw = FeatureSet.open(options.split / "features")
    fixed = ("raw", options.control)
    videos = sorted(annotations.subset("validation").videos)
    seeds = range(options.seeds)
    found = {}
    for name in (*fixed, "SoLa, published", "SoLa, auto"):
        for seed in seeds:
            recipe = {"SoLa, published": "anet", "SoLa, auto": "auto"}.get(name)
            features = raw
            if name == options.control:
                features = control(raw, name, seed, options.out / f"control{seed}")
            elif recipe is not None:
                features = softened(raw, annotations, recipe, seed, options.out / f"{recipe}{seed}")
            folder = options.out / options.head / f"{name} {seed}"
            began = time.perf_counter()
            found[name, seed] = localized(features, annotations, options.head, seed, folder)
            seconds = time.perf_counter() - began
            row = {**figures(annotations, *found[name, seed], videos), "seconds": seconds}
            print(f"{name}, seed {seed}: {json.dumps({k: round(v, 2) for k, v in row.items()})}", flush=True)

    shuffled = np.random.default_rng(0)
    for name in (*fixed, "SoLa, published", "SoLa, auto"):
        chance = []
        for seed in seeds:
            table = SegmentTable.joined([found[name, seed][1][video] for video in videos])
            random = replace(table, score=shuffled.random(len(table)))
            truth = SegmentTable.joined([annotations.videos[video].segments for video in videos])
            chance.append(100 * average_precision(truth, random, [0.3]).mean)
        print(f"{name}: mAP at .3 of random scores on the same segments {statistics.fmean(chance):.2f}")

    def mean_of(name: str, chosen: list[str]) -> dict[str, float]:
        rows = [figures(annotations, *found[name, seed], chosen) for seed in seeds]
        return {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}

    for name in (*fixed, "SoLa, published", "SoLa, auto"):
        rows = [figures(annotations, *found[name, seed], videos) for seed in seeds]
        cells = [
            f"{statistics.fmean(r[key] for r in rows):.2f} ± {statistics.stdev(r[key] for r in rows):.2f}"
            for key in rows[0]
        ]
        print("| " + " | ".join([name, *cells]) + " |")
    generator = np.random.default_rng(0)
    draws = [[videos[i] for i in generator.integers(len(videos), size=len(videos))] for _ in range(RESAMPLES)]
    for name in (options.control, "SoLa, published", "SoLa, auto"):
        differences = []
        for draw in draws:
            mine, base = mean_of(name, draw), mean_of("raw", draw)
            differences.append([mine[key] - base[key] for key in mine])
        low, high = np.percentile(differences, [2.5, 97.5], axis=0)
        spans = [f"{a:+.1f} to {b:+.1f}" for a, b in zip(low, high, strict=True)]
        print(
            f"{name} less raw, 95 % bootstrap interval over {len(videos)} videos: {dict(zip(mine, spans, strict=True))}"
        )


if __name__ == "__main__":
    main()
