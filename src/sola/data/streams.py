"""Streams: features of one kind, in a directory of files of one format or in an HDF5 archive."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.formats import FORMATS
from sola.data.formats.base import Format, Header
from sola.data.listing import common_streams, find_arrays, split_streams
from sola.data.manifest import MANIFEST_NAME, TIMING, Manifest
from sola.data.names import IdFrom

CURE = "repair or remove it, or pass --skip-bad"
ONLY_CURE = "repair or replace it"
"""What to do about the only video."""
MOST_CUT = 2
"""Snippets by which the streams of a video may differ, as flow has a frame less than RGB; the longer ones are cut."""


@dataclass(frozen=True)
class Stream:
    """Per-video arrays of one kind, all of the same width."""

    source: Path
    """The directory, or the archive."""
    name: str
    """The source and, if that has several streams, which it is."""
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
        array = self.stored(video)
        finite = np.isfinite(array)
        if not finite.all():
            snippet = int(np.argmin(finite.all(axis=1)))
            raise SolaError(
                f"{self.paths[video]}: holds NaN or infinity, first in snippet {snippet}; expected finite values"
            )
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def stored(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return a video's array as it is stored, memory-mapped where possible; the values are not checked."""
        array = self.format.read(self.paths[video])
        self._checked(video, Header(array.shape, array.dtype))
        return array.T if self.channels_first else array

    def _checked(self, video: str, stored: Header) -> Header:
        header = _oriented(stored, self.channels_first)
        if header.shape[1] != self.channels:
            turned = all(known.shape[0] == header.shape[0] for known in self.headers.values())
            hint = (
                f" (if the arrays are [channels, time], {_turning(self.manifest, self.channels_first)})"
                if turned
                else ""
            )
            raise SolaError(f"{self.paths[video]}: has {header.shape[1]} channels; expected {self.channels}{hint}")
        return header


def open_streams(
    sources: Sequence[Path], *, channels_first: bool, skip_bad: bool, streams: Sequence[str] = (), id_from: IdFrom
) -> tuple[list[Stream], dict[str, str]]:
    """Open sources that belong together; also return why videos cannot be used, by id, as far as headers show.

    `streams` names the streams of each source that has several; see `split_streams`.

    Raises SolaError for a source that holds no features or a fault of all its files and, without `skip_bad`, for the
    first bad file.
    """
    opened: list[Stream] = []
    faults: dict[str, str] = {}
    for source in sources:
        suffix, arrays = find_arrays(source, id_from)
        for name, paths in split_streams(source, arrays, streams).items():
            where = f"{source} ({name})" if name else str(source)
            stream, found = _open_stream(source, where, suffix, paths, channels_first=channels_first, skip_bad=skip_bad)
            opened.append(stream)
            faults = found | faults
    videos = sorted({video for stream in opened for video in stream.paths})
    _check_common(opened)
    for stream in opened:
        missing = [video for video in videos if video not in stream.paths]
        if missing and not skip_bad:
            raise SolaError(
                f"{stream.name}: lacks {len(missing)} of {len(videos)} videos that other sources have, the first "
                f"{missing[0]!r}; add them here or remove them there, or pass --skip-bad"
            )
        faults = dict.fromkeys(missing, f"{stream.name}: lacks this video") | faults
    faults = _unequal(opened, [video for video in videos if video not in faults], len(videos)) | faults
    if faults and not skip_bad:
        cure = CURE
        if len(faults) == len(videos):
            cure = f"all {len(videos)} videos fail: repair or replace them" if videos[1:] else ONLY_CURE
        raise SolaError(f"{faults[min(faults)]}; {cure}")
    return opened, faults


def joined_header(video: str, headers: Sequence[Header]) -> Header:
    """Return the header of streams joined on channels, over the snippets that all have.

    Raises SolaError when their lengths differ by more than `MOST_CUT`.
    """
    lengths = [header.shape[0] for header in headers]
    if max(lengths) - min(lengths) > MOST_CUT:
        counts = " and ".join(map(str, lengths))
        raise SolaError(
            f"video {video!r}: its streams have {counts} snippets; expected lengths that differ by at most {MOST_CUT}"
        )
    dtype = np.result_type(*(header.dtype.newbyteorder("=") for header in headers))
    return Header((min(lengths), sum(header.shape[1] for header in headers)), dtype)


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


def _open_stream(
    source: Path, name: str, suffix: str, paths: dict[str, Path], *, channels_first: bool, skip_bad: bool
) -> tuple[Stream, dict[str, str]]:
    """Open one stream; also return what is wrong in it, by video."""
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
    for video, header in misfits.items():
        hint = ", if the array is [channels, time]" if header.shape[0] == channels else ""
        faults[video] = f"{paths[video]}: has {header.shape[1]} channels; expected {channels}, {reason}{hint}"
    if misfits:
        _check_kinds(name, headers, misfits, manifest, channels_first=channels_first, skip_bad=skip_bad)
    headers = {video: header for video, header in headers.items() if video not in misfits}
    return Stream(source, name, FORMATS[suffix], paths, headers, channels, channels_first, manifest), faults


def _check_kinds(
    name: str,
    headers: Mapping[str, Header],
    misfits: Mapping[str, Header],
    manifest: Manifest,
    *,
    channels_first: bool,
    skip_bad: bool,
) -> None:
    """Raise SolaError if the widths show that not single files are at fault: none would be left, or half of them."""
    count, widths = len(headers), Counter(header.shape[1] for header in headers.values())
    lengths = {header.shape[0] for header in headers.values()}
    (most, _), (other, rarer) = (*widths.most_common(2), (0, 0))[:2]
    two_kinds = manifest.dim is None and rarer > 1 and 4 * rarer >= count
    swapped = lengths == {manifest.dim} if manifest.dim is not None else len(lengths) == 1 and count > 1
    if swapped and 2 * len(misfits) >= count and not (two_kinds and len(widths) == 2):
        raise SolaError(
            f"{name}: all arrays ({count}) would have {min(lengths)} snippets of {min(widths)} to {max(widths)} "
            f"channels, so their axes are swapped; {_turning(manifest, channels_first)}"
        )
    if len(misfits) == count and len(widths) == 1:
        raise SolaError(
            f"{name}: all files ({count}) have {min(widths)} channels, {MANIFEST_NAME} says {manifest.dim}; "
            f'correct "dim" there'
        )
    if two_kinds and not skip_bad:
        kinds = [next(video for video in headers if headers[video].shape[1] == width) for width in (most, other)]
        raise SolaError(
            f"{name}: {widths[most]} files have {most} channels, such as {kinds[0]!r}, and {rarer} have {other}, "
            f"such as {kinds[1]!r}; keep one kind of features in a folder"
        )


def _turning(manifest: Manifest, channels_first: bool) -> str:
    """Return what turns arrays the other way."""
    if manifest.layout is not None:
        return f'correct "layout" in {MANIFEST_NAME}'
    return f"{'drop' if channels_first else 'pass'} --channels-first"


def _check_common(streams: Sequence[Stream]) -> None:
    """Raise SolaError if no video has all streams."""
    if set.intersection(*(set(stream.paths) for stream in streams)):
        return
    first = streams[0]
    other = next((stream for stream in streams if first.paths.keys().isdisjoint(stream.paths)), streams[-1])
    named = common_streams([stream.paths for stream in streams])
    cure = f"pass --streams {' '.join(named)}" if named else "name sources of the same videos"
    raise SolaError(
        f"{first.name} and {other.name}: no video has all streams, there are {min(first.paths)!r} and "
        f"{min(other.paths)!r}; {cure}"
    )


def _unequal(streams: Sequence[Stream], videos: Sequence[str], count: int) -> dict[str, str]:
    """Return why the streams of some videos cannot be joined. Raises SolaError if that is so for all `count` videos."""
    lengths, faults = [], {}
    for video in videos:
        headers = [stream.headers[video] for stream in streams if video in stream.headers]
        if len(headers) == len(streams):
            try:
                joined_header(video, headers)
            except SolaError as error:
                faults[video] = str(error)
                lengths.append([header.shape[0] for header in headers])
    if len(faults) == count:
        ratio = _ratio(lengths)
        seen = f"one has {ratio:.3g} times as many as another" if ratio else "they differ more"
        where = f" in all {count} videos" if count > 1 else ""
        raise SolaError(f"{faults[min(faults)]}; {seen}{where}: extract them from the same videos with the same stride")
    return {video: f"{fault} (in {len(faults)} of {count} videos they differ more)" for video, fault in faults.items()}


def _ratio(lengths: Sequence[Sequence[int]]) -> float | None:
    """Return how many times as long as another one stream is, if it is so in every video."""
    totals = np.sum(lengths, axis=0)
    longest, shortest = int(totals.argmax()), int(totals.argmin())
    ratio = float(totals[longest] / totals[shortest])
    alike = all(abs(row[longest] - ratio * row[shortest]) <= MOST_CUT * ratio for row in lengths)
    return ratio if alike and ratio > 1.2 else None


def _oriented(header: Header, channels_first: bool) -> Header:
    return Header(header.shape[::-1], header.dtype) if channels_first else header
