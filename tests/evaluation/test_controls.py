import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.evaluation.controls import (
    NAMES,
    SHRINKAGE,
    center,
    fit_controls,
    moving_average,
    slow_directions,
)
from sola.evaluation.untrained import UntrainedModule, untrained_like
from sola.softlanding.moments import video_moments, whitening
from sola.softlanding.multiscale import MultiScaleSoLa
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule


def walks(seed=0, videos=4, channels=6):
    """Return videos whose channels drift at different speeds around a video-specific mean."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(videos):
        drift = generator.normal(size=(int(generator.integers(60, 90)), channels))
        for t in range(1, len(drift)):
            drift[t] += np.linspace(0.0, 0.95, channels) * drift[t - 1]
        mixed = drift @ generator.normal(size=(channels, channels)) + 5 * generator.normal(size=channels)
        found.append(mixed.astype(np.float32))
    return found


def small(**changes):
    return UntrainedModule(**({"channels": 6, "hidden": 8} | changes))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.sampled_from([1, 3, 5, 9, 65]))
def test_moving_average_matches_a_loop(length, width):
    features = np.random.default_rng(length).normal(size=(length, 2)).astype(np.float32)
    averaged = moving_average(features, width)
    for t in range(length):
        near = [features[u] for u in range(length) if abs(u - t) <= width // 2]
        np.testing.assert_allclose(averaged[t], np.mean(near, axis=0), atol=1e-6)
    assert averaged.dtype == np.float32


def test_an_even_width_is_refused():
    with pytest.raises(SolaError, match="width=4: expected an odd number"):
        moving_average(np.zeros((3, 1), np.float32), 4)


def test_moments_match_loops():
    videos = walks()
    moments = video_moments(videos)
    covariance, differences, snippets, steps = np.zeros((6, 6)), np.zeros((6, 6)), 0, 0
    for video in videos:
        mean = video.astype(np.float64).mean(axis=0)
        for t in range(len(video)):
            covariance += np.outer(video[t] - mean, video[t] - mean)
            snippets += 1
            if t:
                step = video[t].astype(np.float64) - video[t - 1]
                differences += np.outer(step, step)
                steps += 1
    np.testing.assert_allclose(moments.covariance, covariance / snippets, rtol=1e-9)
    np.testing.assert_allclose(moments.difference_covariance, differences / steps, rtol=1e-9)
    np.testing.assert_allclose(moments.mean, np.concatenate(videos).mean(axis=0, dtype=np.float64), rtol=1e-9)


def test_slow_features_are_uncorrelated_with_unit_variance_in_order_of_slowness():
    videos = walks()
    moments = video_moments(videos)
    directions = slow_directions(moments, 4)
    outputs = [center(video).astype(np.float64) @ directions for video in videos]
    stacked = np.concatenate(outputs)
    np.testing.assert_allclose(stacked.T @ stacked / len(stacked), np.eye(4), atol=1e-5)
    steps = np.concatenate([np.diff(output, axis=0) for output in outputs])
    slowness = (steps**2).mean(axis=0)
    optimum = scipy.linalg.eigh(moments.difference_covariance, moments.covariance, eigvals_only=True)
    np.testing.assert_allclose(slowness, optimum[:4], rtol=1e-4)
    assert (np.diff(slowness) > 0).all()


def test_slow_features_find_the_planted_slow_direction():
    generator = np.random.default_rng(0)
    slow = np.sin(np.arange(400) / 40)
    mixed = np.column_stack((0.1 * slow, generator.normal(size=(400, 3)))) @ generator.normal(size=(4, 4))
    found = center(mixed) @ slow_directions(video_moments([mixed]), 1)
    assert abs(np.corrcoef(found[:, 0], slow)[0, 1]) > 0.99


def test_slow_features_skip_constant_directions():
    videos = [np.column_stack((video, np.ones(len(video)), video[:, 0])).astype(np.float32) for video in walks()]
    assert slow_directions(video_moments(videos), 64).shape == (8, 6)


def test_whitening_whitens_within_videos_up_to_shrinkage():
    moments = video_moments(walks())
    matrix = whitening(moments.covariance, SHRINKAGE)
    shrunk = moments.covariance + SHRINKAGE * np.trace(moments.covariance) / 6 * np.eye(6)
    np.testing.assert_allclose(matrix @ shrunk @ matrix, np.eye(6), atol=1e-9)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)


def test_untrained_residual_adds_the_gated_direct_module():
    video = walks()[0]
    module = small(gate=0.3)
    expected = video + np.float32(0.3) * module.transform(7, "direct")(video)
    np.testing.assert_allclose(module.transform(7, "adapter")(video), expected, atol=1e-5)
    assert not np.allclose(module.transform(7, "direct")(video), module.transform(8, "direct")(video))
    np.testing.assert_array_equal(module.transform(7, "direct")(video), module.transform(7, "direct")(video))


def test_untrained_modules_have_the_conditioning_and_smoothing_of_the_trained_module():
    trained = SoLa(6, hidden=8, gate="linear", conditioning="center+scale", smoothing=3)
    with torch.no_grad():
        trained.alpha.fill_(0.0)
        trained.scale.fill_(2.0)
    video = walks()[0]
    untrained = untrained_like(TrainedModule(trained).describe())
    np.testing.assert_allclose(
        untrained.transform(0, "adapter")(video), moving_average(center(video) / 2, 3), atol=1e-5
    )


def test_untrained_modules_do_not_change_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    small().transform(5, "direct")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("entry", [{}, {"config": None, "gate": 1, "scale": 1}, {"config": {}, "gate": 1, "scale": 1}])
def test_an_invalid_manifest_entry_is_refused(entry):
    with pytest.raises(SolaError, match='invalid "sola" entry in a manifest'):
        untrained_like(entry)


def test_controls_have_the_expected_names_and_transform_a_video():
    videos = walks()
    controls = fit_controls(videos, {"ours": (small(),)})
    assert tuple(control.name for control in controls) == NAMES
    for control in controls:
        output = control.at_seed(0)(videos[0])
        assert output.dtype == np.float32
        assert len(output) == len(videos[0])


def test_controls_do_what_their_names_say():
    videos = walks()
    controls = {control.name: control.at_seed(0) for control in fit_controls(videos, {})}
    moments, video = video_moments(videos), videos[1]
    centered = video - video.mean(axis=0)
    slow = centered @ slow_directions(moments, 16)
    for name, expected in {
        "centered": centered,
        "average 9": moving_average(video, 9),
        "centered, average 33": moving_average(centered, 33),
        "scene removed, average 9": moving_average(
            video - moments.mean - moments.scene_share * (video.mean(axis=0) - moments.mean), 9
        ),
        "slow 16": slow,
        "slow 16, average 9": moving_average(slow, 9),
        "whitened": (video - moments.mean) @ whitening(moments.covariance, SHRINKAGE),
        "centered, whitened": centered @ whitening(moments.covariance, SHRINKAGE),
    }.items():
        np.testing.assert_allclose(controls[name](video), expected, atol=1e-4)


def test_each_of_several_modules_has_its_own_untrained_controls():
    controls = fit_controls(walks(), {"a": (small(gate=0.1), small(gate=0.2)), "b": (small(),)})
    assert [control.name for control in controls][-4:] == [
        "untrained direct (a)",
        "untrained residual (a)",
        "untrained direct (b)",
        "untrained residual (b)",
    ]
    residual, video = controls[-3], walks()[0]
    np.testing.assert_array_equal(residual.at_seed(3)(video), small(gate=0.2).transform(3, "adapter")(video))


def test_features_that_never_change_are_refused():
    with pytest.raises(SolaError, match="never change"):
        fit_controls([np.ones((5, 2), np.float32)], {})
    with pytest.raises(SolaError, match="two snippets"):
        fit_controls([np.ones((1, 2), np.float32)], {})


def test_an_untrained_multi_scale_module_differs_from_the_trained_module_only_in_weights():
    """Same conditioning, input parts and gate; each part is scaled as in the trained module."""
    videos = walks()
    trained = MultiScaleSoLa(6, steps=(1, 2), random_steps=(1,), hidden=8, reduced=4, average=3).eval()
    for module in trained.trained:
        torch.nn.init.constant_(module.alpha, 0.5)
    untrained = untrained_like(TrainedModule(trained).describe())
    moments = video_moments(videos)
    for form in ("adapter", "direct"):
        first, same, other = (untrained.transform(seed, form, moments, videos) for seed in (0, 0, 1))
        out = np.concatenate([first(video) for video in videos])
        assert out.shape[1] == 3 * 4 + 6 + 4
        np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-4)
        sizes = [np.sqrt(np.square(part).mean()) for part in np.split(out, [4, 8, 12, 18], axis=1)]
        np.testing.assert_allclose(sizes, [1, 1, 1, 1, 1 - moments.scene_share], atol=1e-3)
        np.testing.assert_array_equal(first(videos[0]), same(videos[0]))
        assert np.abs(first(videos[0]) - other(videos[0]))[:, :12].max() > 0.1
        scene = moments.mean + moments.scene_share * (videos[0].mean(axis=0) - moments.mean)
        expected = moving_average(videos[0] - scene, 3)
        expected -= expected.mean(axis=0)
        got = first(videos[0])[:, 12:18]
        got -= got.mean(axis=0)
        np.testing.assert_allclose(got / got.std(), expected / expected.std(), atol=1e-4)
    with_gate = untrained.transform(0, "adapter", moments, videos).args[0]
    assert with_gate.gate_value() == pytest.approx(trained.gate_value(), abs=1e-6)
