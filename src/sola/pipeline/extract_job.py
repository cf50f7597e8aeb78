"""The job of `sola extract`: write features of video files to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.core.storage import Storage, StoredFile
from sola.data.features import FeatureSet
from sola.data.journal import JobFolder, Report, Row
from sola.data.manifest import MANIFEST_NAME, Manifest
from sola.data.names import file_of, id_from_of
from sola.pipeline.executors import TWO_AT_A_TIME, Executor, Progress, VideoJob, no_progress, run_job
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.errors import BadVideo
from sola.video.extraction import Sampling, SamplingOptions, SharedEncoder, extract_video


class EncoderSource:
    """The arguments of `load_encoder`, to load the encoder once in each process that needs it."""

    def __init__(self, name: str, window: int | None = None, device: Device = "auto") -> None:
        self.name, self.window, self.device = name, window, device
        self._loaded: Encoder | None = None

    def load(self) -> Encoder:
        """Return the encoder. Raises SolaError if it cannot be loaded."""
        if self._loaded is None:
            self._loaded = load_encoder(self.name, choose_device(self.device), window=self.window)
        return self._loaded

    def __reduce__(self) -> tuple[object, ...]:
        return EncoderSource, (self.name, self.window, self.device)


class ExtractJob(VideoJob):
    """Write the features of each video to `<id>.npy`; an id such as `P1/cam` creates subfolders.

    Args:
        videos: local or stored video files by id.
        encoder: an encoder, or its source for workers to load.
        out: a new folder, or the folder of an extraction with the same settings.
        source: name of `encoder` for `load_encoder`, if it differs from the name of the encoder.
        overwrite: replace the features of an extraction with other settings.
        options: see `SamplingOptions`.

    Raises:
        SolaError: if a setting is out of range, a video does not exist, `out` holds other files, or an id would be
            written outside `out`.
    """

    def __init__(
        self,
        videos: Mapping[str, Path | StoredFile],
        encoder: Encoder | EncoderSource,
        out: Path | str | Storage,
        *,
        source: str | None = None,
        overwrite: bool = False,
        **options: Unpack[SamplingOptions],
    ) -> None:
        self.videos: dict[str, StoredFile] = {
            video: file if isinstance(file, StoredFile) else StoredFile.of(file) for video, file in videos.items()
        }
        self._names = {video: file_of(video, ".npy") for video in videos}
        self._encoder = encoder
        loaded = encoder.load() if isinstance(encoder, EncoderSource) else encoder
        self._sampling = Sampling.resolve(loaded, options)
        name = encoder.name if isinstance(encoder, EncoderSource) or source is None else source
        self.manifest = self._sampling.manifest(loaded, name)
        self.folder = JobFolder.open(out, _description(self.manifest), overwrite=overwrite)

    def pending(self) -> list[str]:
        """Return the videos whose features are missing or were extracted from another file."""
        existing = set(self.folder.storage.names(recursive=True))
        read = {video: [row.get("bytes"), row.get("changed")] for video, row in self.folder.rows.items()}
        return [
            video
            for video, file in self.videos.items()
            if self._names[video] not in existing or read.get(video) != file.state
        ]

    def setup(self) -> None:
        """Load the encoder."""
        encoder = self._encoder
        self._shared = SharedEncoder(encoder.load() if isinstance(encoder, EncoderSource) else encoder)

    def run(self, video: str, report: Report) -> Row:
        """Extract the features of a video."""
        file, name, out = self.videos[video], self._names[video], self.folder.storage
        try:
            with file.folder.fetched(file.name) as folder, out.writing(name) as aside:
                counts = extract_video(folder / file.name, aside, self._shared, self._sampling, report)
        except SolaError as error:
            text = str(error) if file.location in str(error) else f"{file.location}: {error}"
            if isinstance(error, BadVideo):
                out.remove(name)  # features of an earlier file
                text += ", or skip it with --skip-bad" if len(self.videos) > 1 else ""
            raise type(error)(text) from None
        return {"video": video, "file": file.location, "bytes": file.size, "changed": file.changed, **counts}

    def finish(self) -> None:
        """Write the manifest, with the first picture time (`begins`) of videos whose pictures start after the file."""
        storage, rows = self.folder.storage, self.folder.rows
        begins = {video: rows[video]["begins"] for video in sorted(rows) if rows[video].get("begins")}
        written = storage.read_json(MANIFEST_NAME)
        reusable = isinstance(written, dict) and isinstance(written.get("extraction"), dict)
        record = written if reusable else self.manifest.to_json()
        updated = {**record, "extraction": {**record["extraction"], "begins": begins}}
        if updated != written:
            storage.write_json(MANIFEST_NAME, updated)


def extract(
    videos: Mapping[str, Path | StoredFile],
    encoder: Encoder | EncoderSource,
    out: Path | str,
    *,
    source: str | None = None,
    overwrite: bool = False,
    executor: Executor = TWO_AT_A_TIME,
    skip_bad: bool = False,
    progress: Progress = no_progress,
    **options: Unpack[SamplingOptions],
) -> FeatureSet:
    """Extract features [snippets, channels] of videos, and write them to `out/<id>.npy` with a manifest.

    Existing features from the same file with the same settings are not extracted again. So a stopped extraction
    continues, and an extraction with more videos adds them. Memory use does not depend on the length of videos.

    Args:
        videos: local or stored video files by id, for example from `find_videos`.
        encoder: an encoder, or its source for workers to load.
        out: a new folder, or the folder of an extraction with the same settings.
        source: name of `encoder` for `load_encoder`, if it differs from the name of the encoder.
        overwrite: replace the features of an extraction with other settings.
        executor: threads or a Ray cluster; two threads by default.
        skip_bad: skip videos that cannot be decoded.
        progress: function that is called with the number of finished videos, the number of all videos, and the number
            of written snippets.
        options: `fps` (frames per second), `stride` (frames), `framing`, `dtype` and `batch` (snippets); the defaults
            are those of the encoder.

    Returns:
        The features of all videos that were not skipped.

    Raises:
        SolaError: if a setting is out of range, a video does not exist or cannot be decoded, or `out` holds other
            files.

    Examples:
        >>> import sola
        >>> import torch
        >>> encoder = sola.load_encoder("efficientnet-lite0", torch.device("cpu"))
        >>> features = sola.extract(sola.find_videos(["new_videos"]), encoder, "extracted", fps=4, stride=2)
        >>> features.videos, features.read("c").shape  # a video of 8 s, two snippets per second
        (('c',), (16, 1280))
    """
    job = ExtractJob(videos, encoder, out, source=source, overwrite=overwrite, **options)
    skipped = run_job(job, executor, skip_bad=skip_bad, progress=progress)
    return FeatureSet.open(out, id_from=id_from_of(videos)).only(video for video in videos if video not in skipped)


def _description(manifest: Manifest) -> Row:
    """Return the settings that affect the features, without the location of the encoder and library versions."""
    timing = {key: getattr(manifest, key) for key in ("fps", "window", "stride", "dim")}
    description = {"command": "sola extract", **timing, **(manifest.extraction or {})}
    return {key: value for key, value in description.items() if key not in ("encoder", "made_with")}
