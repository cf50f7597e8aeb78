"""What the explorer is given: videos, segments and similarity maps, small enough for a page."""

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
    """The same detections in every video, of the second class."""
    count = len(scores)
    starts = np.arange(count, dtype=np.float64)
    each = Segments(starts, starts + 0.5, np.full(count, len(classes) - 1), np.array(scores))
    return Detections(tuple(videos), classes, SegmentTable.joined([each] * len(videos)))


def test_a_map_is_what_it_was_to_half_a_level() -> None:
    generator = np.random.default_rng(0)
    half = generator.normal(size=(7, 7))
    values = (half + half.T).astype(np.float32)
    made = packed(values)
    upper = np.frombuffer(base64.b64decode(made["cells"]), np.uint8)
    restored = made["least"] + (made["greatest"] - made["least"]) * upper / 255
    level = (made["greatest"] - made["least"]) / 255
    np.testing.assert_allclose(restored, values[np.triu_indices(7)], atol=0.51 * level)
    assert made["least"] <= made["dark"] < made["bright"] <= made["greatest"]


@pytest.mark.parametrize("values", [np.ones((1, 1), np.float32), np.ones((4, 4), np.float32)])
def test_a_map_that_is_all_the_same_is_packed(values: np.ndarray) -> None:
    assert packed(values)["dark"] == packed(values)["bright"] == 1.0


@pytest.mark.parametrize(("maps", "side"), [(0, 200), (12, 200), (100_000, 48)])
def test_maps_shrink_where_there_are_many(maps: int, side: int) -> None:
    assert cells_a_map(maps) == side


def test_maps_keep_within_what_they_may_take() -> None:
    for maps in range(125, 2000, 125):
        assert maps * cells_a_map(maps) ** 2 / 2 <= MAP_BYTES


def test_the_best_detections_come_first_and_the_rest_is_counted() -> None:
    scores = [i / 150 for i in range(150)]
    material = Material(annotations(1), detections={"one": detections(["v0"], scores=scores)})
    found = explore(material, videos=1).data["videos"][0]["found"][0]
    assert found["score"][0] == pytest.approx(149 / 150, abs=1e-4)
    assert found["score"] == sorted(found["score"], reverse=True)
    assert (len(found["score"]), found["left_out"]) == (100, 50)


def test_classes_are_told_by_name_whatever_their_number_in_the_file() -> None:
    one = detections(["v0"], scores=[0.5], classes=("jump",))
    other = detections(["v0"], scores=[0.5], classes=("run", "jump"))
    data = explore(Material(annotations(1), detections={"one": one, "other": other}), videos=1).data
    video = data["videos"][0]
    assert data["classes"] == ["jump"]
    assert [found["label"] for found in video["found"]] == [[0], [0]]
    assert video["truth"] == {"start": [1.0], "end": [2.0], "label": [0]}


def test_videos_of_which_every_run_has_something_are_preferred() -> None:
    one, other = detections(["v0", "v1"], scores=[0.5]), detections(["v1", "v2"], scores=[0.5])
    data = explore(Material(annotations(4), detections={"one": one, "other": other}), videos=9).data
    assert [video["id"] for video in data["videos"]] == ["v1"]


def test_where_no_video_is_common_all_are_shown() -> None:
    one, other = detections(["v0"], scores=[0.5]), detections(["v2"], scores=[0.5])
    data = explore(Material(annotations(4), detections={"one": one, "other": other}), videos=9).data
    assert [video["id"] for video in data["videos"]] == ["v0", "v2"]
    assert data["videos"][0]["found"][1] is None


def test_ids_that_differ_by_a_prefix_are_the_same_video() -> None:
    data = explore(Material(annotations(2), detections={"one": detections(["v_v0"], scores=[0.5])}), videos=2).data
    assert [video["id"] for video in data["videos"]] == ["v0"]


def test_a_subset_of_which_there_is_nothing_is_told() -> None:
    everything = annotations(2)
    other = VideoAnnotation("w", "testing", 1.0, None, Segments.empty())
    both = Annotations({**everything.videos, "w": other}, everything.classes)
    material = Material(both, subset="testing", detections={"one": detections(["v0"], scores=[0.5])})
    with pytest.raises(SolaError, match="subset 'testing'"):
        explore(material, videos=1)
