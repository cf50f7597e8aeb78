"""Annotations, folders and values that cannot be exported are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calling import refused, sola
from support.exported import GRIDS, written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda database: [item.update(subset="training") for item in database.values()],
            "unknown subset 'validation'",
        ),
        (lambda database: [database[video].update(annotations=[]) for video in "ab"], "subset 'training': none of its"),
        (lambda database: database["a"]["annotations"][0].update(label="a\nb"), "would be two lines"),
    ],
)
def test_annotations_that_the_tools_would_misread_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str
) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    document = json.loads(annotations.read_text())
    change(document["database"])
    annotations.write_text(json.dumps(document))
    assert message in refused(
        capsys, "export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features_in", "in.json"]


def test_an_unsuitable_output_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    command = ["export", "opentad", features, "--annotations", annotations, "--overwrite", "--out"]
    assert "contains the input features" in refused(capsys, *command, features.parent)
    assert "as an archive" in refused(capsys, *command, tmp_path / "out.hdf5")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "annotations.json").write_text('{"database": {}}')
    assert "so it is not overwritten" in refused(capsys, *command, tmp_path / "other")


def test_an_exported_folder_is_replaced_only_with_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    command = ["export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out"]
    assert sola(*command, "--quiet") == 0
    assert "exists already" in refused(capsys, *command)
    assert sola(*command, "--overwrite", "--quiet") == 0


def test_a_value_beyond_float32_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, annotations = written(tmp_path, GRIDS["windows touch"])
    np.save(features / "b.npy", np.full((31, 6), 1e300))
    message = refused(capsys, "export", "opentad", features, "--annotations", annotations, "--out", tmp_path / "out")
    assert "video 'b': a value is NaN or exceeds the largest float32 value" in message
    assert not (tmp_path / "out").exists()
