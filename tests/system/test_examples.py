"""The examples in docstrings and in help texts run, and give what they say."""

import ast
import doctest
import importlib
import inspect
import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from support.annotation_samples import BORIS
from support.calling import SHORT_TRAINING
from support.calling import sola as call
from support.documents import shell_lines
from support.places import REPOSITORY
from support.rendering import render

import sola
from sola.cli import COMMANDS

SOURCE = REPOSITORY / "src"
WITH_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def docstrings(path: Path) -> list[tuple[str, str]]:
    """Names and docstrings of the module, of its classes and functions, and of its constants."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    found = [(getattr(node, "name", path.stem), ast.get_docstring(node) or "") for node in nodes]
    for constant, below in pairwise(tree.body):
        match constant, below:
            case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text))):
                found.append((ast.unparse(constant).partition(":")[0], inspect.cleandoc(text)))
    return found


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video files, and a detector that was trained on their transformed features."""
    folder = tmp_path_factory.mktemp("examples") / "videos"
    (folder / "new_videos").mkdir(parents=True)
    clips = {name: render(folder / f"{name}.mp4", count=160) for name in ("a", "b")}
    render(folder / "new_videos" / "c.mp4", count=160)
    instances = [{"segment": [1.0, 3.0], "label": "jump"}, {"segment": [5.0, 6.0], "label": "turn"}]
    video = {"subset": "training", "duration": 8.0, "annotations": instances}
    (folder / "annotations.json").write_text(json.dumps({"database": dict.fromkeys(clips, video)}))
    encoder = sola.load_encoder("efficientnet-lite0", torch.device("cpu"))
    features = sola.extract(sola.find_videos(list(clips.values())), encoder, folder / "features")
    module = sola.train(features, "anet", out=folder / "run", step=2, epochs=1, hidden=8, quiet=True)
    softened = sola.transform(module, features, out=folder / "softened")
    data = sola.Dataset.open(softened, folder / "annotations.json")
    sola.train_detector(data, "actionformer", "gtea", out=folder / "video_detector", **SHORT_TRAINING)
    return folder


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_give_what_they_say(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    text = path.read_text(encoding="utf-8")
    needed = "videos" if '"new_videos"' in text else "files"
    if "import sola" in text:
        shutil.copytree(request.getfixturevalue(needed), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    examples = [
        doctest.DocTestParser().get_doctest(text, vars(module), name, str(path), 0) for name, text in docstrings(path)
    ]
    assert any(example.examples for example in examples)
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples:
        runner.run(example, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0


README_LINES = shell_lines(REPOSITORY / "README.md")
ELSEWHERE = ("sola demo", "sola reproduce", "torchrun", "s3://", "videos/")
"""Parts of examples that take long or need more than files; other tests run these commands."""
EXAMPLES = [
    line
    for entry in COMMANDS.values()
    for line in entry.examples.splitlines()
    if line not in README_LINES and not any(part in line for part in ELSEWHERE)
]


@pytest.mark.slow
@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_of_help_texts_run(line: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in a folder with the files that they name, with short trainings."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("proposals.json", "bmn.json"):
        shutil.copy("detections.json", name)
    annotations = json.loads(Path("annotations.json").read_text())
    annotations["database"] = {"training_0000": annotations["database"]["training_0000"]}
    Path("labels.json").write_text(json.dumps(annotations))
    for part, channels in (("rgb", slice(0, 8)), ("flow", slice(8, 16))):
        shutil.copytree("features", part)
        for path in Path(part).glob("*.npy"):
            np.save(path, np.load(path)[:, channels])
        (Path(part) / "features.json").write_text('{"fps": 4, "stride": 1, "window": 1}')
    Path("project.boris").write_text(BORIS)
    words = line.replace("video_1", "training_0000").split()[1:]
    written = Path(words[words.index("--out") + 1]) if "--out" in words else None
    if written is not None and written.is_dir() and "--explain" not in words:
        shutil.rmtree(written)
    short = {"train": ["--batches", "2"], "train-detector": ["--epochs", "2"]}
    assert call(*words, *short.get(words[0], []), *(["--overwrite"] if words[0] == "detect" else [])) == 0
