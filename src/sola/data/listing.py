"""The arrays of a source by video: files in a folder or datasets of an archive, in one or more streams."""

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
    """Return the format of a source, and the path of each array, in order of id.

    Ids in an archive are the names of its datasets. Raises SolaError if there is none, or if formats are mixed.
    """
    try:
        return _find(source, id_from)
    except OSError as error:
        raise SolaError(f"{source}: cannot be listed ({error.strerror}); check its permissions") from None


def split_streams(source: object, arrays: Mapping[str, T], streams: Sequence[str] = ()) -> dict[str, dict[str, T]]:
    """Return the arrays of each stream by video; those of a source with one stream are under the name "".

    `streams` are the ends of the ids after `_` or `-`, such as "rgb" and "flow" or, where no id ends so, their starts;
    a source where no id has either is one stream. Other streams of the same videos are left out.

    Raises SolaError if `source` has a video of none of the streams, several streams that are not named, or a folder
    for each stream.
    """
    _check_folders(source, arrays)
    names = [name.strip("_-") for name in streams]
    named = _named(arrays, names)
    found: dict[str, dict[str, T]] = {name: {} for name in names if any(name == stream for _, stream in named.values())}
    for id_, (video, name) in named.items():
        if video in found[name]:
            raise SolaError(f"{source}: {id_!r} and another array are {name} of video {video!r}; move or rename one")
        found[name][video] = arrays[id_]
    if not found:
        _check_one_stream(source, arrays)
        return {"": dict(arrays)}
    videos = {video for part in found.values() for video in part}
    for id_ in (id_ for id_ in arrays if id_ not in named):
        video, stream = split_stream(id_)
        if video not in videos or stream.strip("_-") in names:
            raise SolaError(f"{source}: {id_!r} is of none of the streams {', '.join(names)}; move or rename it")
    return found


def common_streams(sources: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Return the streams that the ids of sources name, if without them the sources have a video in common."""
    split = [[split_stream(id_) for id_ in sorted(ids)] for ids in sources]
    names = dict.fromkeys(stream.strip("_-") for parts in split for _, stream in parts if stream)
    return tuple(names) if set.intersection(*({video for video, _ in parts} for parts in split)) else ()


def _named(ids: Collection[str], names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the video and the stream of ids that end in the name of a stream or, if none does, begin with one."""
    if not names:
        return {}
    name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))  # `i3d_rgb` goes before `rgb`
    ends = [(id_, re.fullmatch(f"(.+?)[_-]({name})", id_, re.DOTALL)) for id_ in ids]
    starts = [(id_, re.fullmatch(f"((?:.*/)?)({name})[_-]([^/]+)", id_, re.DOTALL)) for id_ in ids]
    at_end = {id_: (found[1], found[2]) for id_, found in ends if found}
    return at_end or {id_: (found[1] + found[3], found[2]) for id_, found in starts if found}


def _check_folders(source: object, ids: Collection[str]) -> None:
    """Raise SolaError if folders inside a source are streams of one video."""
    videos: dict[str, dict[str, str]] = defaultdict(dict)
    for id_ in ids:
        videos[without_streams(id_)].setdefault(split_stream(id_)[0], id_)
    found = next((found for found in videos.values() if len(found) > 1), None)
    if found is None:
        return
    one, other = (video.split("/") for video in list(found)[:2])
    last = max(i for i, (ours, theirs) in enumerate(zip(one, other, strict=True)) if ours != theirs)
    folders = ["/".join(path[: last + 1]) for path in (one, other)]
    cure = "move the files of each stream to a folder of its own, and name these folders"
    if all(id_.startswith(tuple(f"{folder}/" for folder in folders)) for id_ in ids):
        cure = f"name the folders of its streams: {' '.join(f'{source}/{folder}' for folder in folders)}"
    example = " and ".join(map(repr, list(found.values())[:2]))
    raise SolaError(f"{source}: {example} are streams of one video; {cure}")


def _check_one_stream(source: object, ids: Iterable[str]) -> None:
    """Raise SolaError if a video is there in two streams; say what reads them."""
    videos: dict[str, dict[str, str]] = defaultdict(dict)
    for id_ in ids:
        video, stream = split_stream(id_)
        videos[video][stream.strip("_-")] = id_
    pair = next((found for found in videos.values() if len(found.keys() - {""}) > 1), None)
    if pair is None:
        return
    rgb, flow = sorted(pair.keys() - {""}, key=str.lower, reverse=True)[:2]
    told = f"{source}: {pair[rgb]!r} and {pair[flow]!r} are streams of one video"
    both = sum(found.keys() >= {rgb, flow} for found in videos.values())
    whole = [name for name in (rgb, flow) if all(name in found for found in videos.values())]
    if len(whole) == 2:
        raise SolaError(f"{told}; join them with --streams {rgb} {flow}, or keep one of them in a folder")
    cure = f"read {whole[0]} alone with --streams {whole[0]}" if whole else "keep one of them in a folder"
    raise SolaError(f"{told}, but only {both} of {len(videos)} videos {'has' if both == 1 else 'have'} both; {cure}")


def _find(source: Path, id_from: IdFrom) -> tuple[str, dict[str, Path]]:
    if source.is_file():
        if source.suffix != ".h5":
            raise SolaError(f"{source}: is a file; expected a directory of feature files, or one .h5 archive")
        return ".h5", _archived(source)
    if not source.is_dir():
        raise SolaError(f"{source}: no such directory; expected one of feature files, or one .h5 archive")
    check_finished(source, [path.name for path in source.iterdir()])
    files = _feature_files(source, inside=id_from == "path")
    examples = {Path(name).suffix: name for name in reversed(files)}
    if not files:
        raise SolaError(f"{source}: holds no feature files ({', '.join(FORMATS)}){_suggestion(source)}")
    if len(examples) > 1:
        raise SolaError(
            f"{source}: mixes formats, such as {' and '.join(sorted(examples.values()))}; keep one in a directory"
        )
    if ".h5" in examples:
        if len(files) > 1:
            raise SolaError(f"{source}: holds {len(files)} .h5 archives; name the one to read")
        return ".h5", _archived(source / files[0])
    return Path(files[0]).suffix, {id_of(name, id_from): source / name for name in files}


def _archived(archive: Path) -> dict[str, Path]:
    videos = sorted(hdf5.videos(archive))
    if not videos:
        raise SolaError(f"{archive}: holds no video; expected a dataset for each")
    return {video: archive / video for video in videos}


def _feature_files(folder: Path, *, inside: bool) -> list[str]:
    """Return the paths of feature files in a folder, also of those in folders `inside`."""
    found = [path for path in (folder.rglob("*") if inside else folder.iterdir()) if path.suffix in FORMATS]
    names = {path.relative_to(folder).as_posix(): path for path in found}
    return sorted(name for name, path in names.items() if not is_hidden(name) and path.is_file())


def _suggestion(folder: Path) -> str:
    """Suggest how to read the feature files that are deeper in a folder, or have suffixes in upper case."""
    loud = next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in FORMATS), None)
    if loud is not None:
        return f"; suffixes are in lower case: rename files such as {loud.name}"
    inside = sorted({name.rpartition("/")[0] for name in _feature_files(folder, inside=True)})
    if not inside:
        return "; name their folder"
    if len(inside) == 1:
        return f"; did you mean {folder / inside[0]}?"
    streams = [str(folder / name) for name in inside if split_stream(f"_{name.rpartition('/')[2]}")[1]]
    if streams:
        return f"; name the folders of its streams: {' '.join(streams)}"
    return f"; pass --id-from path to read its folders, such as {inside[0]}, or name one of them"
