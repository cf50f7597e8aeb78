"""Snippet features on disk, read one video at a time."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.header import Header
from sola.data.manifest import Manifest
from sola.data.streams import CURE, Stream, joined_header, joined_manifest, open_streams


class FeatureSet:
    """Features of a set of videos, read when asked for; several streams (RGB, flow) are joined on channels."""

    def __init__(
        self,
        streams: Sequence[Stream],
        videos: Iterable[str],
        manifest: Manifest,
        *,
        skip_bad: bool,
        skipped: dict[str, str],
    ) -> None:
        self.streams = tuple(streams)
        self.channels = sum(stream.channels for stream in streams)
        self.manifest = manifest
        self.skip_bad = skip_bad
        """Whether a video whose file is bad is left out, as soon as it is found to be so, or refused."""
        self.skipped = skipped
        """Why videos were left out, by id; grows while files are read."""
        self._videos = tuple(sorted(videos))

    @classmethod
    def open(
        cls,
        sources: str | Path | Sequence[str | Path],
        *,
        channels_first: bool = False,
        skip_bad: bool = False,
    ) -> "FeatureSet":
        """Open a directory of .npy, .npz, .pt or .csv files, one .h5 archive, or several of these as streams.

        The files hold [time, channels] or, with `channels_first` or a manifest that says so, [channels, time].

        Raises SolaError naming the source or file at fault, with `skip_bad` only when nothing else is left.
        """
        paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
        if not paths:
            raise SolaError("no features named; expected a directory of feature files, or one .h5 archive")
        streams, skipped = open_streams(paths, channels_first=channels_first, skip_bad=skip_bad)
        videos = {video for stream in streams for video in stream.paths}
        if len(skipped) == len(videos):
            raise SolaError(f"{skipped[min(skipped)]}; none of {len(videos)} videos is left")
        return cls(streams, videos, joined_manifest(streams), skip_bad=skip_bad, skipped=skipped)

    @property
    def videos(self) -> tuple[str, ...]:
        """Sorted ids of the videos, without those in `skipped`."""
        return tuple(video for video in self._videos if video not in self.skipped)

    def only(self, videos: Iterable[str]) -> "FeatureSet":
        """Return the features of these videos; `skipped` stays shared. SolaError when a video is unknown."""
        chosen = set(videos)
        self._check_known(chosen)
        return FeatureSet(self.streams, chosen, self.manifest, skip_bad=self.skip_bad, skipped=self.skipped)

    def with_manifest(self, manifest: Manifest) -> "FeatureSet":
        """Return the same features with another manifest; `skipped` stays shared."""
        return FeatureSet(self.streams, self._videos, manifest, skip_bad=self.skip_bad, skipped=self.skipped)

    def header(self, video: str) -> Header:
        """Return shape (time, channels) and dtype of a video's array, from the file's header where it has one.

        Raises SolaError when the video is unknown or its file bad.
        """
        self._check_known([video])
        try:
            return joined_header(video, [stream.header(video) for stream in self.streams])
        except SolaError as error:
            raise self._with_cure(error) from error

    def length(self, video: str) -> int:
        """Return the number of snippets of a video. Raises SolaError as `header` does."""
        return self.header(video).shape[0]

    def read(self, video: str) -> Float[np.ndarray, "time channels"]:
        """Return a video's array in the dtype stored (the widest of its streams), mapped where the format allows.

        Raises SolaError naming the file when it is damaged, of another width, or holds NaN or infinity.
        """
        self._check_known([video])
        try:
            arrays = [stream.read(video) for stream in self.streams]
            joined_header(video, [Header(array.shape, array.dtype) for array in arrays])
        except SolaError as error:
            raise self._with_cure(error) from error
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)

    def items(self) -> Iterator[tuple[str, Float[np.ndarray, "time channels"]]]:
        """Yield (video, array) in order of id.

        Raises SolaError at a bad file or, with `skip_bad`, when every file was bad.
        """
        videos = self.videos
        for video in videos:
            try:
                array = self.read(video)
            except SolaError as error:
                self.skip(video, error)
                continue
            yield video, array
            del array  # or two files would be in memory while the next is read
        if videos and not self.videos:
            raise SolaError(f"{self.skipped[videos[0]]}; none of {len(videos)} videos is left")

    def skip(self, video: str, error: SolaError) -> None:
        """Leave out a video that turned out to be bad; without `skip_bad`, raise its error."""
        if not self.skip_bad:
            raise error
        self.skipped[video] = str(error)

    def file_name(self, video: str) -> str:
        """Return the name of the file that holds a video in the first source."""
        return self.streams[0].relative(video).parts[0]

    def _check_known(self, videos: Iterable[str]) -> None:
        for stream in self.streams:
            for video in videos:
                if video not in stream.paths:
                    raise SolaError(f"{stream.source}: no features of video {video!r}; pick one that is there")

    def _with_cure(self, error: SolaError) -> SolaError:
        return error if self.skip_bad else SolaError(f"{error}; {CURE}")
