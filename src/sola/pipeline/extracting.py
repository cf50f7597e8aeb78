"""`sola extract` over many machines."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.manifest import MANIFEST_NAME
from sola.pipeline.ray import Progress, Resources, Work, spread
from sola.pipeline.staging import naming
from sola.pipeline.storage import Storage, is_remote
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.extraction import DType, extract, manifest_of, prepared
from sola.video.extraction_log import LOG_NAME, ExtractionLog, state_of
from sola.video.files import SUFFIXES, find_videos
from sola.video.framing import Framing

LOG_EVERY = 30.0
"""Seconds between two copies of the log in an object store: what a driver that is killed forgets at most."""


@dataclass(frozen=True)
class StoredVideo:
    """A video file, here or in an object store."""

    folder: Storage
    name: str
    state: tuple[int, int]
    """Size (bytes) and time of change (nanoseconds)."""

    @property
    def location(self) -> str:
        """Where it is."""
        return f"{self.folder.location}/{self.name}"


def find_stored_videos(sources: Sequence[Path | str]) -> dict[str, StoredVideo]:
    """What `find_videos` returns, from object stores too: video files by id, in order of id.

    Raises SolaError for a source that is not there, a folder without videos, or two files of one id.
    """
    here = [Path(source) for source in sources if not is_remote(source)]
    local = find_videos(here) if here or not sources else {}
    found = {
        video: StoredVideo(Storage.of(path.parent), path.name, _pair(state_of(path))) for video, path in local.items()
    }
    for source in filter(is_remote, sources):
        for one in _inside(Storage.of(source)):
            other = found.setdefault(Path(one.name).stem, one)
            if other.location != one.location:
                raise SolaError(
                    f"{one.location}: would be video {Path(one.name).stem!r}, and so would {other.location}; "
                    "rename one of them"
                )
    return dict(sorted(found.items()))


def _inside(source: Storage) -> list[StoredVideo]:
    """The videos in a folder of an object store, or the file itself."""
    files = [one for one in source.files(inside=True) if Path(one.name).suffix.lower() in SUFFIXES]
    found = [StoredVideo(source, one.name, (one.size, one.changed)) for one in files]
    if not found:
        above, _, name = source.location.rpartition("/")
        folder = Storage.of(above)
        found = [StoredVideo(folder, one.name, (one.size, one.changed)) for one in folder.files() if one.name == name]
    if not found:
        raise SolaError(f"{source.location}: holds no videos ({' '.join(sorted(SUFFIXES))}), and is none")
    return found


@dataclass(frozen=True)
class Extraction:
    """How features are extracted: what `extract` takes."""

    source: str
    """What `load_encoder` knows the encoder by."""
    window: int | None = None
    fps: float | None = None
    stride: int | None = None
    whole_frame: bool = False
    dtype: DType = "float16"
    batch: int | None = None
    device: Device = "auto"

    def encoder(self) -> Encoder:
        """Load the encoder."""
        return load_encoder(self.source, choose_device(self.device), window=self.window)

    def framing(self, encoder: Encoder) -> Framing:
        """How frames are scaled and cut."""
        return dataclasses.replace(encoder.framing, short_side=None) if self.whole_frame else encoder.framing


def extract_on_cluster(
    videos: Mapping[str, StoredVideo],
    out: Storage,
    extraction: Extraction,
    *,
    resources: Resources,
    skip_bad: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> dict[str, str]:
    """Write the features of each video to `out`, and return why videos were left out, by id.

    The folder is that of `extract`: called again, it goes on, and more videos are added.

    Raises SolaError as `extract` does.
    """
    encoder = extraction.encoder()
    fps = encoder.fps if extraction.fps is None else extraction.fps
    stride = encoder.stride if extraction.stride is None else extraction.stride
    manifest = manifest_of(encoder, fps, stride, extraction.framing(encoder), extraction.dtype, extraction.source)
    bad: dict[str, str] = {}
    with _mirrored(out) as folder:
        before = names_in(folder)
        with naming({folder: out}):
            log = prepared(folder, manifest, overwrite=overwrite)
        if out.local is None:
            for name in before - names_in(folder):  # overwritten
                out.remove(name)
            out.put(folder / MANIFEST_NAME, MANIFEST_NAME)
        missing = [video for video, one in videos.items() if not log.has_state(video, list(one.state))]
        total, pushed = len(videos), time.monotonic()
        progress(total - len(missing), total)
        work = partial(_worker, videos, out, extraction)
        try:
            for done, one in enumerate(spread(missing, work, resources), start=total - len(missing) + 1):
                if one.error is None:
                    log.append(one.result)
                elif skip_bad:
                    bad[one.video] = one.error
                    out.remove(f"{one.video}.npy")  # of what the file was before
                    log.append({"video": one.video, "file": videos[one.video].location, "refused": one.error})
                else:
                    raise SolaError(one.error)
                progress(done, total)
                if time.monotonic() - pushed > LOG_EVERY:
                    _push(folder, out)
                    pushed = time.monotonic()
        finally:
            _push(folder, out)
    if videos and len(bad) == len(videos):
        raise SolaError(f"{next(iter(bad.values()))}; none of {len(videos)} videos is left")
    return bad


@contextmanager
def _mirrored(out: Storage) -> Iterator[Path]:
    """The folder, or where it is not here one that looks like it: manifest, log, and empty files for features."""
    if out.local is not None:
        yield out.local
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        names = out.names()
        if names:
            folder.mkdir()
        for name in names:
            if name in (MANIFEST_NAME, LOG_NAME):
                out.fetch(name, folder)
            else:
                (folder / name).touch()
        yield folder


def names_in(folder: Path) -> set[str]:
    """What is in a folder; nothing where there is none."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _push(folder: Path, out: Storage) -> None:
    """Bring the mirror's log to the folder itself."""
    if out.local is None and (folder / LOG_NAME).is_file():
        out.put(folder / LOG_NAME, LOG_NAME)


def _worker(videos: Mapping[str, StoredVideo], out: Storage, extraction: Extraction) -> Work:
    encoder = extraction.encoder()

    def work(video: str) -> dict[str, Any]:
        one = videos[video]
        with tempfile.TemporaryDirectory() as place:
            path = one.folder.fetch(one.name, Path(place))
            features = Path(place) / "features"
            with naming({path: Storage(one.location)}):
                extract(
                    {video: path},
                    encoder,
                    features,
                    fps=extraction.fps,
                    stride=extraction.stride,
                    framing=extraction.framing(encoder),
                    dtype=extraction.dtype,
                    batch=extraction.batch,
                    jobs=1,
                    source=extraction.source,
                )
            out.put(features / f"{video}.npy", f"{video}.npy")
            return {**ExtractionLog(features).rows[video], "file": one.location}

    return work


def _pair(state: list[int]) -> tuple[int, int]:
    size, changed = state
    return size, changed
