"""Files shared by the tests of examples and of guides."""

from pathlib import Path

import pytest
from support.calling import SHORT_TRAINING
from support.synthetic import SyntheticWorld, write

import sola


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name: features, annotations, a trained module and detector, and what they give."""
    folder = tmp_path_factory.mktemp("examples") / "files"
    world = SyntheticWorld(training_videos=6, validation_videos=3, length=80, channels=16, classes=2)
    write(world, folder)
    features, annotations = folder / "features", folder / "annotations.json"
    module = sola.train(features, "auto", out=folder / "run", batches=2, quiet=True)
    softened = sola.transform(module, sola.FeatureSet.open(features), out=folder / "softened")
    data = sola.Dataset.open(softened, annotations)
    detector = sola.train_detector(
        data.subset("training"), "actionformer", "gtea", out=folder / "detector", **SHORT_TRAINING
    )
    found = sola.detect(detector, data.subset("validation"))
    sola.write_detections(folder / "detections.json", found.by_video(), found.classes)
    return folder
