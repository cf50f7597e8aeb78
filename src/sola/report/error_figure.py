"""The picture of a diagnosis: what the error is made of, and mAP by instance length."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.evaluation.detections import DetectionResult, threshold_name
from sola.report.figures import GRAY, PALETTE, STYLE

FORMATS = (".png", ".svg", ".pdf")


def error_figure(result: DetectionResult) -> Figure:
    """Draw the share of each kind of error, and the average mAP of instances by their length, both in per cent.

    Raises ValueError when the result was not diagnosed.
    """
    diagnosis = result.diagnosis
    if diagnosis is None:
        raise ValueError("the result has no diagnosis; evaluate with diagnosed=True")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2))
        errors, lengths = figure.subplots(1, 2)
        kinds = list(diagnosis.share)
        shares = [100 * share for share in diagnosis.share.values()]
        bars = errors.barh(kinds, shares, color=PALETTE[: len(kinds)])
        errors.bar_label(
            bars,
            [f"{share:.0f} %  ({diagnosis.count[kind]})" for kind, share in zip(kinds, shares, strict=True)],
            padding=3,
        )
        errors.invert_yaxis()
        errors.set_xlim(0, max(1.0, *shares) * 1.35)
        errors.set_xlabel("share of the error, % (how many)")
        errors.set_title(f"at tIoU {threshold_name(diagnosis.tiou)}, mAP {100 * diagnosis.mean_ap:.1f} %")

        spans = [f"> {one.low:g}" if one.high == float("inf") else f"≤ {one.high:g}" for one in result.lengths]
        names = [f"{one.name}\n{span} s\n({one.instances})" for one, span in zip(result.lengths, spans, strict=True)]
        lengths.bar(names, [100 * (one.mean or 0.0) for one in result.lengths], color=PALETTE[0])
        lengths.axhline(100 * result.average_precision.mean, color=GRAY, linestyle="--", linewidth=1)
        lengths.set_ylabel("average mAP, %")
        lengths.set_xlabel("instance length (how many instances)")
        lengths.set_title(f"dashed: all instances, {100 * result.average_precision.mean:.1f} %")
    return figure


def write_error_figure(path: Path, result: DetectionResult) -> None:
    """Write the figure in the format of its suffix, whole or not at all; SolaError when there is no such format."""
    if path.suffix.lower() not in FORMATS:
        raise SolaError(f"{path}: cannot be written as a figure; expected a name that ends in {', '.join(FORMATS)}")
    figure = error_figure(result)
    with replacing(path) as aside:
        figure.savefig(aside, format=path.suffix[1:].lower(), dpi=160)
