"""Settings of a training, chosen from the features without labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sola.data.features import FeatureSet, none_left
from sola.softlanding.timescale import Timescale, measure
from sola.softlanding.windows import longest_step, window_length

SNIPPETS, VALUES = 40_000, 2**25
"""Most snippets, and most values of wide features, that are read."""
PIECE = 1024
"""Longest piece of a video (snippets)."""
SHORTEST = 16
"""Shortest video that the time scale is measured on (snippets)."""
REACH = 2.75
"""Span of the positions of a window (time scales)."""
WIDEST = 17
"""Longest moving average (snippets)."""
PUBLISHED_STEP, PUBLISHED_K = 8, 16.0
"""Values of Table 4a, the defaults."""


@dataclass(frozen=True)
class Suggestion:
    """Suggested settings, with reasons."""

    step: int
    """Distance s between two positions of a window (snippets)."""
    k: float
    """K of the target."""
    center: bool
    """Whether to subtract the mean of each video before the module."""
    smoothing: int
    """Length of the moving average after the module (snippets), odd; 1 is none."""
    reasons: Mapping[str, str]
    """One sentence each for "step", "k", "conditioning" (centering and scaling) and "smoothing"."""


def suggest(features: FeatureSet, *, seed: int = 0, positions: int = 8, margin: int = 4) -> Suggestion:
    """Suggest step, K, centering and smoothing for features [time, channels] of untrimmed videos, without labels.

    - *Step*: a window of `positions` snippets spans 2.75 time scales of the content: the geometric mean of the scale at
      which features jump and the decorrelation time of the directions that jump (see `timescale`). Without jumps, the
      decorrelation time of slow directions; if nothing lasts, the published step. The window fits into four videos of
      five.
    - *K*: 16, unless the step is limited. λ = sigmoid(K / distance²) is halfway between 1 and ½ at √(K / ln 3)
      positions, so four times the K has the effect of twice the step.
    - *Centering*: if more than half of the energy of the snippets is in the mean of their video.
    - *Smoothing*: the odd number next to the time scale, at most 17.

    Deterministic given `seed`, independent of the scale of the features, and based on at most 40,000 snippets.

    Raises SolaError for a bad file, unless the feature set skips bad files, or if none is left.
    """
    generator = np.random.default_rng(seed)
    pieces, lengths = _sample(features, generator)
    fits = _fitting_step(lengths, positions, margin)
    lively = [piece for piece in pieces if len(piece) >= SHORTEST and np.ptp(piece, axis=0).any()]
    time = measure(lively, generator) if lively else None
    scale, why = _time_scale(time)
    step, wanted, step_reason = _step(scale, why, fits, positions, margin)
    k, k_reason = _k(scale, step, wanted)
    center, center_reason = _centering(pieces)
    smoothing, smoothing_reason = _smoothing(scale)
    reasons = {"step": step_reason, "k": k_reason, "conditioning": center_reason, "smoothing": smoothing_reason}
    return Suggestion(step, k, center, smoothing, reasons)


def _sample(
    features: FeatureSet, generator: np.random.Generator
) -> tuple[list[Float[np.ndarray, "_ channels"]], list[int]]:
    """Read random pieces of enough videos in float64; return them and the lengths of the whole videos."""
    pieces: list[Float[np.ndarray, "_ channels"]] = []
    lengths: list[int] = []
    total = 0
    bad: dict[str, str] = {}
    for _, array in features.read_good(generator.permutation(features.videos).tolist(), bad):
        start = int(generator.integers(max(len(array) - PIECE, 0) + 1))
        pieces.append(np.asarray(array[start : start + PIECE], np.float64))
        lengths.append(len(array))
        total += len(pieces[-1])
        if total >= min(SNIPPETS, VALUES // features.channels):
            break
    if not pieces:
        raise none_left(bad, len(features.videos))
    return pieces, lengths


def _fitting_step(lengths: list[int], positions: int, margin: int) -> int:
    """Return the longest step whose window fits into four of five videos; 0 if there is none."""
    return longest_step(int(np.quantile(lengths, 0.2, method="lower")), positions, margin)


def _time_scale(time: Timescale | None) -> tuple[float | None, str]:
    """Return the time scale (snippets; None without one), and its origin in words."""
    if time is None:
        return None, "no video is long enough and changes enough to tell how fast the features change"
    if time.persistence < max(0.02, 4 * time.persistence_error):
        return None, "the features look like white noise in time, nothing in them lasts longer than a snippet"
    if time.evidence > 3 and time.jump_scale > 0:
        scale = math.sqrt(time.jump_scale * time.jumping)
        return scale, f"the features change by jumps, on a scale of about {scale:.1f} snippets"
    return time.slow, f"the features show no jumps, but directions that last about {time.slow:.1f} snippets"


def _step(scale: float | None, why: str, fits: int, positions: int, margin: int) -> tuple[int, float, str]:
    """Return the step, the step without limits, and the reason."""
    wanted = PUBLISHED_STEP if scale is None else REACH * scale / (positions - 1)
    step = max(min(round(wanted), fits), 1)
    if scale is None:
        reason = f"{why}, so the published step of {PUBLISHED_STEP} is taken"
    else:
        reason = f"{why}; windows that span {REACH} times that have a step of {max(round(wanted), 1)}"
    if fits < 1:
        shortest = window_length(positions, 1, margin)
        reason += f", but most videos are shorter than the shortest window of {shortest} snippets"
    elif fits < round(wanted):
        reason += f", but windows that fit into most videos have a step of at most {fits}"
    return step, wanted, reason


def _k(scale: float | None, step: int, wanted: float) -> tuple[float, str]:
    """Return K, and the reason."""
    ratio = wanted / step
    if scale is None or 0.6 < ratio < 1.7:
        return PUBLISHED_K, f"the published K: its target falls halfway {_halfway(PUBLISHED_K)} positions apart"
    k = float(np.clip(2.0 ** round(math.log2(PUBLISHED_K * ratio**2)), 4, 64))
    wish = f"a step of {wanted:.1f} was called for and {step} is taken"
    return k, f"{wish}, so the target falls halfway {_halfway(k)} positions apart instead of {_halfway(PUBLISHED_K)}"


def _halfway(k: float) -> str:
    """Return the distance at which λ is halfway between 1 and ½ (positions)."""
    return f"{math.sqrt(k / math.log(3)):.1f}"


def _centering(pieces: list[Float[np.ndarray, "_ channels"]]) -> tuple[bool, str]:
    """Return whether to subtract the mean of each video, and the reason."""
    energy = sum(float(np.square(piece).sum()) for piece in pieces)
    constant = sum(len(piece) * float(np.square(piece.mean(axis=0)).sum()) for piece in pieces)
    share = constant / energy if energy > 0 else 0.0
    center = share > 0.5
    verdict = "so it is removed" if center else "so it is left in"
    return center, f"{share:.0%} of the energy of a video's snippets is the same throughout the video, {verdict}"


def _smoothing(scale: float | None) -> tuple[int, str]:
    """Return the length of the moving average, and the reason."""
    if scale is None:
        return 1, "nothing in the features lasts, so an average over time has nothing to keep"
    width = min(max(2 * round((scale - 1) / 2) + 1, 1), WIDEST)
    return width, f"the odd width next to the time scale of {scale:.1f} snippets"
