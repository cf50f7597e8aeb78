"""Selection of videos to label: groups of similar videos, and the definition in plain loops."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.calling import refused, sola

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.evaluation import selection
from sola.evaluation.selection import select_videos

GROUPS, MEMBERS, SNIPPETS = 4, 5, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos g0v0 ... g3v4: each group uses two of eight directions; g0v4 is ten times as long as the others."""
    root = tmp_path_factory.mktemp("groups")
    generator = np.random.default_rng(0)
    for group in range(GROUPS):
        for member in range(MEMBERS):
            length = SNIPPETS * (10 if (group, member) == (0, 4) else 1)
            kind = 2 * group + np.arange(length) % 2
            video = np.eye(8)[kind] + 0.05 * generator.normal(size=(length, 8))
            np.save(root / f"g{group}v{member}.npy", video.astype(np.float32))
    return root


def groups(videos: tuple[str, ...]) -> list[str]:
    return sorted(video[:2] for video in videos)


def test_selected_videos_are_from_different_groups(folder: Path) -> None:
    found = select_videos(FeatureSet.open(folder), 4)
    assert groups(found.videos) == ["g0", "g1", "g2", "g3"]
    assert 8 <= found.kinds <= found.all_kinds + 1 <= selection.CLUSTERS + 1
    assert select_videos(FeatureSet.open(folder), 4) == found


def test_labeled_videos_count_as_covered(folder: Path) -> None:
    found = select_videos(FeatureSet.open(folder), 3, labeled={"g1v0"})
    assert groups(found.videos) == ["g0", "g2", "g3"]
    assert set(select_videos(FeatureSet.open(folder), 19, labeled={"g1v0"}).videos) == {
        path.stem for path in folder.iterdir() if path.stem != "g1v0"
    }


def test_too_large_counts_are_refused(folder: Path) -> None:
    with pytest.raises(SolaError, match="20 videos requested, but only 19 of 20 are not labeled yet"):
        select_videos(FeatureSet.open(folder), 20, labeled={"g1v0"})
    with pytest.raises(SolaError, match="count=0"):
        select_videos(FeatureSet.open(folder), 0)


def test_fewer_snippets_than_clusters(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(2, 3)).astype(np.float32))
    found = select_videos(FeatureSet.open(tmp_path), 1)
    assert found.videos[0] in "ab"
    assert found.kinds == pytest.approx(2)
    assert found.all_kinds == pytest.approx(4)


def test_a_bad_file_is_skipped(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*v0.npy"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / "bad.npy", np.full((30, 8), np.nan, np.float32))
    skipped: dict[str, str] = {}
    found = select_videos(FeatureSet.open(tmp_path, skip_bad=True), 4, skipped=skipped)
    assert groups(found.videos) == ["g0", "g1", "g2", "g3"]
    assert list(skipped) == ["bad"]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), videos=st.integers(1, 6), data=st.data())
def test_the_selection_is_greedy(seed: int, videos: int, data: st.DataObject) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), videos)
    labeled = data.draw(st.lists(st.booleans(), min_size=videos, max_size=videos))
    count = data.draw(st.integers(0, labeled.count(False)))
    chosen, covered = selection._greedy(shares, labeled, count)
    taken = [i for i in range(videos) if labeled[i]]
    for position in chosen:
        left = [i for i in range(videos) if i not in taken]
        worth = {i: sum(sum(shares[j][c] for j in [*taken, i]) ** 0.5 for c in range(4)) for i in left}
        assert position in left
        assert worth[position] == pytest.approx(max(worth.values()), abs=1e-9)
        taken.append(position)
    np.testing.assert_allclose(covered, shares[taken].sum(axis=0), atol=1e-9)


def test_the_command_prints_ids(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert sola("select", folder, "--videos", 3) == 0
    out, err = capsys.readouterr()
    assert len(groups(tuple(out.split()))) == 3
    assert "3 of 20 videos, 0 labeled before" in err
    table = tmp_path / "labels.csv"
    table.write_text("video,start,end,label,subset\ng0v1.mp4,1,2,run,training\ng1v1.mp4,1,2,run,validation\n")
    assert sola("select", folder, "--videos", 3, "--annotations", table, "--json", "--quiet") == 0
    chosen = json.loads(capsys.readouterr().out)["videos"]
    assert groups(tuple(chosen)) == ["g1", "g2", "g3"]
    assert "g1v1" not in chosen
    assert "only 18 of 19 are not labeled yet" in refused(
        capsys, "select", folder, "--videos", 30, "--annotations", table
    )
