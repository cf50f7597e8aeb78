"""Run all speed and memory benchmarks, and write docs/explanation/performance.md.

Each benchmark measures sola and a plain counterpart in the same run. The output of the benchmarks is stored in
docs/explanation/performance.json. Run this on an otherwise idle machine; ratios are more reliable than absolute values.

    python benchmarks/speed/performance.py ANNOTATIONS.json [--only training_step ...]

ANNOTATIONS are those of ActivityNet-1.3, for the metrics. With --only, the other results are unchanged.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from sola.core.files import read_json, write_json, write_text

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "explanation"
JSON = DOCS / "performance.json"


@dataclass(frozen=True)
class Figure:
    """A row of the page: a benchmark and the formatting of its output."""

    name: str
    what: str
    ours: Callable[[Any], str]
    beside: Callable[[Any], str]
    """Result of the plain counterpart."""
    arguments: tuple[str, ...] = ()


def gib(count: float) -> str:
    return f"{count:.2f} GiB"


def step_of(found: Any) -> str:
    seconds = found["seconds"]
    return ", ".join(
        f"{name.removeprefix('sola ')} {1000 * seconds[name]:.0f} ms" for name in seconds if "sola" in name
    )


def step_beside(found: Any) -> str:
    ratios = [
        f"{value} × ({name.removeprefix('sola ')})" for name, value in found["times_faster"].items() if "sola" in name
    ]
    return f"{1000 * found['seconds']['plain fp32']:.0f} ms: {', '.join(ratios)}"


def layer(found: Any) -> str:
    return f"{found['milliseconds']['ours']} ms, {found['peak_MiB']['ours']} MiB"


def layer_beside(found: Any) -> str:
    plain = f"{found['milliseconds']['plain']} ms, {found['peak_MiB']['plain']} MiB"
    return f"{plain}: {found['times_faster']} ×, {found['times_less_memory']} × less memory"


def stream(found: Any) -> str:
    rows = [f"{row['windows_per_s mapped']:,} ({row['videos']:,} videos)" for row in found["rows"]]
    return f"{', '.join(rows)} windows/s"


def stream_beside(found: Any) -> str:
    shares = [f"{100 * row['mapped_of_in_memory']:.0f} %" for row in found["rows"]]
    return f"in memory; the mapped file gives {', '.join(shares)} of its speed"


def stream_memory(found: Any) -> str:
    return ", ".join(f"{row['peak MiB mapped']} MiB ({row['MiB packed']:,} MiB of features)" for row in found["rows"])


def stream_memory_beside(found: Any) -> str:
    return f"in memory: {', '.join(str(row['peak MiB in memory']) for row in found['rows'])} MiB"


def metric(name: str) -> tuple[Callable[[Any], str], Callable[[Any], str]]:
    return (
        lambda found: f"{found[name]['seconds']:.2f} s",
        lambda found: f"{found[name]['plain_seconds']:.1f} s: {found[name]['times_faster']} ×",
    )


def suppression(found: Any) -> str:
    return f"{found['rows']['smooth']['sola seconds']} s"


def suppression_beside(found: Any) -> str:
    row = found["rows"]["smooth"]
    return f"{row['plain seconds, extrapolated']} s (extrapolated from 48 videos): {row['times faster']} ×"


FIGURES = (
    Figure(
        "training_step", "a step of `sola train`: 400 channels, hidden 1024, step 8, batch 256", step_of, step_beside
    ),
    Figure(
        "training_memory",
        "peak memory of `sola train` on 10,000 videos of 150 × 400 float16",
        lambda found: gib(found["GiB"]["peak"]),
        lambda found: f"{gib(found['GiB']['packed_features'])} are the features",
    ),
    Figure(
        "training_memory",
        "data checks of `sola train` on the same 10,000 videos",
        lambda found: f"{found['seconds']['data_checks']:.2f} s",
        lambda found: f"{found['share_of_one_epoch']:.2%} of the time of one epoch",
    ),
    Figure("larger_than_memory", "training from a file instead of memory, page cache warm", stream, stream_beside),
    Figure("larger_than_memory", "its memory, without mapped pages", stream_memory, stream_memory_beside),
    Figure(
        "extraction",
        "`sola extract`: ten minutes of 720p, four features a second",
        lambda found: f"{found['whole_file']['seconds']:.0f} s, {gib(found['whole_file']['peak_GiB'])}",
        lambda found: f"a plain loop: {found['seconds']['ratio']:.1f} × as long",
    ),
    Figure("metrics", "mAP of 472,800 detections at ten thresholds", *metric("mAP"), ("ANNOTATIONS",)),
    Figure("metrics", "AUC of average recall of the same detections", *metric("AUC"), ("ANNOTATIONS",)),
    Figure("suppression", "Soft-NMS of 4,728 videos × 5,050 cells to 100 each", suppression, suppression_beside),
    Figure("boundary_matching", "BMN's boundary matching, one video, forward and backward", layer, layer_beside),
    Figure("graph_alignment", "G-TAD's sub-graph alignment, one video, forward and backward", layer, layer_beside),
    Figure(
        "point_pyramid",
        "ActionFormer's step, 2,304 snippets × 2,048, batch 2",
        lambda found: f"{found['seconds']['ours']:.2f} s, {gib(found['memory']['ours']['peak_GiB'])}",
        lambda found: f"full attention: {found['seconds']['plain']:.2f} s, {gib(found['memory']['plain']['peak_GiB'])}",
        ("--rounds", "3"),
    ),
)


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "cores": psutil.cpu_count(),
        "memory_GiB": round(psutil.virtual_memory().total / 2**30),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine_in_words(found: dict[str, Any]) -> str:
    return (
        f"{found['cores']} cores ({found['processor']}), {found['memory_GiB']} GiB of memory, "
        f"Python {found['python']}, torch {found['torch']}"
    )


def page(kept: dict[str, Any]) -> str:
    """Return the Markdown page."""
    rows = [
        f"| {figure.what} | {figure.ours(kept[figure.name]['found'])} | {figure.beside(kept[figure.name]['found'])} "
        f"| `benchmarks/speed/{figure.name}.py` |"
        for figure in FIGURES
        if figure.name in kept
    ]
    machines = sorted({machine_in_words(value["machine"]) for value in kept.values()})
    loads = [value["load_before"] for value in kept.values()]
    return TEXT.format(rows="\n".join(rows), machines="; ".join(machines), load=f"{min(loads):.1f} to {max(loads):.1f}")


TEXT = """# Performance

This page is written by `python benchmarks/speed/performance.py ANNOTATIONS.json` (`make bench ANNOTATIONS=...`), which
runs the listed benchmarks. Their full output is in [performance.json](performance.json). Each benchmark measures a
plain counterpart in the same run, because ratios vary less between machines than absolute values. For GPU results see
[scale.md](../guides/scale.md).

| what | sola | for comparison | measured by |
|---|---|---|---|
{rows}

Measured on {machines}. The load average at the start of each benchmark was {load}; it includes the previous benchmark.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, nargs="?")
    parser.add_argument("--only", nargs="+", choices=sorted({figure.name for figure in FIGURES}))
    options = parser.parse_args()
    kept = read_json(JSON, "previous results") if JSON.is_file() else {}
    for figure in {figure.name: figure for figure in FIGURES}.values():
        if options.only and figure.name not in options.only:
            continue
        if "ANNOTATIONS" in figure.arguments and options.annotations is None:
            print(f"{figure.name}: skipped, it needs ANNOTATIONS", flush=True)
            continue
        arguments = [str(options.annotations) if part == "ANNOTATIONS" else part for part in figure.arguments]
        load, began = round(psutil.getloadavg()[0], 2), time.perf_counter()
        command = [sys.executable, str(HERE / f"{figure.name}.py"), *arguments]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        kept[figure.name] = {
            "found": json.loads(printed[printed.index("{") :]),
            "machine": machine(),
            "load_before": load,
        }
        print(f"{figure.name}: {time.perf_counter() - began:.0f} s", flush=True)
        write_json(JSON, kept)
        write_text(DOCS / "performance.md", page(kept))


if __name__ == "__main__":
    main()
