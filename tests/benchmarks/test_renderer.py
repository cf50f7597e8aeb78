"""The rendered benchmark is exact and reproducible, and its splits are disjoint."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from rendered import style
from rendered.actions import ACTIONS
from rendered.background import GESTURES, STANCES, WALK, Idle
from rendered.choreography import Choreography
from rendered.curves import shares
from rendered.skeleton import JOINT, POSE, Body, angles, joints, mirrored
from rendered.timeline import TIMELINES, Piece, draw

from sola.core.errors import SolaError
from sola.data.annotations import read_annotations

TEMPOS = [0.8, 1.0, 1.2]


def timelines(name: str, count: int = 150) -> list[tuple[Piece, ...]]:
    return [draw(TIMELINES[name], TEMPOS, np.random.default_rng([7, index])) for index in range(count)]


def lengths(pieces: tuple[Piece, ...]) -> list[float]:
    return [piece.end - piece.start for piece in pieces if piece.is_action]


class TestSkeleton:
    def test_bones_keep_their_lengths_in_every_pose(self) -> None:
        poses = np.random.default_rng(0).normal(0, 0.7, (50, len(POSE)))
        places = joints(poses, Body())
        shin = np.linalg.norm(places[:, JOINT["left_knee"]] - places[:, JOINT["left_ankle"]], axis=1)
        np.testing.assert_allclose(shin, Body().stature * Body().legs / 2)

    def test_raising_an_arm_points_it_forward_and_spreading_it_outward(self) -> None:
        places = joints(np.stack([angles(left_raise=90), angles(left_spread=90)]), Body())
        arm = places[:, JOINT["left_hand"]] - places[:, JOINT["left_shoulder"]]
        np.testing.assert_allclose(arm / np.linalg.norm(arm, axis=1, keepdims=True), [[1, 0, 0], [0, 1, 0]], atol=1e-12)

    def test_a_mirrored_pose_is_the_mirror_image(self) -> None:
        pose = np.random.default_rng(1).normal(0, 0.5, (5, len(POSE)))
        order = [JOINT[mirrored_name(name)] for name in JOINT]
        expected = joints(pose, Body())[:, order] * [1, -1, 1]
        np.testing.assert_allclose(joints(mirrored(pose), Body()), expected, atol=1e-12)

    def test_every_key_pose_stands_on_the_floor(self) -> None:
        phases = np.arange(20) / 20
        cycles = [action.cycle for action in ACTIONS.values()] + [cycle for cycle, _ in GESTURES.values()] + [WALK]
        poses = np.concatenate([cycle(phases) for cycle in cycles] + [np.stack(list(STANCES.values()))])
        lowest = joints(poses, Body())[..., 2].min(axis=1)
        jump = poses[:, POSE.index("lift")]
        assert (np.abs(lowest - jump - 0.06) < 0.06).all()


def mirrored_name(name: str) -> str:
    return {"left": "right", "right": "left"}.get(name.split("_")[0], name.split("_")[0]) + name[
        len(name.split("_")[0]) :
    ]


class TestTimeline:
    @pytest.mark.parametrize("name", list(TIMELINES))
    def test_pieces_cover_the_video_without_gaps(self, name: str) -> None:
        for pieces in timelines(name):
            assert pieces[0].start == 0
            assert all(before.end == after.start for before, after in itertools.pairwise(pieces))
            assert 49.9 < pieces[-1].end < 90.1

    @pytest.mark.parametrize("name", list(TIMELINES))
    def test_counts_and_lengths_are_in_range(self, name: str) -> None:
        rule = TIMELINES[name]
        for pieces in timelines(name):
            classes = {piece.what for piece in pieces if piece.is_action}
            assert rule.classes[0] <= len(classes) <= rule.classes[1]
            assert rule.instances[0] <= len(lengths(pieces)) <= rule.instances[1]
            assert rule.length[0] - 1e-9 <= min(lengths(pieces))
            assert max(lengths(pieces)) <= rule.length[1] + 1e-9

    @pytest.mark.parametrize("name", list(TIMELINES))
    def test_instances_contain_whole_cycles(self, name: str) -> None:
        for piece in itertools.chain.from_iterable(timelines(name, 30)):
            if piece.is_action:
                cycles = (piece.end - piece.start) * piece.tempo / ACTIONS[piece.what].period
                assert cycles == pytest.approx(round(cycles))

    @pytest.mark.parametrize("name", list(TIMELINES))
    def test_background_has_the_configured_share(self, name: str) -> None:
        videos = timelines(name)
        share = 1 - sum(map(sum, map(lengths, videos))) / sum(pieces[-1].end for pieces in videos)
        assert share == pytest.approx(TIMELINES[name].background, abs=0.04)

    @pytest.mark.parametrize("name", list(TIMELINES))
    def test_instances_never_touch(self, name: str) -> None:
        for pieces in timelines(name):
            assert not any(before.is_action and after.is_action for before, after in itertools.pairwise(pieces))


class TestChoreography:
    PIECES = (Piece(0, 4, "idle", 1.0), Piece(4, 10, "squat", 1.0), Piece(10, 14, "walk", 1.0))

    def choreography(self, pieces: tuple[Piece, ...] = PIECES, seed: int = 0) -> Choreography:
        return Choreography(pieces, Body(), np.random.default_rng(seed))

    def test_shares_cross_at_the_boundary_and_sum_to_one(self) -> None:
        actual = shares(np.array([0.0, 3.85, 4.0, 4.15]), [4.0], [0.3])
        np.testing.assert_allclose(actual, [[1, 0], [1, 0], [0.5, 0.5], [0, 1]], atol=1e-12)

    def test_within_a_segment_the_pose_follows_the_action(self) -> None:
        seconds = np.arange(4.2, 9.8, 0.1)
        knee = self.choreography().pose(seconds)[:, POSE.index("left_knee")]
        expected = ACTIONS["squat"].cycle((seconds - 4) / ACTIONS["squat"].period)[:, POSE.index("left_knee")]
        assert np.corrcoef(knee, expected)[0, 1] > 0.99

    def test_an_action_does_not_affect_poses_outside_its_segment(self) -> None:
        without_squat = tuple(
            Piece(piece.start, piece.end, "idle" if piece.is_action else piece.what, 1.0) for piece in self.PIECES
        )
        squatting, idle = self.choreography(), self.choreography(without_squat)
        before, within = np.arange(0, 3.8, 0.1), np.arange(4.5, 9.5, 0.1)
        np.testing.assert_array_equal(squatting.pose(before), idle.pose(before))
        assert np.abs(squatting.pose(within) - idle.pose(within)).max() > 1

    def test_motion_is_continuous(self) -> None:
        places = self.choreography().joints(np.arange(0, 14, 1 / 120))
        assert np.linalg.norm(np.diff(places, axis=0), axis=-1).max() < 0.12

    def test_the_figure_stays_near_the_origin(self) -> None:
        pieces = (Piece(0, 40, "walk", 1.2), Piece(40, 80, "crawl", 1.0))
        place = self.choreography(pieces).place(np.arange(0, 80, 0.1))
        assert np.hypot(place[:, 0], place[:, 1]).max() < 1.0

    def test_a_spin_makes_full_turns_and_is_not_reversed(self) -> None:
        pieces = (Piece(0, 3, "idle", 1.0), Piece(3, 9, "spin", 1.0), Piece(9, 14, "idle", 1.0))
        heading = self.choreography(pieces).place(np.array([3.5, 8.5, 13.5]))[:, 2]
        assert heading[1] - heading[0] == pytest.approx(2 * np.pi * 5 / 1.5, abs=0.1)
        assert abs(heading[2] - heading[1]) < 2 * np.pi

    def test_idle_motion_moves_the_arms(self) -> None:
        pose = Idle(30.0, 1.0, np.random.default_rng(0))(np.arange(0, 30, 0.25))
        assert pose[:, POSE.index("right_elbow")].std() > 0.1


class TestStyle:
    def test_no_two_splits_share_a_cell(self) -> None:
        generator = np.random.default_rng(0)
        cells = {
            split: {tuple(int(style.CELLS * value) for value in style.square(split, generator)) for _ in range(600)}
            for split in style.SPLITS
        }
        for first, second in itertools.combinations(style.SPLITS, 2):
            assert not cells[first] & cells[second]

    def test_every_split_covers_the_full_range(self) -> None:
        generator = np.random.default_rng(0)
        for split in style.SPLITS:
            samples = np.array([style.square(split, generator) for _ in range(400)])
            assert (samples.min(axis=0) < 0.1).all()
            assert (samples.max(axis=0) > 0.9).all()

    def test_no_two_splits_share_a_tempo(self) -> None:
        generator = np.random.default_rng(0)
        edges = np.exp(np.linspace(np.log(0.75), np.log(1.35), style.CELLS + 1))
        cells = {split: set(np.digitize(style.tempos(split, generator, 300), edges)) for split in style.SPLITS}
        for first, second in itertools.combinations(style.SPLITS, 2):
            assert not cells[first] & cells[second]


class TestVideos:
    """Tests that need OpenCV for drawing."""

    @pytest.fixture(autouse=True)
    def require_opencv(self) -> None:
        pytest.importorskip("cv2", reason="drawing the figure needs opencv-python-headless")

    def spec(self, level: int = 1, timeline: str = "short", split: str = "training"):
        from rendered.world import videos

        return next(videos(level, timeline, {split: 1}, seed=3))

    def frames(self, seconds: np.ndarray, level: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
        return np.stack(list(self.spec(level).open().frames(seconds, size)))

    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_equal_seeds_give_identical_frames(self, level: int) -> None:
        seconds = np.arange(6) / 4
        np.testing.assert_array_equal(self.frames(seconds, level), self.frames(seconds, level))

    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_frames_do_not_depend_on_the_frame_rate(self, level: int) -> None:
        slow, fast = np.arange(20) / 4, np.arange(80) / 16
        np.testing.assert_array_equal(self.frames(slow, level), self.frames(fast, level)[::4])

    @pytest.mark.parametrize("size", [(64, 64), (48, 80), (128, 128)])
    def test_frames_have_the_requested_size(self, size: tuple[int, int]) -> None:
        pictures = self.frames(np.arange(2) / 4, 2, size)
        assert pictures.shape == (2, *size, 3)
        assert pictures.dtype == np.uint8

    def test_the_performance_is_the_same_at_every_level(self) -> None:
        assert self.spec(0).pieces == self.spec(2).pieces
        assert self.spec(0).who == self.spec(2).who

    def test_harder_levels_have_more_motion_in_the_background(self) -> None:
        seconds = np.array([1.0, 5.0])
        plain, moving = (np.abs(np.diff(self.frames(seconds, level)[:, :20].astype(float), axis=0)) for level in (0, 2))
        assert np.median(moving) > 2 * np.median(plain)

    def test_adding_videos_does_not_change_the_others(self) -> None:
        from rendered.world import videos

        few, many = (list(videos(1, "long", {"validation": count})) for count in (2, 4))
        assert few == many[:2]

    def test_annotations_list_segments_except_those_of_unlabeled_videos(self, tmp_path: Path) -> None:
        from rendered.world import videos, write_annotations

        specs = list(videos(1, "short", {"training": 2, "unlabeled": 2}))
        write_annotations(specs, tmp_path / "a.json")
        read = read_annotations(tmp_path / "a.json")
        for spec in specs:
            actions = [piece for piece in spec.pieces if piece.is_action]
            expected = [] if spec.split == "unlabeled" else [piece.start for piece in actions]
            assert read.videos[spec.name].segments.start.tolist() == expected
            assert read.videos[spec.name].duration == spec.duration
        assert {record["subset"] for record in json.loads((tmp_path / "a.json").read_text())["database"].values()} == {
            "training",
            "unlabeled",
        }

    @pytest.mark.parametrize(
        ("level", "timeline", "counts", "message"),
        [
            (3, "long", {"training": 1}, "level=3: expected one of 0, 1, 2"),
            (0, "medium", {"training": 1}, "timeline='medium': expected one of long, short"),
            (0, "long", {"trimmed": 1}, "'trimmed': 1 videos"),
        ],
    )
    def test_unknown_data_sets_are_rejected(
        self, level: int, timeline: str, counts: dict[str, int], message: str
    ) -> None:
        from rendered.world import videos

        with pytest.raises(SolaError, match=message):
            next(videos(level, timeline, counts))

    def test_trimmed_clips_are_reproducible_and_cycle_through_the_classes(self) -> None:
        from rendered.trimmed import CLASSES, clips

        selected = list(clips(len(CLASSES) + 1))
        assert [clip.label for clip in selected] == [*range(len(CLASSES)), 0]
        first = selected[0].frames(count=4, size=(32, 32))
        assert first.shape == (4, 32, 32, 3)
        np.testing.assert_array_equal(first, next(clips(1)).frames(count=4, size=(32, 32)))
