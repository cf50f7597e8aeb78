"""Times of exported snippets, and times that the layout cannot express."""

from pathlib import Path

import numpy as np
import pytest
from support.exported import GRIDS, LENGTHS, actionformer_config, center, database_of, handed_over, opentad_config

from sola.core.errors import SolaError
from sola.data.timing import SnippetGrid
from sola.export import common_clock


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_both_tools_compute_the_same_snippet_centers(tmp_path: Path, grid: SnippetGrid) -> None:
    out = handed_over(tmp_path, grid)
    actionformer, opentad = actionformer_config(out)["dataset"], opentad_config(out)["dataset"]
    for video, record in database_of(out).items():
        expected = [center(grid, snippet) for snippet in range(LENGTHS[video])]
        snippets = np.arange(LENGTHS[video])
        stride, frames = actionformer["feat_stride"], actionformer["num_frames"]
        np.testing.assert_allclose((snippets * stride + 0.5 * frames) / record["fps"], expected, atol=1e-9)
        for part in opentad.values():
            assert part["fps"] == -1
            stride, offset = int(part["feature_stride"] * part["sample_stride"]), int(part["offset_frames"])
            fps = record["frame"] / record["duration"]
            np.testing.assert_allclose((snippets * stride + offset) / fps, expected, atol=1e-9)


def test_without_fps_snippets_tile_each_duration(tmp_path: Path) -> None:
    out = handed_over(tmp_path, None)
    config = actionformer_config(out)["dataset"]
    for video, record in database_of(out).items():
        got = (np.arange(LENGTHS[video]) * config["feat_stride"] + 0.5 * config["num_frames"]) / record["fps"]
        expected = (np.arange(LENGTHS[video]) + 0.5) * record["duration"] / LENGTHS[video]
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_integer_frames_are_unchanged() -> None:
    clock = common_clock({"a": SnippetGrid(30.0, 16, 16), "b": SnippetGrid(25.0, 16, 16)})
    assert (clock.stride, clock.first, clock.fps) == (16, 8, {"a": 30.0, "b": 25.0})


def test_videos_timed_by_duration_and_by_fps_share_a_clock() -> None:
    grids = {"a": SnippetGrid(30.0, 16, 16), "b": SnippetGrid.covering(10.0, 40)}
    clock = common_clock(grids)
    for video, grid in grids.items():
        seconds = [(snippet * clock.stride + clock.first) / clock.fps[video] for snippet in range(40)]
        assert seconds == pytest.approx([center(grid, snippet) for snippet in range(40)], abs=1e-12)


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([SnippetGrid(30.0, 16, 16), SnippetGrid(4.0, 1, 3)], "video 'v1': .* time all by --fps"),
        ([SnippetGrid(30.0, 16, 16, -9)], "video 'v0': .* before the video begins"),
        ([SnippetGrid(30.0, 2**0.5)], "video 'v0': a stride of 1.41421356"),
        ([SnippetGrid(30.0, 1 / 999, 1 / 499)], "at least 1/1000"),
    ],
)
def test_times_that_the_tools_cannot_express_are_refused(grids: list[SnippetGrid], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        common_clock({f"v{index}": grid for index, grid in enumerate(grids)})
