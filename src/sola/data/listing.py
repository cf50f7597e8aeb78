"""The arrays of a source by video: files in a folder or datasets of an archive, in one or more streams."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sola.core.errors import SolaError
from sola.data.formats import FORMATS, hdf5
from sola.data.journal import check_finished
from sola.data.names import IdFrom, id_of, is_hidden, stream_of

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

    `streams` are the ends of the ids after `_` or `-`, such as "rgb" and "flow"; a source where no id has such an end
    is one stream. Other streams of the same videos are left out.

    Raises SolaError if `source` has a video of none of the streams, or several streams that are not named.
    """
    names = [name.lstrip("_-") for name in streams]
    found: dict[str, dict[str, T]] = {name: {} for name in names}
    rest: dict[str, T] = {}
    for id_, array in arrays.items():
        name = next((name for name in names if id_.endswith((f"_{name}", f"-{name}"))), None)
        if name is None:
            rest[id_] = array
        else:
            found[name][id_[: -len(name) - 1]] = array
    found = {name: part for name, part in found.items() if part}
    videos = {video for part in found.values() for video in part}
    strange = next((id_ for id_ in rest if found and id_.removesuffix(stream_of(id_)) not in videos), None)
    if strange is not None:
        raise SolaError(f"{source}: {strange!r} is of none of the streams {', '.join(names)}; move or rename it")
    if found:
        return found
    pair = _two_streams(arrays)
    if pair:
        raise SolaError(
            f"{source}: {pair[0]!r} and {pair[1]!r} are streams of one video; "
            f"join them with --streams {' '.join(stream_of(id_)[1:] for id_ in pair)}, or keep one of them in a folder"
        )
    return {"": dict(arrays)}


def common_streams(sources: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Return the streams that the ids of sources name, if without them the sources have a video in common."""
    without = [{id_.removesuffix(stream_of(id_)) for id_ in ids} for ids in sources]
    ends = dict.fromkeys(stream_of(id_)[1:] for ids in sources for id_ in sorted(ids) if stream_of(id_))
    return tuple(ends) if set.intersection(*without) else ()


def _two_streams(ids: Iterable[str]) -> list[str]:
    """Return the ids of two streams of a video, RGB first; empty if no video has two."""
    videos = defaultdict(list)
    for id_ in ids:
        if stream_of(id_):
            videos[id_.removesuffix(stream_of(id_))].append(id_)
    several = next((found for found in videos.values() if len(found) > 1), [])
    return sorted(several, reverse=True)[:2]


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
    """Suggest how to read the feature files that are deeper in a folder."""
    inside = sorted({name.rpartition("/")[0] for name in _feature_files(folder, inside=True)})
    if not inside:
        return "; name their folder"
    if len(inside) == 1:
        return f"; did you mean {folder / inside[0]}?"
    streams = [str(folder / name) for name in inside if stream_of(f"_{name.rpartition('/')[2]}")]
    if streams:
        return f"; name the folders of its streams: {' '.join(streams)}"
    return f"; pass --id-from path to read its folders, such as {inside[0]}, or name one of them"
