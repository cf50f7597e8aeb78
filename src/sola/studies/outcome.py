"""Rows and comparisons of a study, from the measurements of its runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from sola.evaluation.results import Comparison, Metric, Row, compare_rows
from sola.evaluation.statistics import Resampled, Summary, summarize
from sola.studies.measuring import Measured


def summaries(seeds: Sequence[Measured], metrics: Sequence[Metric]) -> dict[str, Summary]:
    """Summary of every metric over the seeds, with its interval over the test videos."""
    return {
        metric.key: summarize([seed.values[metric.key] for seed in seeds], resampled(seeds, metric).replicates)
        for metric in metrics
    }


def comparisons(
    rows: Sequence[Row], measured: Mapping[str, Sequence[Measured]], metrics: Sequence[Metric], videos: int
) -> tuple[Comparison, ...]:
    """Compare the rows of every group in every metric, as linear evaluation does.

    Args:
        rows: the rows.
        measured: measurements with every seed, by the row's name.
        metrics: the metrics.
        videos: number of test videos.
    """
    return tuple(
        comparison
        for metric in metrics
        for group in dict.fromkeys(row.group for row in rows)
        for comparison in compare_rows(
            [(row.name, row.kind, resampled(measured[row.name], metric)) for row in rows if row.group == group],
            metric.key,
            videos,
        )
    )


def resampled(seeds: Sequence[Measured], metric: Metric) -> Resampled:
    """Mean of a metric over the seeds, also under each draw of the test videos."""
    mean = float(np.mean([seed.values[metric.key] for seed in seeds]))
    return Resampled(mean, np.mean([seed.draws[metric.key] for seed in seeds], axis=0))
