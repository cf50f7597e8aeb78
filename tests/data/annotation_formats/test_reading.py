"""Every format is recognized by its content and read completely in any encoding."""

from pathlib import Path

import numpy as np
import pytest
from support.annotation_samples import EPIC, SAMPLES, Sample

from sola.data.annotations import read_annotations, read_videos


def sample_file(folder: Path, sample: Sample, encoding: str = "utf-8") -> Path:
    path = folder / sample.name
    path.write_text(sample.text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_sample_is_read(sample: Sample, encoding: str, tmp_path: Path) -> None:
    videos = read_videos(sample_file(tmp_path, sample, encoding), **sample.options)
    assert list(videos) == list(sample.expected)
    for video, expected in sample.expected.items():
        instances = videos[video].instances
        assert [instance.label for instance in instances] == [label for _, _, label in expected]
        times = np.array([(instance.start, instance.end) for instance in instances]).reshape(-1, 2)
        np.testing.assert_allclose(times, np.array([row[:2] for row in expected]).reshape(-1, 2), atol=1e-9)
    assert {video: record.duration for video, record in videos.items() if record.duration} == sample.durations


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_sample_is_read_as_annotations(sample: Sample, tmp_path: Path) -> None:
    annotations = read_annotations(sample_file(tmp_path, sample), **sample.options)
    assert set(annotations.videos) == set(sample.expected)
    assert annotations.classes == tuple(sorted({label for rows in sample.expected.values() for *_, label in rows}))


@pytest.mark.parametrize(
    ("name", "subset"), [("EPIC_100_train", "training"), ("EPIC_100_validation", "validation"), ("mine", "training")]
)
def test_published_file_names_of_epic_kitchens_give_the_subset(name: str, subset: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_text(EPIC)
    assert {video.subset for video in read_annotations(path).videos.values()} == {subset}
