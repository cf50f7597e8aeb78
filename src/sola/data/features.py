"""Snippet features on disk, read when asked for."""

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.core.storage import StoredFile
from sola.data.formats.base import Header, to_dtype
from sola.data.manifest import Manifest
from sola.data.names import IdFrom, file_of
from sola.data.padding import find_padding
from sola.data.streams import CURE, ONLY_CURE, Stream, joined_header, joined_manifest, open_streams

T = TypeVar("T")
TRIED = 3
"""Other videos that are tried after a bad one."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of a set of videos; several streams (RGB, flow) are joined on channels.

    Methods that read many files raise SolaError at a bad file. With `skip_bad` they leave it out and add the reason to
    the `skipped` of the caller, by video id.
    """

    streams: tuple[Stream, ...]
    videos: tuple[str, ...]
    """Sorted ids, without those in `unreadable`."""
    manifest: Manifest
    skip_bad: bool = False
    """Whether bad files are left out."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Reasons why videos are left out of `videos`, by id; known before any array is read."""
    trimmed: Mapping[str, int] = field(default_factory=dict)
    """Snippets of padding that are left out at the end of videos, by id."""

    @classmethod
    def open(
        cls,
        sources: str | Path | Sequence[str | Path],
        *,
        channels_first: bool = False,
        skip_bad: bool = False,
        stream_suffixes: Sequence[str] = (),
        id_from: IdFrom = "name",
        trim_padding: bool = False,
    ) -> "FeatureSet":
        """Open a directory of .npy, .npz, .pt or .csv files, one .h5 archive, or several of these as streams.

        The files hold [time, channels] or, with `channels_first` or a manifest that says so, [channels, time]. Streams
        may be `MOST_CUT` snippets longer than others; they are cut. With `stream_suffixes` such as "rgb" and "flow",
        files whose names end in `_rgb` and `_flow`, or begin with `rgb_` and `flow_`, are streams of the same videos.
        With `id_from` "path", files in folders inside the directory are read too, and ids contain the folders. With
        `trim_padding`, zeros or copies of the last snippet at the end of videos are left out.

        Raises SolaError naming the source or file at fault; with `skip_bad`, only if no video is left.
        """
        paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
        if not paths:
            raise SolaError("no features named; expected a directory of feature files, or one .h5 archive")
        streams, unreadable = open_streams(
            paths, channels_first=channels_first, skip_bad=skip_bad, streams=stream_suffixes, id_from=id_from
        )
        videos = {video for stream in streams for video in stream.paths}
        if len(unreadable) == len(videos):
            raise none_left(unreadable, len(videos))
        good = tuple(sorted(videos - unreadable.keys()))
        trimmed = find_padding(streams, good, sampled=False) if trim_padding else {}
        return cls(tuple(streams), good, joined_manifest(streams), skip_bad, unreadable, trimmed)

    @property
    def channels(self) -> int:
        """Channels of all streams together."""
        return sum(stream.channels for stream in self.streams)

    @property
    def shortened(self) -> dict[str, tuple[int, ...]]:
        """Snippets in each stream, by id, of videos whose streams are not equally long, as far as headers are known.

        Such videos have the snippets that all streams have.
        """
        found = {}
        for video in self.videos if len(self.streams) > 1 else ():
            lengths = tuple(stream.headers[video].shape[0] for stream in self.streams if video in stream.headers)
            if len(set(lengths)) > 1:
                found[video] = lengths
        return found

    def padding(self) -> dict[str, int]:
        """Return the snippets of padding at the end of each padded video; empty if none of a sample is padded."""
        return {} if self.trimmed else find_padding(self.streams, self.videos, sampled=True)

    def only(self, videos: Iterable[str]) -> "FeatureSet":
        """Return the features of these videos, without those that are unreadable. SolaError for an unknown video."""
        chosen = set(videos)
        self._check_known(chosen)
        return replace(self, videos=tuple(sorted(chosen - self.unreadable.keys())))

    def without(self, bad: Mapping[str, str]) -> "FeatureSet":
        """Return the features without videos that are bad; `bad` holds the reasons by id."""
        videos = tuple(video for video in self.videos if video not in bad)
        return replace(self, videos=videos, unreadable={**self.unreadable, **bad})

    def with_timing(self, timing: Mapping[str, float]) -> "FeatureSet":
        """Return the features with fps, stride, window and offset (frames) where the manifest lacks them."""
        return replace(self, manifest=self.manifest.filled(timing))

    def header(self, video: str) -> Header:
        """Return shape (time, channels) and dtype of a video's array. Raises SolaError for an unknown or bad one."""
        return self._cured(video, self._header)

    def headers(self, skipped: dict[str, str] | None = None) -> dict[str, Header]:
        """Return the headers of all videos by id, in order."""
        return dict(self._each(self.videos, self.header, skipped))

    def length(self, video: str) -> int:
        """Return the number of snippets of a video."""
        return self.header(video).shape[0]

    def read(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return a video's array in its stored dtype (the widest of its streams), memory-mapped if possible.

        Raises SolaError naming the file if it is damaged, has other channels, or holds NaN or infinity.
        """
        return self._cured(video, self._read)

    def read_good(
        self, videos: Iterable[str], skipped: dict[str, str] | None = None
    ) -> Iterator[tuple[str, Float[np.ndarray, "time channels"]]]:
        """Yield (video, array) in the order of `videos`."""
        return self._each(videos, self.read, skipped)

    def items(self, skipped: dict[str, str] | None = None) -> Iterator[tuple[str, Float[np.ndarray, "time channels"]]]:
        """Yield (video, array) of all videos in order of id. Raises SolaError, also with `skip_bad`, if all are bad."""
        bad: dict[str, str] = {} if skipped is None else skipped
        count = 0
        for video, array in self.read_good(self.videos, bad):
            count += 1
            yield video, array
            del array
        if self.videos and not count:
            raise none_left({video: bad[video] for video in self.videos}, len(self.videos))

    def file_name(self, video: str) -> str:
        """Return the path of a video's file within a folder like the first source: `id.npy`, or that of an archive.

        Raises SolaError if the id would leave the folder.
        """
        file = self.streams[0].file(video)
        return file_of(video, file.suffix) if file == self.streams[0].paths[video] else file.name

    @property
    def locations(self) -> list[str]:
        """Absolute paths of the sources."""
        return list(dict.fromkeys(str(stream.source.absolute()) for stream in self.streams))

    def state(self, video: str) -> list[list[int]]:
        """Return size and time of change of a video's file in each source: another state is another file."""
        trimmed = [[self.trimmed[video]]] if video in self.trimmed else []
        return [StoredFile.of(stream.file(video)).state for stream in self.streams] + trimmed

    @contextmanager
    def fetched(self, video: str) -> Iterator["FeatureSet"]:
        """Yield a feature set that has the video: this one, since its files are local."""
        yield self

    def write_like(self, video: str, array: Float[np.ndarray, "time channels"], path: Path) -> None:
        """Write an array in the format, orientation and dtype of the video's file in the first source.

        `path` is a file, or `archive.h5/video` to add to an archive.

        Raises SolaError if a value does not fit the dtype, or the file cannot be written.
        """
        stream, cure = self.streams[0], "scale the features down or store them in a wider dtype"
        stored = to_dtype(array, self.header(video).dtype, what=f"video {video!r}: a result", cure=cure)
        stream.format.write(path, stored.T if stream.channels_first else stored, stream.paths[video])

    def _each(
        self, videos: Iterable[str], read: Callable[[str], T], skipped: dict[str, str] | None
    ) -> Iterator[tuple[str, T]]:
        """Yield (video, what `read` returns), without bad files if `skip_bad`."""
        for video in videos:
            try:
                value = read(video)
            except SolaError as error:
                if not self.skip_bad:
                    raise
                if skipped is not None:
                    skipped[video] = str(error)
                continue
            yield video, value
            del value  # or two files would be in memory while the next is read

    def _check_known(self, videos: Iterable[str]) -> None:
        for stream in self.streams:
            for video in videos:
                if video not in stream.paths:
                    raise SolaError(f"{stream.source}: no features of video {video!r}; pick one that is there")

    def _header(self, video: str) -> Header:
        header = joined_header(video, [stream.header(video) for stream in self.streams])
        return Header((header.shape[0] - self.trimmed.get(video, 0), header.shape[1]), header.dtype)

    def _read(self, video: str) -> Float[np.ndarray, "time channels"]:
        arrays = [stream.read(video) for stream in self.streams]
        length = joined_header(video, [Header(array.shape, array.dtype) for array in arrays]).shape[0]
        arrays = [array[: length - self.trimmed.get(video, 0)] for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)

    def _cured(self, video: str, read: Callable[[str], T]) -> T:
        """Return what `read` returns; its SolaError says what to do."""
        self._check_known([video])
        try:
            return read(video)
        except SolaError as error:
            raise error if self.skip_bad else SolaError(f"{error}; {self._cure(video, read)}") from error

    def _cure(self, video: str, read: Callable[[str], object]) -> str:
        """Return what to do about a bad video: to leave it out is no cure if others are bad as well."""
        good = [other for other in self.streams[0].paths if other not in self.unreadable]
        after = bisect(good, video)
        others = [other for other in good[after:] + good[:after] if other != video][:TRIED]
        for other in others:
            with suppress(SolaError):
                read(other)
                return CURE
        return f"so do {' and '.join(map(repr, others))}: repair or replace them" if others else ONLY_CURE


def none_left(skipped: Mapping[str, str], videos: int) -> SolaError:
    """Return the error for a set of `videos` that are all bad, with the reason of the first."""
    return SolaError(f"{skipped[min(skipped)]}; none of {videos} videos is left")
