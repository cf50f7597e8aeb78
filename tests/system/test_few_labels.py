"""Run the commands of docs/tutorials/few-labels.md unchanged, on generated clips and simulated annotations."""

import json
import shlex
from collections.abc import Collection
from pathlib import Path

import pytest
from support.calling import sola
from support.clips import SEGMENTS, render
from support.documents import shell_lines
from support.places import DOCS

from sola.data.annotations import read_annotations
from sola.data.detections import read_detections

PAGE = DOCS / "tutorials" / "few-labels.md"
CLIPS = 7
FPS = 30
SHORT_TRAINING = {
    "train": ["--epochs", "1"],
    "train-detector": ["--epochs", "2", "--warmup-epochs", "1", "--snippets-per-unit", "1", "--length", "64"],
}
"""Flags for a short training. Its accuracy is not tested here."""


def commands() -> list[list[str]]:
    return [shlex.split(line)[1:] for line in shell_lines(PAGE) if line.startswith("sola ")]


def submit(tasks: list[dict], videos: Collection[str]) -> list[dict]:
    """Return the export of Label Studio after the actions in `videos` have been annotated."""
    for number, task in enumerate(tasks, 1):
        task["id"] = number
        task.setdefault("annotations", [])
        if task["data"]["video"].rpartition("-")[2].rpartition("/")[2].removesuffix(".mp4") in videos:
            regions = [
                {
                    "from_name": "actions",
                    "type": "timelinelabels",
                    "value": {
                        "ranges": [{"start": round(start * FPS) + 1, "end": round(end * FPS)}],
                        "timelinelabels": [name],
                    },
                }
                for name, (start, end) in SEGMENTS.items()
            ]
            task["annotations"] = [{"completed_by": 1, "was_cancelled": False, "result": regions}]
    return tasks


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_page_runs_from_labels_to_detections_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    ids = [f"clip{number}" for number in range(CLIPS)]
    for number, video in enumerate(ids):
        render(tmp_path / "videos" / f"{video}.mp4", number)
    chosen: list[list[str]] = []
    for command in commands():
        if "labels.json" in command:  # an annotator has labeled the first five videos
            tasks = submit(
                [{"data": {"video": f"/data/upload/1/0a1b2c3d-{video}.mp4"}} for video in chosen[0]], chosen[0]
            )
            Path("labels.json").write_text(json.dumps(tasks))
        if "corrected.json" in command:  # an annotator has corrected one of the other videos
            tasks = json.loads(Path("labels.json").read_text()) + json.loads(Path("tasks.json").read_text())
            Path("corrected.json").write_text(json.dumps(submit(tasks, chosen[1][:1])))
        if command[0] == "select":
            remaining = CLIPS - sum(map(len, chosen))
            command[command.index("--videos") + 1] = str(min(5, remaining))
        capsys.readouterr()
        assert sola(*command, *SHORT_TRAINING.get(command[0], [])) == 0, command
        if command[0] == "select":
            chosen.append(capsys.readouterr().out.split())
    assert sorted(chosen[0] + chosen[1]) == ids
    first, second = (read_annotations(tmp_path / "labels" / f"round-{number}.json") for number in (1, 2))
    assert sorted(first.videos) == sorted(chosen[0])
    labeled = {video for video, record in second.videos.items() if record.subset == "training"}
    assert labeled == {*chosen[0], chosen[1][0]}
    assert second.videos[chosen[1][1]].subset == "unlabeled"
    corrected = second.videos[chosen[1][0]].segments
    assert sorted(zip(corrected.start, corrected.end, strict=True)) == [
        (pytest.approx(start, abs=1 / FPS), pytest.approx(end, abs=1 / FPS)) for start, end in SEGMENTS.values()
    ]
    assert sorted(read_detections(tmp_path / "found-2.json").videos) == ids
    assert sorted(path.stem for path in (tmp_path / "subtitles").iterdir()) == ids
