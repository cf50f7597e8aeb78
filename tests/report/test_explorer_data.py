"""Data of the explorer: videos, segments and similarity maps, small enough for a page."""

import base64

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.detections import Detections
from sola.data.segments import Segments, SegmentTable
from sola.report.explorer import MAP_BYTES, cells_a_map, explore, packed
from sola.report.material import Material


def annotations(count: int) -> Annotations:
    one = Segments(np.array([1.0]), np.array([2.004]), np.array([0]), np.ones(1))
    videos = {f"v{i}": VideoAnnotation(f"v{i}", "validation", 10.0, None, one) for i in range(count)}
    return Annotations(videos, ("jump",))


def detections(videos: list[str], *, scores: list[float], classes: tuple[str, ...] = ("jump", "run")) -> Detections:
    """Return the same detections, with the last class, in every video."""
    count = len(scores)
    starts = np.arange(count, dtype=np.float64)
    each = Segments(starts, starts + 0.5, np.full(count, len(classes) - 1), np.array(scores))
    return Detections(tuple(videos), classes, SegmentTable.joined([each] * len(videos)))


def test_packed_maps_are_accurate_to_half_a_level() -> None:
    generator = np.random.default_rng(0)
    half = generator.normal(size=(7, 7))
    values = (half + half.T).astype(np.float32)
    encoded = packed(values)
    upper = np.frombuffer(base64.b64decode(encoded["cells"]), np.uint8)
    level = (encoded["greatest"] - encoded["least"]) / 255
    restored = encoded["least"] + level * upper
    np.testing.assert_allclose(restored, values[np.triu_indices(7)], atol=0.51 * level)
    assert encoded["least"] <= encoded["dark"] < encoded["bright"] <= encoded["greatest"]


@pytest.mark.parametrize("values", [np.ones((1, 1), np.float32), np.ones((4, 4), np.float32)])
def test_constant_maps_can_be_packed(values: np.ndarray) -> None:
    assert packed(values)["dark"] == packed(values)["bright"] == 1.0


@pytest.mark.parametrize(("maps", "side"), [(0, 200), (12, 200), (100_000, 48)])
def test_map_size_depends_on_the_number_of_maps(maps: int, side: int) -> None:
    assert cells_a_map(maps) == side


def test_maps_stay_within_the_size_limit() -> None:
    for maps in range(125, 2000, 125):
        assert maps * cells_a_map(maps) ** 2 / 2 <= MAP_BYTES


def test_only_the_best_detections_are_included_and_the_rest_counted() -> None:
    scores = [i / 150 for i in range(150)]
    material = Material(annotations(1), detections={"one": detections(["v0"], scores=scores)})
    found = explore(material, videos=1).data["videos"][0]["found"][0]
    assert found["score"][0] == pytest.approx(149 / 150, abs=1e-4)
    assert found["score"] == sorted(found["score"], reverse=True)
    assert (len(found["score"]), found["left_out"]) == (100, 50)


def test_classes_are_matched_by_name() -> None:
    one = detections(["v0"], scores=[0.5], classes=("jump",))
    other = detections(["v0"], scores=[0.5], classes=("run", "jump"))
    data = explore(Material(annotations(1), detections={"one": one, "other": other}), videos=1).data
    video = data["videos"][0]
    assert data["classes"] == ["jump"]
    assert [found["label"] for found in video["found"]] == [[0], [0]]
    assert video["truth"] == {"start": [1.0], "end": [2.0], "label": [0]}


def test_videos_in_all_runs_are_preferred() -> None:
    one, other = detections(["v0", "v1"], scores=[0.5]), detections(["v1", "v2"], scores=[0.5])
    data = explore(Material(annotations(4), detections={"one": one, "other": other}), videos=9).data
    assert [video["id"] for video in data["videos"]] == ["v1"]


def test_all_videos_are_shown_if_none_is_in_all_runs() -> None:
    one, other = detections(["v0"], scores=[0.5]), detections(["v2"], scores=[0.5])
    data = explore(Material(annotations(4), detections={"one": one, "other": other}), videos=9).data
    assert [video["id"] for video in data["videos"]] == ["v0", "v2"]
    assert data["videos"][0]["found"][1] is None


def test_ids_may_differ_by_a_prefix() -> None:
    data = explore(Material(annotations(2), detections={"one": detections(["v_v0"], scores=[0.5])}), videos=2).data
    assert [video["id"] for video in data["videos"]] == ["v0"]


def test_a_subset_without_sources_is_refused() -> None:
    everything = annotations(2)
    other = VideoAnnotation("w", "testing", 1.0, None, Segments.empty())
    both = Annotations({**everything.videos, "w": other}, everything.classes)
    material = Material(both, subset="testing", detections={"one": detections(["v0"], scores=[0.5])})
    with pytest.raises(SolaError, match="subset 'testing'"):
        explore(material, videos=1)
