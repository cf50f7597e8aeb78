"""Train a small detector on the command line, and detect with it."""

from pathlib import Path

from support.calling import sola

SMALL = [
    "--model", "gtad", "--bins", "4", "--context-bins", "2", "--length", "8",
    "--window-size", "16", "--window-stride", "8",
    "--max-duration", "4", "--epochs", "1", "--classifier-epochs", "2", "--precision", "fp32", "--device", "cpu",
    "--quiet",
]  # fmt: skip


def train(features: Path, annotations: Path, out: Path, *more: object) -> Path:
    assert sola("train-detector", features, "--annotations", annotations, "--out", out, *SMALL, *more) == 0
    return out


def detect_command(run: Path, features: Path, tmp_path: Path) -> list[object]:
    return ["detect", run, features, "--out", tmp_path / "d.json", "--quiet"]
