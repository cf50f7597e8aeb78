"""List the arrays of a source by video: files in a folder or datasets in an archive, in one or more streams."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sola.core.errors import SolaError
from sola.data.formats import FORMATS, hdf5
from sola.data.journal import check_finished
from sola.data.names import IdFrom, id_of, is_hidden, split_stream, without_streams

T = TypeVar("T")


def find_arrays(source: Path, id_from: IdFrom) -> tuple[str, dict[str, Path]]:
    """Return the format of a source and the path of each array, sorted by id.

    Ids in an archive are the names of its datasets. Raises SolaError if there are no arrays or mixed formats.
    """
    try:
        return _find(source, id_from)
    except OSError as error:
        raise SolaError(f"{source}: cannot be listed ({error.strerror}); check its permissions") from None


def split_streams(source: object, arrays: Mapping[str, T], streams: Sequence[str] = ()) -> dict[str, dict[str, T]]:
    """Return the arrays of each stream by video. The arrays of a single stream have the name "".

    `streams` are names such as "rgb" and "flow", which end the ids after `_` or `-`, or start the ids if no id ends in
    one. A source without these names is one stream. Other streams of the same videos are skipped.

    Raises SolaError if `source` has an id without any of the streams, several streams that are not named, or one
    subfolder per stream.
    """
    _check_folders(source, arrays)
    names = [name.strip("_-") for name in streams]
    named = _named(arrays, names)
    by_stream: dict[str, dict[str, T]] = {
        name: {} for name in names if any(name == stream for _, stream in named.values())
    }
    for id_, (video, name) in named.items():
        if video in by_stream[name]:
            raise SolaError(
                f"{source}: {id_!r} and another array are both {name} of video {video!r}; move or rename one"
            )
        by_stream[name][video] = arrays[id_]
    if not by_stream:
        _check_one_stream(source, arrays)
        return {"": dict(arrays)}
    videos = {video for part in by_stream.values() for video in part}
    for id_ in (id_ for id_ in arrays if id_ not in named):
        video, stream = split_stream(id_)
        if video not in videos or stream.strip("_-") in names:
            raise SolaError(f"{source}: {id_!r} is in none of the streams {', '.join(names)}; move or rename it")
    return by_stream


def common_streams(sources: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Return the stream names in the ids of all sources, if the sources share a video without these names."""
    split = [[split_stream(id_) for id_ in sorted(ids)] for ids in sources]
    names = dict.fromkeys(stream.strip("_-") for parts in split for _, stream in parts if stream)
    return tuple(names) if set.intersection(*({video for video, _ in parts} for parts in split)) else ()


def _named(ids: Collection[str], names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return video and stream of the ids that end in a stream name, or else of those that start with one."""
    if not names:
        return {}
    name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))  # try `i3d_rgb` before `rgb`
    ends = [(id_, re.fullmatch(f"(.+?)[_-]({name})", id_, re.DOTALL)) for id_ in ids]
    starts = [(id_, re.fullmatch(f"((?:.*/)?)({name})[_-]([^/]+)", id_, re.DOTALL)) for id_ in ids]
    at_end = {id_: (match[1], match[2]) for id_, match in ends if match}
    return at_end or {id_: (match[1] + match[3], match[2]) for id_, match in starts if match}


def _check_folders(source: object, ids: Collection[str]) -> None:
    """Raise SolaError if subfolders of a source are streams of the same videos."""
    videos: dict[str, dict[str, str]] = defaultdict(dict)
    for id_ in ids:
        videos[without_streams(id_)].setdefault(split_stream(id_)[0], id_)
    streams_of_video = next(
        (streams_of_video for streams_of_video in videos.values() if len(streams_of_video) > 1), None
    )
    if streams_of_video is None:
        return
    first, second = (video.split("/") for video in list(streams_of_video)[:2])
    last = max(i for i, (left, right) in enumerate(zip(first, second, strict=True)) if left != right)
    folders = ["/".join(path[: last + 1]) for path in (first, second)]
    cure = "move each stream to a separate folder and pass these folders"
    if all(id_.startswith(tuple(f"{folder}/" for folder in folders)) for id_ in ids):
        cure = f"pass the folder of each stream: {' '.join(f'{source}/{folder}' for folder in folders)}"
    example = " and ".join(map(repr, list(streams_of_video.values())[:2]))
    raise SolaError(f"{source}: {example} are streams of the same video; {cure}")


def _check_one_stream(source: object, ids: Iterable[str]) -> None:
    """Raise SolaError if a video has two streams, with advice on how to read them."""
    videos: dict[str, dict[str, str]] = defaultdict(dict)
    for id_ in ids:
        video, stream = split_stream(id_)
        videos[video][stream.strip("_-")] = id_
    pair = next((streams for streams in videos.values() if len(streams.keys() - {""}) > 1), None)
    if pair is None:
        return
    rgb, flow = sorted(pair.keys() - {""}, key=str.lower, reverse=True)[:2]
    problem = f"{source}: {pair[rgb]!r} and {pair[flow]!r} are streams of the same video"
    both = sum(streams.keys() >= {rgb, flow} for streams in videos.values())
    whole = [name for name in (rgb, flow) if all(name in streams for streams in videos.values())]
    if len(whole) == 2:
        raise SolaError(f"{problem}; join them with --streams {rgb} {flow}, or move one stream to another folder")
    cure = f"read {whole[0]} alone with --streams {whole[0]}" if whole else "move one stream to another folder"
    raise SolaError(f"{problem}, but only {both} of {len(videos)} videos {'has' if both == 1 else 'have'} both; {cure}")


def _find(source: Path, id_from: IdFrom) -> tuple[str, dict[str, Path]]:
    if source.is_file():
        if source.suffix != ".h5":
            raise SolaError(f"{source}: not a directory; expected a directory of feature files or an .h5 archive")
        return ".h5", _archived(source)
    if not source.is_dir():
        raise SolaError(f"{source}: no such directory; expected a directory of feature files or an .h5 archive")
    check_finished(source, [path.name for path in source.iterdir()])
    files = _feature_files(source, inside=id_from == "path")
    examples = {Path(name).suffix: name for name in reversed(files)}
    if not files:
        raise SolaError(f"{source}: no feature files ({', '.join(FORMATS)}){_suggestion(source)}")
    if len(examples) > 1:
        raise SolaError(
            f"{source}: mixed formats, such as {' and '.join(sorted(examples.values()))}; use one format per directory"
        )
    if ".h5" in examples:
        if len(files) > 1:
            raise SolaError(f"{source}: {len(files)} .h5 archives; pass the archive to read")
        return ".h5", _archived(source / files[0])
    return Path(files[0]).suffix, {id_of(name, id_from): source / name for name in files}


def _archived(archive: Path) -> dict[str, Path]:
    videos = sorted(hdf5.videos(archive))
    if not videos:
        raise SolaError(f"{archive}: no videos; expected one dataset per video")
    return {video: archive / video for video in videos}


def _feature_files(folder: Path, *, inside: bool) -> list[str]:
    """Return the relative paths of feature files in a folder, including subfolders if `inside`."""
    paths = [path for path in (folder.rglob("*") if inside else folder.iterdir()) if path.suffix in FORMATS]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return sorted(name for name, path in names.items() if not is_hidden(name) and path.is_file())


def _suggestion(folder: Path) -> str:
    """Return advice for feature files in subfolders or with uppercase suffixes."""
    uppercase = next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in FORMATS), None)
    if uppercase is not None:
        return f"; suffixes must be lowercase: rename files such as {uppercase.name}"
    inside = sorted({name.rpartition("/")[0] for name in _feature_files(folder, inside=True)})
    if not inside:
        return "; pass the folder of the feature files"
    if len(inside) == 1:
        return f"; did you mean {folder / inside[0]}?"
    streams = [str(folder / name) for name in inside if split_stream(f"_{name.rpartition('/')[2]}")[1]]
    if streams:
        return f"; pass the folder of each stream: {' '.join(streams)}"
    return f"; pass --id-from path to read its subfolders, such as {inside[0]}, or pass one of them"
