"""The time scale of the content of features, measured without labels.

Content changes by sparse jumps, at boundaries; nuisance drifts. Three readings, all in snippets:

1. *Slow directions* (linear slow-feature analysis: least change from one snippet to the next for their variance) find
   weak but lasting content under strong noise, whatever its share of the variance. Their decorrelation time is read
   from the variogram, which unlike the autocorrelation is not biased by removing the mean of a short video, and from
   which the white part is split off.
2. *Jumps*: the difference of the means of two adjacent stretches of d snippets is small within a segment and large
   across a boundary, so its squared norm varies more along a video than that of a Gaussian process of the same
   spectrum. That excess, against surrogates with the video's own spectrum and random phases (Theiler et al.,
   Physica D 58, 1992), is greatest where d is around half a segment's length.
3. *Jumping directions*: those slow directions in which the excess is greatest (a fourth-order cumulant, summed over
   scales), and their decorrelation time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Float, Int

Video = Float[np.ndarray, "_ channels"]
Signal = Float[np.ndarray, "_ directions"]

WIDEST = 128
"""Principal components kept of wider features: with more, the slow directions are found in noise and look slower."""
SLOW = 16
"""Number of slow directions."""
JUMPING = 2
"""Number of jumping directions among them."""
SURROGATES = 4
"""Surrogates of each video."""
FEW, PART = 8, 256
"""Fewer videos than FEW are split into parts of about PART snippets, for standard errors."""
TINY = 1e-300
"""Avoids division by zero where nothing changes."""
SCALES = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362)
"""Lags and lengths of adjacent stretches, in snippets; those up to a third of the videos' median length are used."""


@dataclass(frozen=True)
class Timescale:
    """Measured time scales, in snippets."""

    slow: float
    """Decorrelation time of the slow directions."""
    persistence: float
    """Correlation of the slow directions from one snippet to the next, less what shuffled snippets give."""
    persistence_error: float
    """Standard error of that where nothing lasts."""
    white: float
    """Share of the slow directions' variance that is white noise."""
    jumping: float
    """Decorrelation time of the jumping directions."""
    jump_scale: float
    """Length of adjacent stretches whose differences jump most; 0 where there is no sign of jumps."""
    evidence: float
    """Third largest excess over the scales, in standard errors over videos; 0 with too few videos."""


def measure(videos: Sequence[Video], generator: np.random.Generator) -> Timescale:
    """Measure the time scales of videos [time, channels] of at least 16 snippets, none of them constant."""
    if len(videos) < FEW:
        videos = [part for video in videos for part in np.array_split(video, max(len(video) // PART, 1))]
    centered = _principal([video - video.mean(axis=0) for video in videos])
    directions = _slow_directions(centered)
    shuffled = [generator.permutation(video) for video in centered]
    by_chance = _slow_directions(shuffled)
    chance = _persistence([video @ by_chance for video in shuffled])
    signals = [video @ directions for video in centered]
    length = float(np.median([len(signal) for signal in signals]))
    scales = np.array([scale for scale in SCALES if scale <= max(length / 3, 1)])
    slow, white = _decorrelation(signals, scales)

    surrogates = [[_surrogate(signal, generator) for signal in signals] for _ in range(SURROGATES)]
    excess, error, energy = np.zeros(len(scales)), np.full(len(scales), np.inf), np.zeros(len(scales))
    cumulant = np.zeros((directions.shape[1],) * 2)
    for index, scale in enumerate(scales.tolist()):
        jumps = _differences(signals, scale)
        drifts = [_differences(surrogate, scale) for surrogate in surrogates]
        over = _burstiness(jumps) - np.mean([_burstiness(drift) for drift in drifts], axis=0)
        excess[index] = over.mean()
        if len(over) > 3:
            error[index] = over.std(ddof=1) / np.sqrt(len(over)) + 1e-12
        # white noise leaves 2 / d of its variance in the difference of two means of d snippets
        power = np.mean([np.square(jump).sum(axis=1).mean() for jump in jumps])
        energy[index] = max(power - 2 * white * len(directions.T) / scale, 0.0)
        cumulant += _cumulant(jumps) - np.mean([_cumulant(drift) for drift in drifts], axis=0)

    _, vectors = np.linalg.eigh(cumulant)
    jumping, _ = _decorrelation([signal @ vectors[:, -JUMPING:] for signal in signals], scales)
    weight = np.maximum(excess / error - 1, 0) * energy
    jump_scale = float(np.exp(weight @ np.log(scales) / weight.sum())) if weight.sum() > 0 else 0.0
    return Timescale(
        slow=slow,
        persistence=_persistence(signals) - chance,
        persistence_error=1 / np.sqrt(directions.shape[1] * sum(len(signal) for signal in signals)),
        white=white,
        jumping=jumping,
        jump_scale=jump_scale,
        evidence=float(np.sort(excess / error)[-3:][0]),
    )


def _covariance(signals: Sequence[Signal]) -> Float[np.ndarray, "directions directions"]:
    """Return the second moments of signals, over all snippets."""
    moments: np.ndarray = sum(signal.T @ signal for signal in signals) / sum(len(signal) for signal in signals)
    return moments


def _principal(videos: Sequence[Video]) -> list[Float[np.ndarray, "_ kept"]]:
    """Scale centered videos to a variance of 1 in all, and keep their `WIDEST` first principal components."""
    covariance = _covariance(videos)
    scale = 1 / np.sqrt(np.trace(covariance))
    channels = len(covariance)
    if channels <= WIDEST:
        return [video * scale for video in videos]
    _, vectors = scipy.linalg.eigh(covariance, subset_by_index=[channels - WIDEST, channels - 1])
    return [video @ (vectors * scale) for video in videos]


def _slow_directions(videos: Sequence[Video]) -> Float[np.ndarray, "channels directions"]:
    """Return the directions of least squared change for their variance, slowest first, each of unit variance."""
    total, covariance = sum(len(video) for video in videos), _covariance(videos)
    change = sum(np.diff(video, axis=0).T @ np.diff(video, axis=0) for video in videos) / total
    channels = len(covariance)
    # few snippets for many channels: lean toward the directions of large variance
    ridge = max(1e-3, channels / total) * np.trace(covariance) / channels
    _, vectors = scipy.linalg.eigh(
        change, covariance + ridge * np.eye(channels), subset_by_index=[0, min(SLOW, channels) - 1]
    )
    directions: np.ndarray = vectors
    return directions


def _persistence(signals: Sequence[Signal]) -> float:
    """Return the correlation from one snippet to the next, over all directions."""
    together = sum(float((signal[1:] * signal[:-1]).sum()) for signal in signals)
    apart = sum(float(np.square(signal[1:]).sum() + np.square(signal[:-1]).sum()) / 2 for signal in signals)
    return together / apart


def _decorrelation(signals: Sequence[Signal], lags: Int[np.ndarray, " lags"]) -> tuple[float, float]:
    """Fit noise + signal·(1 − exp(−lag / τ)) to the variogram ½ E|x_(t+lag) − x_t|²; return τ, share of noise."""
    variogram = np.array(
        [
            sum(float(np.square(signal[lag:] - signal[:-lag]).sum()) for signal in signals)
            / (2 * sum(max(len(signal) - lag, 0) for signal in signals))
            for lag in lags
        ]
    )
    best, found = np.inf, (float(lags[0]), 1.0)
    for time in np.geomspace(0.5, 2.0 * lags[-1], 100):
        shape = np.stack([np.ones(len(lags)), 1 - np.exp(-lags / time)], axis=1)
        (noise, signal), error = scipy.optimize.nnls(shape, variogram)
        if signal > 0 and error < best:
            best, found = error, (float(time), float(noise / (noise + signal)))
    return found


def _surrogate(signal: Signal, generator: np.random.Generator) -> Signal:
    """Return a signal with the same spectra and cross-spectra: the same random phases in all directions."""
    spectrum = np.fft.rfft(signal, axis=0)
    phase = generator.uniform(0, 2 * np.pi, len(spectrum))
    phase[0] = 0.0
    if len(signal) % 2 == 0:
        phase[-1] = 0.0
    surrogate: np.ndarray = np.fft.irfft(spectrum * np.exp(1j * phase)[:, None], len(signal), axis=0)
    return surrogate


def _differences(signals: Sequence[Signal], scale: int) -> list[Signal]:
    """Return the mean of `scale` snippets less that of the `scale` before, in videos of at least 3 · scale snippets."""
    sums = (np.pad(signal.cumsum(axis=0), ((1, 0), (0, 0))) for signal in signals if len(signal) >= 3 * scale)
    return [(s[2 * scale :] - 2 * s[scale:-scale] + s[: -2 * scale]) / scale for s in sums]


def _burstiness(differences: Sequence[Signal]) -> Float[np.ndarray, " videos"]:
    """Return the mean square of the whitened squared norm along each video, over its squared mean.

    The mean is that of the video, since some change more than others. Scaled by the number of directions.
    """
    values, vectors = np.linalg.eigh(_covariance(differences))
    whitening = vectors / np.sqrt(np.maximum(values, 1e-9 * values[-1] + TINY))
    norms = [np.square(d @ whitening).sum(axis=1) for d in differences]
    return len(values) * np.array([np.square(norm / (norm.mean() + TINY)).mean() for norm in norms])


def _cumulant(differences: Sequence[Signal]) -> Float[np.ndarray, "directions directions"]:
    """Fourth-order cumulant E|d|²ddᵀ − 2S² − tr(S)S, S = E ddᵀ, relative to tr(S)²: 0 for a Gaussian process."""
    count, covariance = sum(len(d) for d in differences), _covariance(differences)
    power = np.trace(covariance)
    moment = np.zeros_like(covariance)
    for d in differences:
        norm = np.square(d).sum(axis=1)
        moment += (d * (norm / (norm.mean() + TINY) * power)[:, None]).T @ d
    cumulant: np.ndarray = (moment / count - 2 * covariance @ covariance - power * covariance) / (power**2 + TINY)
    return cumulant
