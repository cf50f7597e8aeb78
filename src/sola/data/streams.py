"""Streams: features of one source, a directory of files in one format or one HDF5 archive."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.formats import FORMATS, hdf5
from sola.data.formats.base import Format, Header
from sola.data.journal import check_finished
from sola.data.manifest import MANIFEST_NAME, TIMING, Manifest

CURE = "repair or remove it, or pass --skip-bad"


@dataclass(frozen=True)
class Stream:
    """Per-video arrays of one source, all of the same width."""

    source: Path
    """The directory, or the archive."""
    format: Format
    paths: dict[str, Path]
    """Path of each video's array: a file, or `archive.h5/video`."""
    headers: dict[str, Header]
    """Headers known so far, as [time, channels]; those of all good files if reading them is cheap."""
    channels: int
    channels_first: bool
    manifest: Manifest

    def file(self, video: str) -> Path:
        """Return the path of the file or archive that holds a video."""
        path = self.paths[video]
        return path.parent if path.parent.is_file() else path

    def header(self, video: str) -> Header:
        """Return shape (time, channels) and dtype of a video's array. Raises SolaError when the file is bad."""
        if video not in self.headers:
            self.headers[video] = self._checked(video, self.format.header(self.paths[video]))
        return self.headers[video]

    def read(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return a video's array in its stored dtype; see `FeatureSet.read`."""
        array = self.format.read(self.paths[video])
        self._checked(video, Header(array.shape, array.dtype))
        if self.channels_first:
            array = array.T
        finite = np.isfinite(array)
        if not finite.all():
            snippet = int(np.argmin(finite.all(axis=1)))
            raise SolaError(
                f"{self.paths[video]}: holds NaN or infinity, first in snippet {snippet}; expected finite values"
            )
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def _checked(self, video: str, stored: Header) -> Header:
        header = _oriented(stored, self.channels_first)
        if header.shape[1] != self.channels:
            raise SolaError(f"{self.paths[video]}: has {header.shape[1]} channels; expected {self.channels}")
        return header


def open_streams(
    sources: Sequence[Path], *, channels_first: bool, skip_bad: bool
) -> tuple[list[Stream], dict[str, str]]:
    """Open sources that belong together; also return why videos cannot be used, by id, as far as headers show.

    Raises SolaError for a source that holds no features and, without `skip_bad`, for the first bad file.
    """
    opened = [_open_stream(source, channels_first=channels_first) for source in sources]
    streams = [stream for stream, _ in opened]
    faults: dict[str, str] = {}
    for _, found in opened:
        faults = found | faults
    videos = sorted({video for stream in streams for video in stream.paths})
    for stream in streams:
        missing = [video for video in videos if video not in stream.paths]
        if missing and not skip_bad:
            raise SolaError(
                f"{stream.source}: lacks {len(missing)} of {len(videos)} videos that other sources have, the first "
                f"{missing[0]!r}; add them here or remove them there, or pass --skip-bad"
            )
        faults = dict.fromkeys(missing, f"{stream.source}: lacks this video") | faults
    for video in videos:
        headers = [stream.headers[video] for stream in streams if video in stream.headers]
        if video not in faults and len(headers) == len(streams):
            try:
                joined_header(video, headers)
            except SolaError as error:
                faults[video] = str(error)
    if faults and not skip_bad:
        raise SolaError(f"{faults[min(faults)]}; {CURE}")
    return streams, faults


def joined_header(video: str, headers: Sequence[Header]) -> Header:
    """Return the header of streams joined on channels. Raises SolaError when their lengths differ."""
    lengths = [header.shape[0] for header in headers]
    if len(set(lengths)) > 1:
        counts = " and ".join(map(str, lengths))
        raise SolaError(f"video {video!r}: its streams have {counts} snippets; expected the same number")
    dtype = np.result_type(*(header.dtype.newbyteorder("=") for header in headers))
    return Header((lengths[0], sum(header.shape[1] for header in headers)), dtype)


def joined_manifest(streams: Sequence[Stream]) -> Manifest:
    """Return the first stream's manifest, completed by the others'. Raises SolaError when they disagree on time."""
    joined = streams[0].manifest
    for stream in streams[1:]:
        for key in TIMING:
            ours, theirs = getattr(joined, key), getattr(stream.manifest, key)
            if None not in (ours, theirs) and ours != theirs:
                raise SolaError(
                    f"{stream.source}: {MANIFEST_NAME} says {key} {theirs:g}, another source's {ours:g}; expected one"
                )
            joined = replace(joined, **{key: theirs if ours is None else ours})
    if len(streams) > 1:
        joined = replace(joined, dim=sum(stream.channels for stream in streams))
    return replace(joined, layout="CT") if streams[0].channels_first else joined


def _open_stream(source: Path, *, channels_first: bool) -> tuple[Stream, dict[str, str]]:
    """Open one source; also return what is wrong in it, by video."""
    try:
        suffix, paths = _find(source)
    except OSError as error:
        raise SolaError(f"{source}: cannot be listed ({error.strerror}); check its permissions") from None
    manifest = Manifest.read(source.parent if source.is_file() else source)
    if channels_first and manifest.layout == "TC":
        raise SolaError(f'{source}: {MANIFEST_NAME} says layout "TC" (time, channels); drop --channels-first')
    channels_first = channels_first or manifest.layout == "CT"

    headers: dict[str, Header] = {}
    faults: dict[str, str] = {}
    for video, path in paths.items():
        try:
            headers[video] = _oriented(FORMATS[suffix].header(path), channels_first)
        except SolaError as error:
            faults[video] = str(error)
        if headers and not FORMATS[suffix].header_is_cheap:
            break  # the first gives the width; the others are checked when they are read
    widths = Counter(header.shape[1] for header in headers.values())
    if manifest.dim is not None:
        channels, reason = manifest.dim, f"as {MANIFEST_NAME} says"
    else:
        channels, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
        reason = f"as {count} of {len(headers)} files have"
    misfits = {video: header for video, header in headers.items() if header.shape[1] != channels}
    equally_long = len({header.shape[0] for header in headers.values()}) == 1
    for video, header in misfits.items():
        # transposed arrays are as long as others are wide, or all equally long and of many widths
        turned = header.shape[0] == channels or (equally_long and 2 * len(misfits) > len(headers))
        hint = " (if the arrays are [channels, time], pass --channels-first)" if turned else ""
        faults[video] = f"{paths[video]}: has {header.shape[1]} channels; expected {channels}, {reason}{hint}"
    headers = {video: header for video, header in headers.items() if video not in misfits}
    return Stream(source, FORMATS[suffix], paths, headers, channels, channels_first, manifest), faults


def _find(source: Path) -> tuple[str, dict[str, Path]]:
    """Return the format of a source, and the path of each video's array, in order of id."""
    if source.is_file():
        if source.suffix != ".h5":
            raise SolaError(f"{source}: is a file; expected a directory of feature files, or one .h5 archive")
        return ".h5", _archived(source)
    if not source.is_dir():
        raise SolaError(f"{source}: no such directory; expected one of feature files, or one .h5 archive")
    check_finished(source, [path.name for path in source.iterdir()])
    files = _feature_files(source)
    examples = {path.suffix: path.name for path in reversed(files)}
    if not files:
        raise SolaError(f"{source}: holds no feature files ({', '.join(FORMATS)}){_suggestion(source)}")
    if len(examples) > 1:
        raise SolaError(
            f"{source}: mixes formats, such as {' and '.join(sorted(examples.values()))}; keep one in a directory"
        )
    if ".h5" in examples:
        if len(files) > 1:
            raise SolaError(f"{source}: holds {len(files)} .h5 archives; name the one to read")
        return ".h5", _archived(files[0])
    return files[0].suffix, {path.stem: path for path in files}


def _archived(archive: Path) -> dict[str, Path]:
    videos = sorted(hdf5.videos(archive))
    if not videos:
        raise SolaError(f"{archive}: holds no video; expected a dataset for each")
    return {video: archive / video for video in videos}


def _feature_files(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix in FORMATS and path.name[0] != "."]
    return sorted(path for path in found if path.is_file())


def _suggestion(folder: Path) -> str:
    """Suggest a folder inside that holds features."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    return next((f"; did you mean {path}?" for path in inside if _feature_files(path)), "; name their folder")


def _oriented(header: Header, channels_first: bool) -> Header:
    return Header(header.shape[::-1], header.dtype) if channels_first else header
