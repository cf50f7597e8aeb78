import numpy as np
import pytest

from sola.softlanding.timescale import measure


def videos(generator, count=40, length=200, channels=4, *, hold=None, drift=None, noise=0.5):
    """White noise and, in one direction, a unit signal held for `hold` snippets on average or drifting on `drift`."""
    direction = np.full(channels, channels**-0.5)
    made = []
    for _ in range(count):
        signal = np.zeros(length)
        if hold is not None:
            starts = np.cumsum(generator.exponential(hold, size=length))
            held = generator.choice([-1.0, 1.0], size=length + 1)
            signal = held[np.searchsorted(starts, np.arange(length))]
        if drift is not None:
            kept = np.exp(-1 / drift)
            for now in range(length):
                before = signal[now - 1] if now else generator.normal() / np.sqrt(1 - kept**2)
                signal[now] = kept * before + generator.normal()
            signal *= np.sqrt(1 - kept**2)
        made.append(signal[:, None] * direction + noise * generator.normal(size=(length, channels)))
    return made


def test_white_noise_does_not_last():
    time = measure(videos(np.random.default_rng(0)), np.random.default_rng(1))
    assert abs(time.persistence) < 0.05
    assert time.evidence < 3


@pytest.mark.parametrize("drift", [3.0, 12.0])
def test_the_decorrelation_time_of_a_gaussian_drift_is_found_and_no_jumps(drift):
    time = measure(videos(np.random.default_rng(0), drift=drift, channels=1), np.random.default_rng(1))
    assert time.slow == pytest.approx(drift, rel=0.25)
    assert time.white == pytest.approx(0.2, abs=0.1)
    assert time.evidence < 3


def test_jumps_are_told_from_drift_and_their_scale_follows_the_length_of_segments():
    found = {hold: measure(videos(np.random.default_rng(0), hold=hold), np.random.default_rng(1)) for hold in (5, 20)}
    assert all(time.evidence > 3 for time in found.values())
    assert 2 < found[20].jump_scale / found[5].jump_scale < 8
    assert 2 < found[20].jumping / found[5].jumping < 8


def test_a_weak_direction_counts_as_much_as_a_strong_one():
    generator = np.random.default_rng(0)
    strong_noise = [
        np.hstack([video, 30 * generator.normal(size=(len(video), 4))]) for video in videos(generator, hold=20)
    ]
    assert measure(strong_noise, np.random.default_rng(1)).evidence > 3


def test_the_readings_do_not_depend_on_the_scale_of_the_features():
    plain = videos(np.random.default_rng(0), hold=10)
    one = measure(plain, np.random.default_rng(1))
    ten = measure([10 * video for video in plain], np.random.default_rng(1))
    assert ten.jump_scale == pytest.approx(one.jump_scale, rel=1e-6)
    assert ten.jumping == pytest.approx(one.jumping)


def test_a_single_video_is_cut_into_parts_to_tell_what_is_certain():
    time = measure(videos(np.random.default_rng(0), count=1, length=4000, hold=20), np.random.default_rng(1))
    assert time.evidence > 3


def test_one_short_video_is_no_evidence():
    time = measure(videos(np.random.default_rng(0), count=1, length=200, hold=10), np.random.default_rng(1))
    assert time.evidence == 0
    assert np.isfinite(time.slow)
