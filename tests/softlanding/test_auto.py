import json

import numpy as np
import pytest
from support.synthetic import SyntheticWorld, generate

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.auto import suggest


@pytest.fixture
def stored(tmp_path):
    """Write arrays by id to a folder and open it."""
    count = iter(range(1000))

    def store(arrays):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        for video, array in arrays.items():
            np.save(folder / f"{video}.npy", array)
        return FeatureSet.open(folder)

    return store


def world(seed=0, **knobs):
    return generate(SyntheticWorld(**knobs), seed)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "easy"), [(0, False), pytest.param(1, False, marks=pytest.mark.long), (0, True)])
def test_the_step_goes_where_the_length_of_the_actions_goes(stored, seed, easy):
    steps = [suggest(stored(world(seed, action_length=length, easy=easy))).step for length in (4.0, 16.0, 64.0)]
    assert steps[0] < steps[1] < steps[2]


def test_a_window_at_the_default_world_spans_one_to_two_actions(stored):
    suggestion = suggest(stored(world()))
    assert 16 <= 7 * suggestion.step <= 32
    assert suggestion.center
    assert suggestion.k == 16


def test_the_same_features_and_seed_give_the_same_suggestion(stored):
    features = stored(world(training_videos=30, validation_videos=1))
    assert suggest(features, seed=3) == suggest(features, seed=3)


def test_ten_times_the_features_give_the_same_suggestion(stored):
    arrays = {video: array.astype(np.float32) for video, array in world(training_videos=30).items()}
    plain, scaled = suggest(stored(arrays)), suggest(stored({video: 10 * array for video, array in arrays.items()}))
    assert plain == scaled


def test_white_noise_gets_the_published_step_and_says_so(stored):
    generator = np.random.default_rng(0)
    suggestion = suggest(stored({f"v{i}": generator.normal(size=(150, 16)) for i in range(20)}))
    assert (suggestion.step, suggestion.k, suggestion.center, suggestion.smoothing) == (8, 16.0, False, 1)
    assert "white noise" in suggestion.reasons["step"]
    assert "published" in suggestion.reasons["step"]


@pytest.mark.parametrize("length", [80, 60, 30])
def test_the_window_fits_into_most_videos(stored, length):
    generator = np.random.default_rng(0)
    drift = {f"v{i}": generator.normal(size=(length, 8)).cumsum(axis=0) for i in range(20)}
    suggestion = suggest(stored(drift))
    assert 7 * suggestion.step + 9 <= length
    assert 7 * (suggestion.step + 1) + 9 > length
    assert f"at most {suggestion.step}" in suggestion.reasons["step"]


def test_k_makes_up_for_a_step_that_does_not_fit(stored):
    generator = np.random.default_rng(0)
    # lasting too long for videos of 40 snippets, whose longest step is 4
    drift = {f"v{i}": np.outer(np.arange(40), generator.normal(size=8)) + generator.normal(size=8) for i in range(20)}
    suggestion = suggest(stored(drift))
    assert suggestion.step == 4
    assert suggestion.k > 16
    assert "instead of 3.8" in suggestion.reasons["k"]


def test_videos_too_short_for_any_window_are_said_to_be(stored):
    generator = np.random.default_rng(0)
    suggestion = suggest(stored({f"v{i}": generator.normal(size=(12, 8)) for i in range(5)}))
    assert suggestion.step == 1
    assert "shorter than the shortest window of 16" in suggestion.reasons["step"]


@pytest.mark.parametrize(
    "arrays",
    [
        {f"v{i}": np.full((60, 4), float(i)) for i in range(5)},
        {"v": np.zeros((60, 4))},
        {"v": np.random.default_rng(0).normal(size=(300, 4))},
        {"v": np.random.default_rng(0).normal(size=(1, 4))},
        {f"v{i}": np.random.default_rng(i).normal(size=(90, 1)) for i in range(5)},
        {f"v{i}": np.random.default_rng(i).normal(size=(length, 4)) for i, length in enumerate([1, 2, 30, 400])},
        {**{f"v{i}": np.random.default_rng(i).normal(size=(90, 4)) for i in range(5)}, "still": np.ones((90, 4))},
        {f"v{i}": np.random.default_rng(i).normal(size=(20, 600)) for i in range(3)},
        {"v": np.concatenate([np.zeros((600, 4)), np.random.default_rng(0).normal(size=(300, 4)).cumsum(axis=0)])},
        {f"v{i}": np.arange(90)[:, None] % 2 * np.ones(4) for i in range(9)},
    ],
    ids=[
        "constant",
        "zero",
        "one video",
        "one snippet",
        "one channel",
        "mixed lengths",
        "one constant",
        "wide",
        "long still",
        "flicker",
    ],
)
def test_odd_features_still_get_a_suggestion(stored, arrays):
    suggestion = suggest(stored(arrays))
    assert suggestion.step >= 1
    assert suggestion.smoothing % 2 == 1
    assert all("\n" not in reason and reason for reason in suggestion.reasons.values())
    json.dumps([suggestion.step, suggestion.k, suggestion.center, suggestion.smoothing, dict(suggestion.reasons)])


def test_centering_is_suggested_where_videos_differ_more_than_their_snippets(stored):
    generator = np.random.default_rng(0)
    noise = {f"v{i}": generator.normal(size=(50, 8)) for i in range(10)}
    scenes = {video: array + 3 * generator.normal(size=8) for video, array in noise.items()}
    assert not suggest(stored(noise)).center
    assert suggest(stored(scenes)).center


def test_a_bad_file_is_an_error_or_left_out(tmp_path):
    generator = np.random.default_rng(0)
    for i in range(5):
        np.save(tmp_path / f"v{i}.npy", generator.normal(size=(60, 4)))
    np.save(tmp_path / "bad.npy", np.full((60, 4), np.nan))
    with pytest.raises(SolaError, match="bad"):
        suggest(FeatureSet.open(tmp_path))
    assert suggest(FeatureSet.open(tmp_path, skip_bad=True)).step >= 1


def test_no_readable_file_is_an_error(tmp_path):
    np.save(tmp_path / "bad.npy", np.full((60, 4), np.nan))
    features = FeatureSet.open(tmp_path, skip_bad=True)
    with pytest.raises(SolaError, match=r"bad\.npy: holds NaN .*; none of 1 videos is left$"):
        suggest(features)


def test_on_gtea_a_window_lasts_one_to_two_actions(shared_data):
    suggestion = suggest(FeatureSet.open(shared_data / "gtea" / "split1" / "features"))
    seconds = 7 * suggestion.step / 15
    assert 2.5 < seconds < 6
