"""Which videos to label: those that together show most of what happens in a set, found without labels."""

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import kmeans2, vq

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.snippet_labels import unit_vectors
from sola.softlanding.moments import leading

CLUSTERS = 20
"""Clusters of snippets."""
CLUSTERINGS = 5
"""Clusterings with different initial centers, whose coverages are averaged."""
COMPONENTS = 32
"""Principal components of the snippets that are clustered."""
SNIPPETS = 20_000
"""Snippets, at most, that principal components and centers are computed from."""


@dataclass(frozen=True)
class Selection:
    """Videos to label, and how varied their snippets are."""

    videos: tuple[str, ...]
    """Ids; the first adds most to what is labeled already, each further one adds most to those before it."""
    kinds: float
    """Effective number of clusters that the snippets of these and of the labeled videos lie in."""
    all_kinds: float
    """Effective number of clusters that the snippets of all videos lie in."""


def select_videos(
    features: FeatureSet,
    count: int,
    *,
    labeled: Collection[str] = (),
    seed: int = 0,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Selection:
    """Choose `count` videos whose snippets cover the clusters of all snippets best, one after the other.

    Unit vectors of snippets are clustered by k-means. With p(c) the mean over the chosen videos of the share of their
    snippets in cluster c, the effective number of clusters is (Σ √p(c))², the Rényi diversity of order ½. Each step
    adds the video that raises Σ √(Σ of shares) most. Every video counts the same, however long.

    Args:
        features: all videos; features that `sola transform` wrote work better than raw ones.
        count: number of videos to choose.
        labeled: ids of videos that are labeled already: they are not chosen, and count as chosen.
        seed: seed of the initial centers of the clusters.
        skipped: filled with the reasons why bad videos were left out, by id.
        progress: called with (videos read, videos to read); every video is read twice.

    Raises SolaError if fewer videos than `count` are left to label, or for bad features.
    """
    at_least(1, count=count)
    left = [video for video in features.videos if video not in labeled]
    if len(left) < count:
        raise SolaError(f"{count} videos asked for, but only {len(left)} of {len(features.videos)} have no labels yet")
    bad: dict[str, str] = {} if skipped is None else skipped
    total = 2 * len(features.videos)
    lengths = [header.shape[0] for header in features.headers(bad).values()]
    every = -(-sum(lengths) // SNIPPETS)
    sampled = []
    for done, (_, array) in enumerate(features.items(bad)):
        progress(done, total)
        sampled.append(unit_vectors(array[len(array) % every // 2 :: every]))
    sample = np.concatenate(sampled)
    mean = sample.mean(axis=0)
    axes = leading(np.cov(sample.T).reshape(len(mean), len(mean)), COMPONENTS)
    centers = [_centers((sample - mean) @ axes, seed + number) for number in range(CLUSTERINGS)]
    shares = {}
    for done, (video, array) in enumerate(features.without(bad).items(bad)):
        progress(len(features.videos) + done, total)
        points = (unit_vectors(array) - mean) @ axes
        shares[video] = np.concatenate([_shares(points, one) for one in centers])
    progress(total, total)
    table = np.stack(list(shares.values()))
    chosen, covered = _greedy(table, [video in labeled for video in shares], count)
    videos = list(shares)
    return Selection(tuple(videos[position] for position in chosen), _kinds(covered), _kinds(table.sum(axis=0)))


def _centers(points: Float[np.ndarray, "snippets axes"], seed: int) -> Float[np.ndarray, "clusters axes"]:
    """Return the centers of k-means, at most one for each snippet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that loses its last snippet stays where it is
        centers, _ = kmeans2(points, min(CLUSTERS, len(points)), minit="++", iter=20, rng=seed)
    found: Float[np.ndarray, "clusters axes"] = centers
    return found


def _shares(
    points: Float[np.ndarray, "snippets axes"], centers: Float[np.ndarray, "clusters axes"]
) -> Float[np.ndarray, " clusters"]:
    """Return the share of a video's snippets that are nearest to each center."""
    nearest, _ = vq(points, centers)
    shares: Float[np.ndarray, " clusters"] = np.bincount(nearest, minlength=len(centers)) / len(points)
    return shares


def _greedy(
    shares: Float[np.ndarray, "videos clusters"], labeled: Collection[bool], count: int
) -> tuple[list[int], Float[np.ndarray, " clusters"]]:
    """Return the chosen rows in order, and the sum of shares of chosen and labeled rows."""
    taken = np.array(list(labeled), bool)
    covered = shares[taken].sum(axis=0)
    chosen = []
    for _ in range(count):
        gain = np.sqrt(covered + shares).sum(axis=1)
        gain[taken] = -1
        best = int(gain.argmax())
        chosen.append(best)
        taken[best] = True
        covered = covered + shares[best]
    return chosen, covered


def _kinds(covered: Float[np.ndarray, " clusters"]) -> float:
    """Return the effective number of clusters, averaged over clusterings."""
    per_clustering = np.split(covered, CLUSTERINGS)
    return float(np.mean([np.sqrt(one / one.sum()).sum() ** 2 for one in per_clustering]))
