import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console

import sola.evaluation.probe
from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.snippet_labels import SnippetLabels, label_videos
from sola.evaluation.controls import NAMES
from sola.evaluation.probe import probe
from sola.evaluation.statistics import average_precision, roc_auc, smallest_p
from sola.pipeline.transform_job import transform
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule
from sola.training.linear import fit_ridge

CHANNELS = 8
LENGTH = 50


class World:
    """Videos on disk whose features encode the labels with the given `strength`: 4 s of action in 10 s."""

    def __init__(self, folder, strength, train=12, test=10, seed=0, classes=2):
        self.folder = folder
        generator = np.random.default_rng(seed)
        directions = generator.normal(size=(classes + 1, CHANNELS))
        (folder / "raw").mkdir(parents=True)
        database = {}
        self.labels = {}
        for index in range(train + test):
            start, kind = int(generator.integers(5, 25)), int(generator.integers(classes))
            labels = np.full(LENGTH, -1)
            labels[start : start + 20] = kind
            values = generator.normal(size=(LENGTH, CHANNELS))
            values[labels >= 0] += strength * (directions[kind] + 2 * directions[-1])
            name = f"video_{index:02d}"
            np.save(folder / "raw" / f"{name}.npy", values.astype(np.float32))
            self.labels[name] = labels
            database[name] = {
                "subset": "training" if index < train else "validation",
                "duration": 10.0,
                "annotations": [{"segment": [start / 5, start / 5 + 4], "label": f"class {kind}"}],
            }
        self.database = database

    @property
    def annotations(self):
        path = self.folder / "annotations.json"
        path.write_text(json.dumps({"database": self.database}))
        return read_annotations(path)

    @property
    def raw(self):
        return FeatureSet.open(self.folder / "raw")

    @property
    def data(self):
        return Dataset.open(self.raw, self.annotations)

    def copy(self, name, change=lambda video, values: values):
        """Return a compared set: the raw features after `change`."""
        (self.folder / name).mkdir()
        for video in self.raw.videos:
            changed = change(video, np.array(self.raw.read(video)))
            np.save(self.folder / name / f"{video}.npy", changed.astype(np.float32))
        return FeatureSet.open(self.folder / name)

    def transformed(self, name, **values):
        """Return a compared set: features transformed by a module with random weights and a gate of .5."""
        module = SoLa(CHANNELS, hidden=4, gate="linear", **values)
        if module.alpha is not None:
            module.alpha.data.fill_(0.5)
        transform(TrainedModule(module), self.raw, self.folder / name)
        return FeatureSet.open(self.folder / name)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return World(tmp_path_factory.mktemp("planted"), strength=3.0)


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    return World(tmp_path_factory.mktemp("weak"), strength=0.3)


@pytest.mark.parametrize("solver", ["sgd", "ridge"])
def test_a_planted_direction_is_found(planted, solver):
    row = probe(planted.data, solver=solver, controls=False).rows[0]
    assert row.mean("roc_auc") > 0.97
    assert row.mean("average_precision") > 0.95
    assert row.mean("class_accuracy") > 0.9


@pytest.mark.parametrize("solver", ["sgd", "ridge"])
def test_noise_scores_at_chance(tmp_path, solver):
    world = World(tmp_path, strength=0.0, test=30)
    row = probe(world.data, solver=solver, controls=False).rows[0]
    assert row.mean("roc_auc") == pytest.approx(0.5, abs=0.05)
    assert row.mean("class_accuracy") == pytest.approx(0.5, abs=0.1)


def test_metrics_match_the_classifier_on_the_test_videos(weak):
    result = probe(weak.data, solver="ridge", controls=False)
    features, labels = {}, {}
    for part, keep in {"training": lambda i: i < 12, "validation": lambda i: i >= 12}.items():
        names = [name for i, name in enumerate(sorted(weak.labels)) if keep(i)]
        stacked = np.concatenate([weak.raw.read(name) for name in names])
        features[part] = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
        labels[part] = np.concatenate([weak.labels[name] for name in names])
    known = SnippetLabels(labels["training"], np.eye(2, dtype=bool))
    classifier = fit_ridge(features["training"], known, lengths=[LENGTH] * 12)
    score, truth = classifier.action(features["validation"]), labels["validation"] >= 0
    row = result.rows[0]
    assert row.mean("roc_auc") == pytest.approx(roc_auc(truth, score), abs=1e-6)
    assert row.mean("average_precision") == pytest.approx(average_precision(truth, score), abs=1e-6)
    assert row.mean("accuracy") == pytest.approx(((score > 0) == truth).mean(), abs=1e-6)
    assert row.mean("balanced_accuracy") == pytest.approx(
        ((score[truth] > 0).mean() + (score[~truth] <= 0).mean()) / 2, abs=1e-6
    )
    right = classifier.classes(features["validation"])[truth] == labels["validation"][truth]
    assert row.mean("class_accuracy") == pytest.approx(right.mean(), abs=1e-6)


@pytest.mark.parametrize("solver", ["sgd", "ridge"])
def test_a_class_is_correct_if_the_snippet_has_it(tmp_path, solver):
    world = World(tmp_path, strength=3.0)
    for record in world.database.values():
        (action,) = record["annotations"]
        record["annotations"] = [{**action, "label": f"{part} {action['label']}"} for part in ("verb", "noun")]
    row = probe(world.data, solver=solver, controls=False).rows[0]
    assert row.mean("class_accuracy") > 0.9


def test_a_class_is_correct_only_in_snippets_that_have_it(tmp_path):
    """Training has one class; half of the test videos have it and another class, half only the other class."""
    world = World(tmp_path, strength=3.0, classes=1)
    for index, record in enumerate(world.database.values()):
        (action,) = record["annotations"]
        other = {**action, "label": "other"}
        if record["subset"] == "validation":
            record["annotations"] = [action, other] if index % 2 else [other]
    row = probe(world.data, solver="ridge", controls=False).rows[0]
    assert row.mean("class_accuracy") == 0.5


def test_training_accuracy_does_not_count(tmp_path):
    """A test set of shuffled features scores at chance, regardless of training."""
    generator = np.random.default_rng(0)
    world = World(tmp_path, strength=3.0, test=30)
    for name, record in world.database.items():
        if record["subset"] == "validation":
            noise = generator.normal(size=(LENGTH, CHANNELS)).astype(np.float32)
            np.save(world.folder / "raw" / f"{name}.npy", noise)
    row = probe(world.data, solver="ridge", controls=False).rows[0]
    assert row.mean("roc_auc") == pytest.approx(0.5, abs=0.06)


def test_controls_are_fitted_on_the_training_videos_only(weak, monkeypatch):
    seen = []
    fit = sola.evaluation.probe.fit_controls

    def watched(videos, untrained):
        seen.extend(np.array(video) for video in videos)
        return fit(seen, untrained)

    monkeypatch.setattr(sola.evaluation.probe, "fit_controls", watched)
    probe(weak.data, solver="ridge", videos=3)
    expected = [weak.raw.read(name) for name in sorted(weak.labels)[:12]]
    assert len(seen) == len(expected)
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def full(weak):
    """A result with all kinds of rows and two seeds; labels are mixed into the features of the compared row."""
    better = weak.copy("better", lambda video, values: values + 4 * (weak.labels[video] >= 0)[:, None])
    return probe(weak.data, compare={"[ours]": better}, solver="ridge", seeds=2)


def test_rows_are_ordered_and_compared_with_raw_and_every_control(full):
    assert [row.name for row in full.rows] == ["raw", *NAMES, "[ours]"]
    assert [row.kind for row in full.rows] == ["raw", *["control"] * len(NAMES), "compared"]
    ours = full.row("[ours]")
    versus_raw = full.versus_raw("[ours]")
    assert versus_raw.difference == pytest.approx(ours.mean("roc_auc") - full.rows[0].mean("roc_auc"))
    assert versus_raw.interval[0] > 0
    assert versus_raw.significant
    for metric in ("roc_auc", "class_accuracy"):
        others = [one.against for one in full.comparisons if (one.row, one.metric) == ("[ours]", metric)]
        assert others == ["raw", *NAMES]
    assert {comparison.row for comparison in full.comparisons} == {*NAMES, "[ours]"}
    assert all(comparison.p_corrected >= comparison.p for comparison in full.comparisons)
    controls = [row for row in full.rows if row.kind == "control"]
    assert full.row(full.best_control("roc_auc")).mean("roc_auc") == max(row.mean("roc_auc") for row in controls)


def test_the_difference_in_class_accuracy_matches_the_rows(full):
    found = full.comparison("[ours]", "raw", "class_accuracy")
    ours, raw = full.row("[ours]"), full.row("raw")
    assert found.difference == pytest.approx(ours.mean("class_accuracy") - raw.mean("class_accuracy"))
    assert found.interval[0] <= found.difference <= found.interval[1]


def test_json_has_the_documented_keys(full):
    found = json.loads(json.dumps(full.to_json(), allow_nan=False))
    for row in found["rows"]:
        for metric in ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "class_accuracy"):
            assert set(row[metric]) == {"mean", "std", "values"}
            assert len(row[metric]["values"]) == 2
            assert 0 <= row[metric]["mean"] <= 1
    assert found["rows"][0]["versus_raw"] is None
    assert {"difference", "interval", "p", "p_corrected", "significant"} < set(found["comparisons"][0])
    assert found["settings"]["test_videos"] == 10
    assert found["settings"]["p_values"]["smallest"] == smallest_p(10)


def test_the_table_marks_the_best_control(full):
    text = io.StringIO()
    Console(width=160, file=text).print(full.table())
    assert f"{full.best_control('roc_auc')} (best control)" in text.getvalue()
    assert "[ours]" in text.getvalue()
    assert f"{100 * full.rows[0].mean('roc_auc'):.2f}" in text.getvalue()


def test_rows_that_do_not_depend_on_the_seed_repeat_one_value(full):
    for name in ("raw", "centered", "slow 16", "[ours]"):
        assert full.row(name).summaries["roc_auc"].std == 0.0
        assert len(full.row(name).summaries["roc_auc"].values) == 2
    assert full.row("untrained direct").summaries["roc_auc"].std > 0


def test_videos_of_one_event_are_resampled_together(weak):
    better = weak.copy("seen", lambda video, values: values + (weak.labels[video] >= 0)[:, None])
    found = {
        together: probe(weak.data, {"seen": better}, solver="ridge", controls=False, together=together)
        for together in (None, ".*", "video_1", "absent")
    }
    # the test videos are video_12 to video_21
    units = {name: result.settings["p_values"]["units"] for name, result in found.items()}
    assert units == {None: 10, ".*": 10, "video_1": 3, "absent": 10}
    assert found["video_1"].settings["p_values"]["smallest"] == smallest_p(3)
    assert found[None].comparisons == found[".*"].comparisons == found["absent"].comparisons
    assert found["video_1"].versus_raw("seen").difference == found[None].versus_raw("seen").difference
    assert found["video_1"].versus_raw("seen").interval != found[None].versus_raw("seen").interval


def test_an_invalid_regular_expression_is_refused(weak):
    with pytest.raises(SolaError, match=r"together='\(': not a regular expression"):
        probe(weak.data, solver="ridge", controls=False, together="(")


def test_an_equal_set_is_never_significantly_different(weak):
    result = probe(weak.data, compare={"same": weak.copy("same")}, controls=False)
    same = result.row("same")
    assert same.summaries["roc_auc"] == result.rows[0].summaries["roc_auc"]
    versus_raw = result.versus_raw("same")
    assert (versus_raw.p, versus_raw.significant) == (1.0, False)


def test_few_labels_are_drawn_per_seed_and_shared_by_all_rows(weak):
    compared = weak.copy("few")
    result = probe(weak.data, compare={"same": compared}, solver="ridge", videos=2, seeds=4, controls=False)
    raw, same = result.rows
    assert len(set(raw.summaries["roc_auc"].values)) == 4
    assert same.summaries["roc_auc"].values == raw.summaries["roc_auc"].values
    assert raw.summaries["roc_auc"].std > 0


def test_draws_without_action_and_background_are_redrawn(tmp_path):
    world = World(tmp_path, strength=1.0)
    for name in sorted(world.database)[1:12]:
        world.database[name]["annotations"] = []
    train = label_videos(world.data.subset("training"))
    assert [train.draw(1, seed) for seed in range(5)] == [(0,)] * 5


def test_draws_that_cannot_have_action_and_background_are_refused(tmp_path):
    world = World(tmp_path, strength=1.0)
    for index, name in enumerate(sorted(world.database)[:12]):
        world.database[name]["annotations"] = [{"segment": [0, 10], "label": "class 0"}] if index % 2 else []
    with pytest.raises(SolaError, match="no 1 videos with both"):
        probe(world.data, videos=1, controls=False)


def test_labels_of_all_videos_equal_the_full_mode(weak):
    full, all_drawn = (probe(weak.data, solver="ridge", videos=videos, controls=False) for videos in (None, 12))
    assert full.rows == all_drawn.rows


def test_several_modules_of_one_name_are_one_row(weak):
    torch.manual_seed(0)
    one, other = (weak.transformed(f"module {i}", form="direct") for i in range(2))
    result = probe(weak.data, compare={"SoLa": [one, other]}, solver="ridge", seeds=3, controls=False)
    values = result.row("SoLa").summaries["roc_auc"].values
    assert len(values) == 3
    assert values[0] == values[2] != values[1]
    alone = probe(weak.data, compare={"SoLa": other}, solver="ridge", controls=False)
    assert alone.row("SoLa").summaries["roc_auc"].values == (values[1],)
    assert len(result.settings["compared"]["SoLa"]) == 2


def test_seeds_are_at_least_the_modules_given(weak):
    one, other = weak.copy("first of two"), weak.copy("second of two")
    result = probe(weak.data, compare={"x": [one, other]}, solver="ridge", controls=False)
    assert len(result.row("x").summaries["roc_auc"].values) == result.settings["seeds"] == 2


def test_the_untrained_controls_resemble_the_compared_module(weak):
    """Gate .5, hidden 4: a residual control with the default module would be closer to raw."""
    compared = weak.transformed("module", conditioning="center", smoothing=5)
    result = probe(weak.data, compare={"SoLa": compared}, solver="ridge")
    centered = result.row("centered, average 5").mean("roc_auc")
    assert result.row("untrained residual").mean("roc_auc") == pytest.approx(centered, abs=0.05)
    assert result.row("untrained residual").mean("roc_auc") != result.row("raw").mean("roc_auc")
    assert result.settings["compared"]["SoLa"][0]["config"]["smoothing"] == 5


def test_videos_without_annotation_are_ignored(tmp_path):
    world = World(tmp_path, strength=0.3)
    before = probe(world.data, solver="ridge", controls=False)
    np.save(world.folder / "raw" / "stranger.npy", np.zeros((5, CHANNELS), np.float32))
    after = probe(world.data, solver="ridge", controls=False)
    assert before.rows == after.rows


def test_a_class_absent_from_training_is_never_correct(tmp_path):
    world = World(tmp_path, strength=3.0)
    for record in world.database.values():
        if record["subset"] == "validation":
            record["annotations"][0]["label"] = "unheard of"
    row = probe(world.data, solver="ridge", controls=False).rows[0]
    assert row.mean("class_accuracy") == 0.0
    assert row.mean("roc_auc") > 0.97


def test_progress_names_each_row(weak):
    calls = []
    probe(weak.data, solver="ridge", controls=False, progress=lambda *call: calls.append(call))
    assert calls == [("raw", 0, 1), ("", 1, 1)]


def one_kind(world, subset, whole):
    for record in world.database.values():
        if record["subset"] == subset:
            record["annotations"] = [{"segment": [0, 10], "label": "class 0"}] if whole else []


@pytest.mark.parametrize("subset", ["training", "validation"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_subset_without_action_or_background_is_refused(tmp_path, subset, whole):
    world = World(tmp_path, strength=1.0)
    one_kind(world, subset, whole)
    with pytest.raises(SolaError, match=f"subset '{subset}'.*{'action' if whole else 'background'}"):
        probe(world.data)


def test_bad_input_gives_a_one_line_error(weak, tmp_path):
    raw, data = weak.raw, weak.data
    missing = World(tmp_path / "missing", strength=0.3, test=3)
    shorter = weak.copy("shorter", lambda video, values: values[:-1])
    for arguments, message in (
        ({"videos": 13}, "13 videos requested, but only 12 have labels"),
        ({"videos": 0}, "videos=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"test_subset": "nowhere"}, "unknown subset 'nowhere'"),
        ({"compare": {"few": missing.raw}}, "few: no features of video 'video_15'"),
        ({"compare": {"short": shorter}}, "49 snippets, but the raw features have 50"),
        ({"compare": {"raw": raw}}, "raw: is the name of another row"),
        ({"compare": {"slow 16": raw}}, "slow 16: is the name of another row"),
    ):
        with pytest.raises(SolaError, match=message) as caught:
            probe(data, controls=False, **arguments)
        assert "\n" not in str(caught.value)


def test_a_bad_file_is_skipped_on_request(tmp_path):
    world = World(tmp_path, strength=1.0)
    np.save(world.folder / "raw" / "video_03.npy", np.full((LENGTH, CHANNELS), np.nan, np.float32))
    with pytest.raises(SolaError, match="video_03"):
        probe(world.data, controls=False)
    data, skipped = Dataset.open(world.folder / "raw", world.annotations, skip_bad=True), {}
    result = probe(data, solver="ridge", controls=False, skipped=skipped)
    assert result.settings["train_videos"] == 11
    assert list(skipped) == ["video_03"]
    findings = {finding["kind"]: finding["count"] for finding in result.settings["data"]["training"]["findings"]}
    assert findings["unreadable"] == 1


def test_real_features_beat_chance(shared_data):
    root = shared_data / "gtea" / "split1"
    result = probe(Dataset.open(root / "features", root / "annotations.json"), solver="ridge", controls=False)
    assert result.settings["test_snippets"] == 8474
    assert 0.8 < result.rows[0].mean("roc_auc") < 0.9
