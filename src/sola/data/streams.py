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
"""Advice if there is only one video."""
MAX_LENGTH_DIFFERENCE = 2
"""Largest length difference between the streams of a video (snippets); longer streams are cut. Flow has one frame less
than RGB."""


@dataclass(frozen=True)
class Stream:
    """Per-video arrays of one kind with the same number of channels."""

    source: Path
    """Directory or archive."""
    name: str
    """The source, followed by the stream name if the source has several streams."""
    format: Format
    """File format."""
    paths: dict[str, Path]
    """Path of each video's array: a file, or `archive.h5/video`."""
    headers: dict[str, Header]
    """Headers read so far, as [time, channels]; of all good files if reading a header is cheap."""
    channels: int
    """Number of channels."""
    channels_first: bool
    """Whether the stored arrays are [channels, time]."""
    manifest: Manifest
    """Contents of features.json."""

    def file(self, video: str) -> Path:
        """Return the path of the file or archive that holds a video."""
        path = self.paths[video]
        return path.parent if path.parent.is_file() else path

    def header(self, video: str) -> Header:
        """Return the shape (time, channels) and dtype of a video. Raises SolaError if the file is bad."""
        if video not in self.headers:
            self.headers[video] = self._checked(video, self.format.header(self.paths[video]))
        return self.headers[video]

    def read(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return the features of a video [time, channels] in their stored dtype; see `FeatureSet.read`."""
        array = self.stored(video)
        finite = np.isfinite(array)
        if not finite.all():
            snippet = int(np.argmin(finite.all(axis=1)))
            raise SolaError(
                f"{self.paths[video]}: contains NaN or infinity, first in snippet {snippet}; expected finite values"
            )
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def stored(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return the features of a video as stored, memory-mapped if possible, without checking the values."""
        array = self.format.read(self.paths[video])
        self._checked(video, Header(array.shape, array.dtype))
        return array.T if self.channels_first else array

    def _checked(self, video: str, stored: Header) -> Header:
        header = _oriented(stored, self.channels_first)
        if header.shape[1] != self.channels:
            may_be_swapped = all(known.shape[0] == header.shape[0] for known in self.headers.values())
            hint = (
                f" (if the arrays are [channels, time], {_swap_advice(self.manifest, self.channels_first)})"
                if may_be_swapped
                else ""
            )
            raise SolaError(f"{self.paths[video]}: has {header.shape[1]} channels; expected {self.channels}{hint}")
        return header


def open_streams(
    sources: Sequence[Path], *, channels_first: bool, skip_bad: bool, streams: Sequence[str] = (), id_from: IdFrom
) -> tuple[list[Stream], dict[str, str]]:
    """Open sources of the same videos. Also return the reasons for unusable videos, by id, as far as headers show.

    `streams` are the stream names in sources with several streams; see `split_streams`.

    Raises SolaError for a source without features, for a problem of all its files and, without `skip_bad`, for the
    first bad file.
    """
    opened: list[Stream] = []
    faults: dict[str, str] = {}
    for source in sources:
        suffix, arrays = find_arrays(source, id_from)
        for name, paths in split_streams(source, arrays, streams).items():
            where = f"{source} ({name})" if name else str(source)
            stream, stream_faults = _open_stream(
                source, where, suffix, paths, channels_first=channels_first, skip_bad=skip_bad
            )
            opened.append(stream)
            faults = stream_faults | faults
    videos = sorted({video for stream in opened for video in stream.paths})
    _check_common(opened)
    for stream in opened:
        missing = [video for video in videos if video not in stream.paths]
        if missing and not skip_bad:
            raise SolaError(
                f"{stream.name}: lacks {len(missing)} of {len(videos)} videos of the other sources, such as "
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
    """Return the header of streams joined along channels and cut to the shortest stream.

    Raises SolaError if their lengths differ by more than `MAX_LENGTH_DIFFERENCE`.
    """
    lengths = [header.shape[0] for header in headers]
    if max(lengths) - min(lengths) > MAX_LENGTH_DIFFERENCE:
        counts = " and ".join(map(str, lengths))
        raise SolaError(
            f"video {video!r}: its streams have {counts} snippets; expected lengths that differ by at most "
            f"{MAX_LENGTH_DIFFERENCE}"
        )
    dtype = np.result_type(*(header.dtype.newbyteorder("=") for header in headers))
    return Header((min(lengths), sum(header.shape[1] for header in headers)), dtype)


def joined_manifest(streams: Sequence[Stream]) -> Manifest:
    """Return the manifest of the first stream, completed by the others. Raises SolaError if their timing differs."""
    joined = streams[0].manifest
    for stream in streams[1:]:
        for key in TIMING:
            first, other = getattr(joined, key), getattr(stream.manifest, key)
            if None not in (first, other) and first != other:
                raise SolaError(
                    f"{stream.source}: {MANIFEST_NAME} has {key} {other:g}, but another source has "
                    f"{first:g}; use the same value"
                )
            joined = replace(joined, **{key: other if first is None else first})
    if len(streams) > 1:
        joined = replace(joined, dim=sum(stream.channels for stream in streams))
    return replace(joined, layout="CT") if streams[0].channels_first else joined


def _open_stream(
    source: Path, name: str, suffix: str, paths: dict[str, Path], *, channels_first: bool, skip_bad: bool
) -> tuple[Stream, dict[str, str]]:
    """Open one stream. Also return the reasons for bad files, by video."""
    manifest = Manifest.read(source.parent if source.is_file() else source)
    if channels_first and manifest.layout == "TC":
        raise SolaError(f'{source}: {MANIFEST_NAME} has layout "TC" (time, channels); remove --channels-first')
    channels_first = channels_first or manifest.layout == "CT"

    headers: dict[str, Header] = {}
    faults: dict[str, str] = {}
    for video, path in paths.items():
        try:
            headers[video] = _oriented(FORMATS[suffix].header(path), channels_first)
        except SolaError as error:
            faults[video] = str(error)
        if headers and not FORMATS[suffix].header_is_cheap:
            break  # the first file gives the number of channels; the others are checked when read
    widths = Counter(header.shape[1] for header in headers.values())
    if manifest.dim is not None:
        channels, reason = manifest.dim, f"as in {MANIFEST_NAME}"
    else:
        channels, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
        reason = f"as in {count} of {len(headers)} files"
    misfits = {video: header for video, header in headers.items() if header.shape[1] != channels}
    for video, header in misfits.items():
        hint = " (the array may be [channels, time])" if header.shape[0] == channels else ""
        faults[video] = f"{paths[video]}: has {header.shape[1]} channels; expected {channels}, {reason}{hint}"
    if misfits:
        _check_channel_counts(name, headers, misfits, manifest, channels_first=channels_first, skip_bad=skip_bad)
    headers = {video: header for video, header in headers.items() if video not in misfits}
    return Stream(source, name, FORMATS[suffix], paths, headers, channels, channels_first, manifest), faults


def _check_channel_counts(
    name: str,
    headers: Mapping[str, Header],
    misfits: Mapping[str, Header],
    manifest: Manifest,
    *,
    channels_first: bool,
    skip_bad: bool,
) -> None:
    """Raise SolaError if the channel counts point to swapped axes, a wrong manifest or mixed features."""
    count, widths = len(headers), Counter(header.shape[1] for header in headers.values())
    lengths = {header.shape[0] for header in headers.values()}
    (most, _), (other, rarer) = (*widths.most_common(2), (0, 0))[:2]
    two_kinds = manifest.dim is None and rarer > 1 and 4 * rarer >= count
    swapped = lengths == {manifest.dim} if manifest.dim is not None else len(lengths) == 1 and count > 1
    if swapped and 2 * len(misfits) >= count and not (two_kinds and len(widths) == 2):
        raise SolaError(
            f"{name}: all {count} arrays would have {min(lengths)} snippets of {min(widths)} to {max(widths)} "
            f"channels, so their axes are swapped; {_swap_advice(manifest, channels_first)}"
        )
    if len(misfits) == count and len(widths) == 1:
        raise SolaError(
            f"{name}: all {count} files have {min(widths)} channels, but {MANIFEST_NAME} has dim {manifest.dim}; "
            f'correct "dim"'
        )
    if two_kinds and not skip_bad:
        kinds = [next(video for video in headers if headers[video].shape[1] == width) for width in (most, other)]
        raise SolaError(
            f"{name}: {widths[most]} files have {most} channels, such as {kinds[0]!r}, and {rarer} have {other}, "
            f"such as {kinds[1]!r}; use one kind of features per folder"
        )


def _swap_advice(manifest: Manifest, channels_first: bool) -> str:
    """Return advice on how to swap the axes."""
    if manifest.layout is not None:
        return f'correct "layout" in {MANIFEST_NAME}'
    return f"{'remove' if channels_first else 'pass'} --channels-first"


def _check_common(streams: Sequence[Stream]) -> None:
    """Raise SolaError if no video has all streams."""
    if set.intersection(*(set(stream.paths) for stream in streams)):
        return
    first = streams[0]
    other = next((stream for stream in streams if first.paths.keys().isdisjoint(stream.paths)), streams[-1])
    named = common_streams([stream.paths for stream in streams])
    cure = f"pass --streams {' '.join(named)}" if named else "pass sources of the same videos"
    raise SolaError(
        f"{first.name} and {other.name}: no common videos, only {min(first.paths)!r} and {min(other.paths)!r}; {cure}"
    )


def _unequal(streams: Sequence[Stream], videos: Sequence[str], count: int) -> dict[str, str]:
    """Return why the streams of some videos cannot be joined. Raises SolaError if this affects all `count` videos."""
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
        seen = f"one has {ratio:.3g} times as many as another" if ratio else "they differ too much"
        where = f" in all {count} videos" if count > 1 else ""
        raise SolaError(f"{faults[min(faults)]}; {seen}{where}: extract them from the same videos with the same stride")
    return {
        video: f"{fault} (they differ too much in {len(faults)} of {count} videos)" for video, fault in faults.items()
    }


def _ratio(lengths: Sequence[Sequence[int]]) -> float | None:
    """Return the length ratio of the longest to the shortest stream if it is the same in every video, else None."""
    totals = np.sum(lengths, axis=0)
    longest, shortest = int(totals.argmax()), int(totals.argmin())
    ratio = float(totals[longest] / totals[shortest])
    alike = all(abs(row[longest] - ratio * row[shortest]) <= MAX_LENGTH_DIFFERENCE * ratio for row in lengths)
    return ratio if alike and ratio > 1.2 else None


def _oriented(header: Header, channels_first: bool) -> Header:
    return Header(header.shape[::-1], header.dtype) if channels_first else header
