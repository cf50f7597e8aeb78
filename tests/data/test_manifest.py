"""The manifest of a feature folder."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.manifest import Manifest

positive = st.none() | st.floats(1e-3, 1e3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.builds(
        Manifest,
        dim=st.none() | st.integers(1, 9999),
        fps=positive,
        stride=positive,
        window=positive,
        offset=st.none() | st.floats(-9, 9),
        layout=st.sampled_from([None, "TC", "CT"]),
        encoder=st.none() | st.text(),
        sola=st.none() | st.dictionaries(st.text(), st.integers()),
        other=st.dictionaries(st.text().map("x-{}".format), st.integers() | st.text()),
    )
)
def test_round_trip_preserves_unknown_keys(tmp_path, manifest):
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_missing_manifest_is_empty(tmp_path):
    assert Manifest.read(tmp_path) == Manifest()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dim", 0), ("dim", 400.0), ("dim", True), ("dim", "400"),
        ("fps", 0), ("fps", -25), ("fps", "fast"), ("fps", "30/0"), ("fps", float("nan")), ("fps", True),
        ("fps", 10**400), ("fps", float("inf")),
        ("stride", 0), ("window", -1), ("offset", float("inf")), ("offset", []),
        ("layout", "tc"), ("encoder", 3), ("sola", "yes"),
    ],
)  # fmt: skip
def test_error_for_a_bad_value_names_file_and_key(tmp_path, key, value):
    path = tmp_path / "features.json"
    path.write_text(json.dumps({"other": 1, key: value}))
    with pytest.raises(SolaError, match=f'^{path}: "{key}" must be ') as raised:
        Manifest.read(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "[]", "7", '{"dim": }'])
def test_error_names_a_file_that_is_not_a_json_object(tmp_path, content):
    path = tmp_path / "features.json"
    path.write_text(content)
    with pytest.raises(SolaError, match=f"^{path}: "):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("30000/1001", 30000 / 1001), ("25", 25.0), (" 24000 / 1001 ", 24000 / 1001)]
)
def test_frame_rates_may_be_strings(tmp_path: Path, text: str, value: float) -> None:
    (tmp_path / "features.json").write_text(json.dumps({"fps": text}))
    assert Manifest.read(tmp_path).fps == pytest.approx(value)
