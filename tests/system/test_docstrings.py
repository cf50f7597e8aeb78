"""The examples in docstrings give what they say."""

import ast
import doctest
import importlib
import shutil
from pathlib import Path

import pytest
from support.places import REPOSITORY
from support.synthetic import SyntheticWorld, write

import sola

SOURCE = REPOSITORY / "src"
WITH_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def docstrings(path: Path) -> list[tuple[str, str]]:
    """Names and docstrings of the module, and of its classes and functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    return [(getattr(node, "name", path.stem), ast.get_docstring(node) or "") for node in nodes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name: features, annotations, a trained module and detector, and what they give."""
    folder = tmp_path_factory.mktemp("examples") / "files"
    world = SyntheticWorld(training_videos=6, validation_videos=3, length=80, channels=16, classes=2)
    write(world, folder)
    features, annotations = folder / "features", folder / "annotations.json"
    module = sola.train(features, "auto", out=folder / "run", epochs=1, quiet=True)
    softened = sola.transform(module, sola.FeatureSet.open(features), out=folder / "softened")
    data = sola.Dataset.open(softened, annotations)
    detector = sola.train_detector(
        data.subset("training"), "actionformer", "gtea", out=folder / "detector", epochs=2, warmup_epochs=1, quiet=True
    )
    found = sola.detect(detector, data.subset("validation"))
    sola.write_detections(folder / "detections.json", found.by_video(), found.classes)
    return folder


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_give_what_they_say(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "import sola" in path.read_text(encoding="utf-8"):
        shutil.copytree(request.getfixturevalue("files"), tmp_path, dirs_exist_ok=True)
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
