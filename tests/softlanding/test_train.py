"""Training: a step against its definition, seeds, exact resume, and refused inputs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import sola.training.checkpoint
from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.ragged import pack
from sola.softlanding.config import TrainingConfig
from sola.softlanding.losses import lambda_target
from sola.softlanding.task import SimilarityMatching, collapse, dropout_mask
from sola.softlanding.train import train
from sola.softlanding.trained import TrainedModule
from sola.training.run import Run
from sola.training.trainer import backward

CPU = torch.device("cpu")
SMALL = TrainingConfig(step=2, hidden=16, projector_hidden=8, epochs=4, batch_size=4, precision="fp32", device="cpu")


def replaced(config: TrainingConfig, **values: object) -> TrainingConfig:
    return TrainingConfig(**{**vars(config), **values})


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    """Six videos of 40 to 65 slowly changing snippets, and one too short for a window of 23."""
    folder = tmp_path / "features"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i, length in enumerate((40, 45, 50, 55, 60, 65, 12)):
        walk = generator.normal(size=(length, 12)).cumsum(axis=0)
        np.save(folder / f"video{i}.npy", walk.astype(np.float16))
    return FeatureSet.open(folder)


def test_a_step_equals_its_definition(features: FeatureSet) -> None:
    """Dense convolutions over whole windows, plain formulas and AdamW give the same weights after two steps."""
    config = replaced(SMALL, conditioning="center+scale", learning_rate=1e-2)
    task = SimilarityMatching(config, pack(features), CPU)
    with torch.no_grad():
        task.model.module.alpha.fill_(0.3)
    plain = SimilarityMatching(config, pack(features), CPU)
    plain.model.load_state_dict(task.model.state_dict())
    fast_optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-2, weight_decay=0.01, fused=True)
    slow_optimizer = torch.optim.AdamW(plain.model.parameters(), lr=1e-2, weight_decay=0.01)
    arrays = [features.read(video).astype(np.float32) for video in features.videos]
    residue = np.concatenate([array - array.mean(axis=0) for array in arrays])
    scale = float(np.sqrt(np.square(residue).mean()))
    for step in range(2):
        backward(task, task.batch(0, step), CPU, "fp32")
        fast_optimizer.step()
        fast_optimizer.zero_grad()

        drawn = slice(4 * step, 4 * step + 4)
        losses = []
        for video, first in zip(task.plan.video[drawn], task.plan.first[drawn], strict=True):
            start = first - task.packed.starts[video]
            window = (arrays[video] - arrays[video].mean(axis=0))[start : start + 23] / scale
            z = plain.model.module.adapt(torch.from_numpy(window)[None])[0][4 : 4 + 15 : 2]
            z = z / z.norm(dim=1, keepdim=True)
            g = plain.model.projector(z)
            for i in range(8):
                for j in range(8):
                    cosine = torch.dot(z[i].detach(), g[j] / g[j].norm())
                    target = lambda_target(8, 16.0)[i, j]
                    losses.append(F.binary_cross_entropy((1 + cosine) / 2, target))
        torch.stack(losses).mean().backward()
        slow_optimizer.step()
        slow_optimizer.zero_grad()
    for (name, got), expected in zip(task.model.named_parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("conditioning", ["none", "center+scale"])
def test_a_step_never_waits_for_the_device(features: FeatureSet, conditioning: str) -> None:
    """Tensors on the meta device have no values, so reading a value there would raise an error."""
    task = SimilarityMatching(replaced(SMALL, conditioning=conditioning), pack(features), torch.device("meta"))
    for step in range(2):
        batch = task.batch(0, step)
        loss = task.score(task.predict(batch), batch)
        loss.backward()
        assert {loss.device.type, task.plan.first.device.type, task.values.device.type} == {"meta"}
        assert all(parameter.grad is not None for parameter in task.model.parameters())


def weights(run: Path) -> bytes:
    return (run / "module.safetensors").read_bytes()


def test_the_weights_depend_only_on_the_seed(features: FeatureSet, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(features, replaced(SMALL, seed=seed), tmp_path / name, quiet=True)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


@pytest.mark.parametrize("conditioning", ["none", "center+scale"])
def test_features_above_the_memory_limit_are_mapped_and_give_the_same_bits(
    features: FeatureSet, tmp_path: Path, conditioning: str
) -> None:
    config = replaced(SMALL, conditioning=conditioning)
    above, within = tmp_path / "above", tmp_path / "within"
    train(features, config, within, quiet=True)
    train(features, config, above, memory_limit=100, quiet=True)
    assert (above / "module.safetensors").read_bytes() == (within / "module.safetensors").read_bytes()
    assert sorted(path.name for path in above.iterdir()) == sorted(path.name for path in within.iterdir())
    task = SimilarityMatching(config, pack(features, 100, tmp_path), CPU)
    assert isinstance(task.packed.values.base, np.memmap)
    if conditioning != "none":
        assert task.packed.row_each(12).shape == (len(features.videos), 12)
        assert isinstance(task.packed.row_each(12), np.memmap)


def test_training_lowers_the_loss_and_opens_the_gate(features: FeatureSet, tmp_path: Path) -> None:
    train(features, replaced(SMALL, epochs=40, learning_rate=1e-3), tmp_path / "run", quiet=True)
    rows = Run(tmp_path / "run").rows()
    assert rows[-1]["loss"] < 0.97 * rows[0]["loss"]
    assert abs(rows[-1]["gate"]) > 1e-3


@pytest.mark.parametrize("projector", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("loss", ["similarity_matching", "nt_xent", "softened_inside", "softened_outside"])
def test_every_objective_trains(features: FeatureSet, tmp_path: Path, loss: str, projector: str) -> None:
    config = replaced(SMALL, loss=loss, projector=projector, probability="exponential", form="direct", epochs=2)
    network = train(features, config, tmp_path / "run", quiet=True).network
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_bf16_has_nearly_the_losses_of_fp32(features: FeatureSet, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16"):
        train(features, replaced(SMALL, precision=precision), tmp_path / precision, quiet=True)
    losses = [[row["loss"] for row in Run(tmp_path / name).rows()] for name in ("fp32", "bf16")]
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)


def test_the_log_has_a_complete_row_per_epoch(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    expected = {"epoch", "loss", "gate", "windows_per_s", "feature_std", "effective_rank"}
    assert all(set(row) == expected for row in rows)


def test_the_stored_config_reproduces_the_run(features: FeatureSet, tmp_path: Path) -> None:
    train(features, replaced(SMALL, seed=5), tmp_path / "run", quiet=True)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    train(features, TrainingConfig(**config["training"]), tmp_path / "again", quiet=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "again")


def test_the_loaded_module_equals_the_trained_module(features: FeatureSet, tmp_path: Path) -> None:
    module = train(features, replaced(SMALL, conditioning="scale"), tmp_path / "run", quiet=True)
    x = torch.randn(1, 30, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TrainedModule.load(tmp_path / "run").network(x), module.network(x))


class PowerCutError(Exception):
    """Simulates a machine that goes down."""


@pytest.mark.parametrize("steps", [1, 2, 3, 6, 7])
def test_a_training_resumed_after_any_step_ends_in_the_same_bits(
    features: FeatureSet, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replaced(SMALL, dropout=0.5)
    train(features, config, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    monkeypatch.setattr(SimilarityMatching, "batch", fails_after(steps))
    with pytest.raises(PowerCutError):
        train(features, config, tmp_path / "cut", quiet=True)
    monkeypatch.setattr(SimilarityMatching, "batch", BATCH)
    train(features, config, tmp_path / "cut", resume=True, quiet=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    losses = [[row["loss"] for row in Run(tmp_path / name).rows()] for name in ("whole", "cut")]
    assert losses[0] == losses[1]


BATCH = SimilarityMatching.batch


def fails_after(steps: int) -> object:
    done = iter(range(steps))

    def batch(self: SimilarityMatching, epoch: int, step: int) -> object:
        if next(done, None) is None:
            raise PowerCutError
        return BATCH(self, epoch, step)

    return batch


def test_resume_is_logged_and_continues_from_the_last_checkpoint(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two steps per epoch and a checkpoint every three steps, a run stopped after step 5 continues from step 3."""
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 3)
    monkeypatch.setattr(SimilarityMatching, "batch", fails_after(5))
    with pytest.raises(PowerCutError):
        train(features, SMALL, tmp_path / "run", quiet=True)
    monkeypatch.setattr(SimilarityMatching, "batch", BATCH)
    train(features, SMALL, tmp_path / "run", resume=True, quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row.get("resumed_from_epoch") for row in rows] == [None, None, 1, None, None, None]
    assert [row["epoch"] for row in rows] == [1, 2, 1, 2, 3, 4]


def test_a_truncated_log_line_does_not_affect_other_lines(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append({"epoch": 1, "loss": 2.0})
    with run.log.open("a") as stream:
        stream.write('{"epoch": 2, "lo')
    run.append({"epoch": 2, "loss": 1.0})
    assert [row["loss"] for row in run.rows()] == [2.0, 1.0]


def test_invalid_log_lines_are_ignored(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append({"epoch": 1, "loss": 2.0})
    with run.log.open("ab") as stream:
        stream.write(b'3\n"loss"\n{"loss": 1}\n{"epoch": [2], "loss": 1}\n' + b"[" * 100_000 + b"\n\xff\n")
    assert [row["loss"] for row in run.rows()] == [2.0]


def test_training_keeps_the_random_state_of_the_caller(features: FeatureSet, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(features, SMALL, tmp_path / "run", quiet=True)
    assert torch.equal(torch.rand(3), expected)


def test_resume_without_a_run_starts_a_new_run(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", resume=True, quiet=True)
    train(features, SMALL, tmp_path / "other", quiet=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "other")


def test_resume_of_a_finished_run_changes_nothing(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", quiet=True)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "run").rglob("*.*")}
    train(features, SMALL, tmp_path / "run", resume=True, quiet=True)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "run").rglob("*.*")}


def test_resume_with_another_config_is_refused(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", quiet=True)
    with pytest.raises(SolaError, match=r"was started with requested step=2, now it is 1"):
        train(features, replaced(SMALL, step=1), tmp_path / "run", resume=True, quiet=True)


def test_resume_on_other_features_is_refused(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    monkeypatch.setattr(SimilarityMatching, "batch", fails_after(2))
    with pytest.raises(PowerCutError):
        train(features, SMALL, tmp_path / "run", quiet=True)
    with pytest.raises(SolaError, match=r"was started with requested videos=\w+, now it is \w+"):
        train(features.only(features.videos[:6]), SMALL, tmp_path / "run", resume=True, quiet=True)


def test_an_existing_run_is_replaced_only_with_overwrite(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", quiet=True)
    before = weights(tmp_path / "run")
    with pytest.raises(SolaError, match=r"exists already; continue with --resume"):
        train(features, replaced(SMALL, seed=1), tmp_path / "run", quiet=True)
    assert weights(tmp_path / "run") == before
    train(features, replaced(SMALL, seed=1), tmp_path / "run", overwrite=True, quiet=True)
    assert weights(tmp_path / "run") != before


def test_a_folder_that_is_not_a_run_is_not_overwritten(features: FeatureSet, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("text")
    with pytest.raises(SolaError, match=r"exists and is not a run of sola"):
        train(features, SMALL, tmp_path / "home", overwrite=True, quiet=True)


def test_short_videos_are_counted_and_not_used(
    features: FeatureSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        train(features, SMALL, tmp_path / "run")
    assert "1 of 7 videos are shorter than the window of 23 snippets" in caplog.text


def test_bad_files_are_counted_in_the_config(features: FeatureSet, tmp_path: Path) -> None:
    path = tmp_path / "features" / "video1.npy"
    np.save(path, np.full_like(np.load(path), np.nan))
    train(FeatureSet.open(tmp_path / "features", skip_bad=True), SMALL, tmp_path / "run", epochs=1)
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["features"]
    findings = [(finding["kind"], finding["count"]) for finding in data["findings"]]
    assert (data["videos"], findings) == (6, [("unreadable", 1)])


def test_features_shorter_than_the_window_are_refused_and_leave_no_run(features: FeatureSet, tmp_path: Path) -> None:
    source = re.escape(str(features.streams[0].source))
    with pytest.raises(SolaError, match=rf"^{source}: .* longest has 65 snippets, the window 79 .*; pass --step 8 or"):
        train(features, replaced(SMALL, step=10), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("margin", "cure"),
    [(30, "extract features with a smaller stride, or pass --step 1 --positions 5"), (32, "with a smaller stride")],
)
def test_the_error_for_videos_shorter_than_every_window_has_a_cure(
    margin: int, cure: str, features: FeatureSet, tmp_path: Path
) -> None:
    shortest = 8 + 2 * margin
    with pytest.raises(SolaError, match=rf"; no --step helps: the shortest window has {shortest} .*; .*{cure}$"):
        train(features, replaced(SMALL, margin=margin), tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [({"step": 0}, "step=0"), ({"epochs": 0}, "epochs=0"), ({"learning_rate": -1.0}, "learning_rate=-1.0"),
     ({"k": float("nan")}, "k=nan"), ({"margin": 1}, "margin=1"), ({"positions": 1}, "positions=1")],
)  # fmt: skip
def test_a_value_out_of_range_is_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(SolaError, match=named):
        TrainingConfig(**values)


def test_a_diverged_loss_is_reported(features: FeatureSet, tmp_path: Path) -> None:
    config = replaced(SMALL, learning_rate=1e30, gate="linear", epochs=20)
    with pytest.raises(SolaError, match=r"lower --learning-rate"):
        train(features, config, tmp_path / "run", quiet=True)


def test_collapse_measures_of_known_sets() -> None:
    axes = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    assert collapse(axes) == (pytest.approx(1.0), pytest.approx(4.0))
    assert collapse(torch.ones(5, 4).double() / 2) == (pytest.approx(0.0), pytest.approx(1.0))
    line = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    assert collapse(line)[1] == pytest.approx(1.0)


def test_dropout_zeroes_its_share() -> None:
    mask = dropout_mask((200, 100), 0.8, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mask.unique(), torch.tensor([0.0, 1.0]))
    assert float((mask == 0).float().mean()) == pytest.approx(0.8, abs=0.01)


def test_dropout_depends_on_the_step_and_is_repeatable(features: FeatureSet) -> None:
    task = SimilarityMatching(replaced(SMALL, dropout=0.5), pack(features), CPU)
    first, again, next_epoch = (task.batch(epoch, 0).neighborhood == 0 for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, next_epoch)


def test_remaining_values_are_scaled_up_by_dropout(features: FeatureSet) -> None:
    packed = pack(features)
    dropped = SimilarityMatching(replaced(SMALL, dropout=0.5), packed, CPU).batch(0, 0).neighborhood
    whole = SimilarityMatching(SMALL, packed, CPU).batch(0, 0).neighborhood
    torch.testing.assert_close(dropped[dropped != 0], 2 * whole[dropped != 0])


def test_no_value_is_zero_without_dropout(features: FeatureSet) -> None:
    task = SimilarityMatching(SMALL, pack(features), CPU)
    assert (task.batch(0, 0).neighborhood != 0).all()
