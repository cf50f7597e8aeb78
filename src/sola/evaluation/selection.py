"""Selection of videos to label: the most diverse videos of a set, chosen without labels."""

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
"""Number of clusters of snippets."""
CLUSTERINGS = 5
"""Number of clusterings with different initial centers; their coverages are averaged."""
COMPONENTS = 32
"""Number of principal components used for clustering."""
SNIPPETS = 20_000
"""Maximum number of snippets for computing principal components and centers."""


@dataclass(frozen=True)
class Selection:
    """Videos to label, and the diversity of their snippets."""

    videos: tuple[str, ...]
    """Video ids in greedy order: each adds the most diversity to the labeled videos and the ids before it."""
    kinds: float
    """Effective number of clusters of the selected and labeled videos."""
    all_kinds: float
    """Effective number of clusters of all videos."""


def select_videos(
    features: FeatureSet,
    count: int,
    *,
    labeled: Collection[str] = (),
    seed: int = 0,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Selection:
    """Greedily select the `count` videos whose snippets best cover the clusters of all snippets.

    The L2-normalized snippets are clustered by k-means. If p(c) is the share of a video's snippets in cluster c,
    averaged over the selected videos, the effective number of clusters is (Σ √p(c))², the Rényi diversity of order ½.
    Each step adds the video that increases Σ √p(c), with unnormalized p(c), the most. All videos have equal weight,
    independent of length.

    Args:
        features: features of all videos. Features written by `sola transform` work better than raw features.
        count: number of videos to select.
        labeled: ids of videos that are already labeled. They are not selected, but count as covered.
        seed: seed of the initial cluster centers.
        skipped: dictionary that receives the reasons for skipped videos, by id. Bad videos are skipped if the features
            were opened with `skip_bad`.
        progress: called with (videos read, videos to read). Each video is read twice.

    Raises:
        SolaError: if fewer than `count` videos are unlabeled, or for bad features.
    """
    at_least(1, count=count)
    left = [video for video in features.videos if video not in labeled]
    if len(left) < count:
        raise SolaError(f"{count} videos requested, but only {len(left)} of {len(features.videos)} are not labeled yet")
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
        shares[video] = np.concatenate([_shares(points, each) for each in centers])
    progress(total, total)
    table = np.stack(list(shares.values()))
    chosen, covered = _greedy(table, [video in labeled for video in shares], count)
    videos = list(shares)
    return Selection(tuple(videos[position] for position in chosen), _kinds(covered), _kinds(table.sum(axis=0)))


def _centers(points: Float[np.ndarray, "snippets axes"], seed: int) -> Float[np.ndarray, "clusters axes"]:
    """Return the centers of k-means, at most one per snippet."""
    centers: Float[np.ndarray, "clusters axes"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster keeps its center
        centers, _ = kmeans2(points, min(CLUSTERS, len(points)), minit="++", iter=20, rng=seed)
    return centers


def _shares(
    points: Float[np.ndarray, "snippets axes"], centers: Float[np.ndarray, "clusters axes"]
) -> Float[np.ndarray, " clusters"]:
    """Return the share of a video's snippets closest to each center."""
    nearest, _ = vq(points, centers)
    shares: Float[np.ndarray, " clusters"] = np.bincount(nearest, minlength=len(centers)) / len(points)
    return shares


def _greedy(
    shares: Float[np.ndarray, "videos clusters"], labeled: Collection[bool], count: int
) -> tuple[list[int], Float[np.ndarray, " clusters"]]:
    """Return the selected rows in order, and the summed shares of selected and labeled rows."""
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
    return float(np.mean([np.sqrt(shares / shares.sum()).sum() ** 2 for shares in per_clustering]))
