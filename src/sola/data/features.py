"""Snippet features on disk, read on demand."""

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
"""Number of other videos to read after a bad one, to see if they fail too."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Snippet features of a set of videos on disk. Several streams (RGB, flow) are joined along channels.

    Create it with `FeatureSet.open`. Methods that read many files raise SolaError at the first bad file. With
    `skip_bad`, they skip bad files and add the reasons to their `skipped` argument, by video id.

    Examples:
        >>> import sola
        >>> features = sola.FeatureSet.open("features")
        >>> len(features.videos), features.channels
        (9, 16)
        >>> array = features.read("training_0000")
        >>> array.shape == (features.length("training_0000"), features.channels), array.dtype
        (True, dtype('float16'))
    """

    streams: tuple[Stream, ...]
    """Opened streams, in the order of their channels."""
    videos: tuple[str, ...]
    """Sorted video ids, without those in `unreadable`."""
    manifest: Manifest
    """Contents of features.json, joined over the streams."""
    skip_bad: bool = False
    """Whether bad files are skipped."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Reasons for videos missing from `videos`, by video id, known before any array is read."""
    trimmed: Mapping[str, int] = field(default_factory=dict)
    """Number of padding snippets removed from the end of each video, by video id."""

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

        Args:
            sources: paths of directories or archives. Each is one stream unless `stream_suffixes` are given. Stream
                lengths may differ by at most 2 snippets; longer streams are cut.
            channels_first: read arrays as [channels, time] instead of [time, channels]. The manifest may also set this.
            skip_bad: skip bad files instead of raising SolaError.
            stream_suffixes: stream names, such as "rgb" and "flow". Files that end in `_rgb` and `_flow`, or start with
                `rgb_` and `flow_`, are streams of the same videos.
            id_from: "name" for the file name, or "path" to also read subfolders and include them in the ids.
            trim_padding: remove trailing zeros or copies of the last snippet from each video.

        Raises:
            SolaError: if a source or file cannot be used. With `skip_bad`, bad files are an error only if all are bad.

        Examples:
            >>> import sola
            >>> features = sola.FeatureSet.open("features", skip_bad=True)
            >>> features.videos[0], dict(features.unreadable)
            ('training_0000', {})
        """
        paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
        if not paths:
            raise SolaError("no feature paths; expected a directory of feature files or one .h5 archive")
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
        """Total number of channels of all streams."""
        return sum(stream.channels for stream in self.streams)

    @property
    def shortened(self) -> dict[str, tuple[int, ...]]:
        """Number of snippets per stream, by video id, for videos whose streams differ in length.

        Covers only files whose headers were read. The features of these videos are cut to the shortest stream.
        """
        lengths_by_video = {}
        for video in self.videos if len(self.streams) > 1 else ():
            lengths = tuple(stream.headers[video].shape[0] for stream in self.streams if video in stream.headers)
            if len(set(lengths)) > 1:
                lengths_by_video[video] = lengths
        return lengths_by_video

    def padding(self) -> dict[str, int]:
        """Return the number of trailing padding snippets by video id, or nothing if no video of a sample is padded."""
        return {} if self.trimmed else find_padding(self.streams, self.videos, sampled=True)

    def only(self, videos: Iterable[str]) -> "FeatureSet":
        """Return the readable features of these videos. Raises SolaError for an unknown video."""
        chosen = set(videos)
        self._check_known(chosen)
        return replace(self, videos=tuple(sorted(chosen - self.unreadable.keys())))

    def without(self, bad: Mapping[str, str]) -> "FeatureSet":
        """Return the features without bad videos; `bad` maps video ids to reasons."""
        videos = tuple(video for video in self.videos if video not in bad)
        return replace(self, videos=videos, unreadable={**self.unreadable, **bad})

    def with_timing(self, timing: Mapping[str, float]) -> "FeatureSet":
        """Return the features with fps, stride, window and offset (frames) filled in where the manifest lacks them."""
        return replace(self, manifest=self.manifest.filled(timing))

    def header(self, video: str) -> Header:
        """Return the shape (time, channels) and dtype of a video. Raises SolaError for an unknown or bad video."""
        return self._with_advice(video, self._header)

    def headers(self, skipped: dict[str, str] | None = None) -> dict[str, Header]:
        """Return the headers of all videos by video id, in order."""
        return dict(self._each(self.videos, self.header, skipped))

    def length(self, video: str) -> int:
        """Return the number of snippets of a video."""
        return self.header(video).shape[0]

    def read(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return the features of a video [time, channels], memory-mapped if possible.

        The dtype is the stored dtype, the widest one of several streams. Raises SolaError naming the file if it is
        damaged, has a wrong number of channels, or contains NaN or infinity.
        """
        return self._with_advice(video, self._read)

    def read_good(
        self, videos: Iterable[str], skipped: dict[str, str] | None = None
    ) -> Iterator[tuple[str, Float[np.ndarray, "time channels"]]]:
        """Yield (video id, array) in the order of `videos`, without bad files if `skip_bad`."""
        return self._each(videos, self.read, skipped)

    def items(self, skipped: dict[str, str] | None = None) -> Iterator[tuple[str, Float[np.ndarray, "time channels"]]]:
        """Yield (video id, array) of all videos in id order. Raises SolaError, even with `skip_bad`, if all are bad."""
        bad: dict[str, str] = {} if skipped is None else skipped
        count = 0
        for video, array in self.read_good(self.videos, bad):
            count += 1
            yield video, array
            del array
        if self.videos and not count:
            raise none_left({video: bad[video] for video in self.videos}, len(self.videos))

    def file_name(self, video: str) -> str:
        """Return the relative path of a video's file in a folder like the first source: `id.npy`, or an archive name.

        Raises SolaError if the id points outside the folder.
        """
        file = self.streams[0].file(video)
        return file_of(video, file.suffix) if file == self.streams[0].paths[video] else file.name

    @property
    def locations(self) -> list[str]:
        """Absolute paths of the sources."""
        return list(dict.fromkeys(str(stream.source.absolute()) for stream in self.streams))

    def state(self, video: str) -> list[list[int]]:
        """Return the size and modification time of a video's file in each source, to detect changed files."""
        trimmed = [[self.trimmed[video]]] if video in self.trimmed else []
        return [StoredFile.of(stream.file(video)).state for stream in self.streams] + trimmed

    @contextmanager
    def fetched(self, video: str) -> Iterator["FeatureSet"]:
        """Yield a feature set with a local file for the video: this one, because its files are local."""
        yield self

    def write_like(self, video: str, array: Float[np.ndarray, "time channels"], path: Path) -> None:
        """Write an array in the format, orientation and dtype of the video's file in the first source.

        Args:
            video: id of the video whose file sets the format.
            array: features [time, channels].
            path: a file, or `archive.h5/video` to add to an archive.

        Raises:
            SolaError: if a value does not fit the dtype, or if the file cannot be written.
        """
        stream, cure = self.streams[0], "scale the features down or store them in a wider dtype"
        stored = to_dtype(array, self.header(video).dtype, what=f"video {video!r}: a result", cure=cure)
        stream.format.write(path, stored.T if stream.channels_first else stored, stream.paths[video])

    def _each(
        self, videos: Iterable[str], read: Callable[[str], T], skipped: dict[str, str] | None
    ) -> Iterator[tuple[str, T]]:
        """Yield (video id, result of `read`), without bad files if `skip_bad`."""
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
            del value  # free this array before the next file is read

    def _check_known(self, videos: Iterable[str]) -> None:
        for stream in self.streams:
            for video in videos:
                if video not in stream.paths:
                    raise SolaError(f"{stream.source}: no features of video {video!r}; choose a video of this source")

    def _header(self, video: str) -> Header:
        header = joined_header(video, [stream.header(video) for stream in self.streams])
        return Header((header.shape[0] - self.trimmed.get(video, 0), header.shape[1]), header.dtype)

    def _read(self, video: str) -> Float[np.ndarray, "time channels"]:
        arrays = [stream.read(video) for stream in self.streams]
        length = joined_header(video, [Header(array.shape, array.dtype) for array in arrays]).shape[0]
        arrays = [array[: length - self.trimmed.get(video, 0)] for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)

    def _with_advice(self, video: str, read: Callable[[str], T]) -> T:
        """Return the result of `read`. Adds advice to a SolaError that it raises."""
        self._check_known([video])
        try:
            return read(video)
        except SolaError as error:
            raise error if self.skip_bad else SolaError(f"{error}; {self._advice(video, read)}") from error

    def _advice(self, video: str, read: Callable[[str], object]) -> str:
        """Return advice for a bad video. Skipping it does not help if the others are bad as well."""
        good = [other for other in self.streams[0].paths if other not in self.unreadable]
        after = bisect(good, video)
        others = [other for other in good[after:] + good[:after] if other != video][:TRIED]
        for other in others:
            with suppress(SolaError):
                read(other)
                return CURE
        return f"also bad: {', '.join(map(repr, others))}; repair or replace them" if others else ONLY_CURE


def none_left(skipped: Mapping[str, str], videos: int) -> SolaError:
    """Return the error for a number of `videos` that are all bad, with the reason for the first."""
    return SolaError(f"{skipped[min(skipped)]}; none of {videos} videos is left")
