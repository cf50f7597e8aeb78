import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sola.data.segments import BACKGROUND
from sola.data.snippet_labels import SnippetLabels
from sola.training.linear import FOLDS, PENALTIES, SINGLE_VIDEO_PENALTY, fit_ridge, fit_sgd, video_folds


class Ridge:
    """Ridge regression with an intercept, from the normal equations."""

    def __init__(self, alpha):
        self.alpha = alpha

    def fit(self, features, target):
        mean = features.mean(axis=0)
        centered = features - mean
        gram = centered.T @ centered + self.alpha * np.eye(len(mean))
        self.weight = np.linalg.solve(gram, centered.T @ (target - target.mean(axis=0)))
        self.bias = target.mean(axis=0) - mean @ self.weight
        return self

    def predict(self, features):
        return features @ self.weight + self.bias


SINGLE = np.eye(3, dtype=bool)
"""Sets of one class."""
OVERLAPPING = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 1, 0]], dtype=bool)
"""Sets of one to three classes."""


def snippets(seed=0, count=300, channels=6, sets=SINGLE):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, channels)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, SnippetLabels(generator.integers(-1, len(sets), size=count), sets)


@pytest.mark.parametrize("sets", [SINGLE, OVERLAPPING])
def test_sgd_equals_sgd_of_torch(sets):
    features, labels = snippets(sets=sets)
    fitted = fit_sgd(features, labels, seed=5, epochs=4, batch=64, learning_rate=0.3, momentum=0.9)
    shares = torch.from_numpy(sets / sets.sum(axis=1, keepdims=True)).float()

    generator = np.random.default_rng(5)
    layer = torch.nn.Linear(6, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(generator.uniform(-(6**-0.5), 6**-0.5, (4, 6))))
        layer.bias.zero_()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3, momentum=0.9)
    for _ in range(4):
        order = generator.permutation(len(features))
        for start in range(0, len(features), 64):
            chosen = order[start : start + 64]
            output, index = layer(torch.from_numpy(features[chosen])), torch.from_numpy(labels.index[chosen])
            action = index >= 0
            loss = F.binary_cross_entropy_with_logits(output[:, 0], action.float())
            loss = loss + F.cross_entropy(output[action, 1:], shares[index[action]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    np.testing.assert_allclose(fitted.weight, layer.weight.detach().numpy().T, atol=1e-5)
    np.testing.assert_allclose(fitted.bias, layer.bias.detach().numpy(), atol=1e-5)


def test_sgd_is_repeatable_and_depends_on_the_seed():
    features, labels = snippets()
    first, second, other = (fit_sgd(features, labels, seed=seed, epochs=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weight, second.weight)
    assert not np.array_equal(first.weight, other.weight)


def test_sgd_is_finite_for_batches_without_action():
    features, labels = snippets(count=40)
    labels.index[:] = BACKGROUND
    labels.index[0] = 2
    assert np.isfinite(fit_sgd(features, labels, seed=0, epochs=3, batch=4).weight).all()


def targets(labels):
    action = labels.index != BACKGROUND
    return np.where(action, 1.0, -1.0), np.where(labels.sets[labels.index[action]], 1.0, -1.0), action


def ridge_oracle(features, target, fold):
    """Ridge regression with the penalty of the lowest squared error on held-out folds."""
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for held_out in np.unique(fold):
            training = fold != held_out
            model = Ridge(alpha=penalty * training.sum()).fit(features[training], target[training])
            error += ((model.predict(features[~training]) - target[~training]) ** 2).sum()
        errors.append(error)
    best = PENALTIES[int(np.argmin(errors))]
    return Ridge(alpha=best * len(features)).fit(features, target)


@pytest.mark.parametrize(
    ("sets", "channels"),
    [
        pytest.param(SINGLE, 6, id="one class"),
        pytest.param(OVERLAPPING, 6, id="several classes"),
        pytest.param(OVERLAPPING, 80, id="more channels than action snippets"),
        pytest.param(SINGLE, 120, id="more channels than snippets"),
    ],
)
def test_ridge_equals_the_normal_equations(monkeypatch, sets, channels):
    monkeypatch.setattr("sola.training.linear.SLICE", 17)
    features, labels = snippets(count=90, channels=channels, sets=sets)
    features = features.astype(np.float64)
    lengths = [20, 10, 10, 20, 10, 5, 15]
    fitted = fit_ridge(features, labels, lengths=lengths)
    binary, one_hot, action = targets(labels)
    fold = np.repeat(np.arange(7) % FOLDS, lengths)
    expected = ridge_oracle(features, binary, fold)
    np.testing.assert_allclose(fitted.weight[:, 0], expected.weight.ravel(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted.action(features), expected.predict(features).ravel(), rtol=1e-6, atol=1e-9)
    expected = ridge_oracle(features[action], one_hot, fold[action])
    np.testing.assert_allclose(fitted.weight[:, 1:], expected.weight, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(fitted.classes(features), expected.predict(features).argmax(axis=1))


def test_ridge_chooses_a_larger_penalty_for_noise():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 20))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    planted = np.where(features[:, 0] > 0, 0, BACKGROUND)
    noise = generator.integers(-1, 1, size=200)
    sizes = [
        np.linalg.norm(fit_ridge(features, SnippetLabels(index, SINGLE), lengths=[40] * 5).weight[:, 0])
        for index in (planted, noise)
    ]
    assert sizes[1] < 0.1 * sizes[0]


def test_ridge_has_a_fixed_penalty_for_a_single_video():
    features, labels = snippets(count=50)
    fitted = fit_ridge(features, labels, lengths=[50])
    expected = Ridge(alpha=SINGLE_VIDEO_PENALTY * 50).fit(features.astype(np.float64), targets(labels)[0])
    np.testing.assert_allclose(fitted.weight[:, 0], expected.weight.ravel(), rtol=1e-6)


@pytest.mark.parametrize("solver", ["sgd", "ridge"])
def test_a_class_without_training_snippets_is_never_predicted(solver):
    features, labels = snippets(sets=np.eye(2, 4, dtype=bool))
    fitted = (
        fit_sgd(features, labels, seed=0) if solver == "sgd" else fit_ridge(features, labels, lengths=[100, 100, 100])
    )
    assert set(fitted.classes(features)) <= {0, 1}


def test_folds_never_split_a_video():
    lengths = [3, 1, 4, 1, 5, 9, 2]
    fold = video_folds(lengths, folds=3)
    video = np.repeat(np.arange(7), lengths)
    assert all(len(set(fold[video == index])) == 1 for index in range(7))
    assert set(fold) == {0, 1, 2}
