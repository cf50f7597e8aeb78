"""Videos are found in files, folders and object stores."""

from pathlib import Path

import pytest
from support.stores import put

from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.names import VIDEO_SUFFIXES
from sola.video.files import find_videos


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def places(sources: list[Path]) -> dict[str, Path]:
    return {video: Path(file.location) for video, file in find_videos(sources).items()}


def test_folders_are_searched_recursively(tmp_path: Path) -> None:
    touch(tmp_path / "b.mp4", tmp_path / "x" / "a.MKV", tmp_path / "x" / "y" / "c.webm", tmp_path / "x" / "notes.txt")
    found = find_videos([tmp_path])
    assert list(found) == ["a", "b", "c"]
    assert found["c"].location == str(tmp_path / "x" / "y" / "c.webm")


def test_hidden_files_and_folders_named_like_videos_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "._a.mp4", tmp_path / ".b.mp4", tmp_path / "c.mp4" / "d.txt")
    assert places([tmp_path]) == {"a": tmp_path / "a.mp4"}


def test_explicit_file_may_have_any_name(tmp_path: Path) -> None:
    touch(tmp_path / "clip", tmp_path / "my.holiday.data")
    assert places([tmp_path / "clip", tmp_path / "my.holiday.data"]) == {
        "clip": tmp_path / "clip",
        "my.holiday": tmp_path / "my.holiday.data",
    }


def test_same_file_twice_is_one_video(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    (tmp_path / "linked").symlink_to(tmp_path)
    assert list(find_videos([tmp_path / "a.mp4", tmp_path, tmp_path / "linked" / "a.mp4"])) == ["a"]


@pytest.mark.parametrize(
    ("names", "cure"),
    [
        (("a.avi", "a.mp4"), "rename one of them"),
        (("x/a.mp4", "y/a.mp4"), "pass --id-from path to include folders in ids, or rename one of them"),
    ],
)
def test_error_for_two_files_with_the_same_name_has_a_cure(names: tuple[str, str], cure: str, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in names)
    touch(first, second)
    with pytest.raises(SolaError) as raised:
        find_videos([tmp_path])
    assert str(raised.value) == f"{second}: same video id 'a' as {first}; {cure}"


def test_ids_may_contain_folders(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "a.mp4", tmp_path / "y" / "z" / "a.mp4", tmp_path / "b.mp4", tmp_path / ".hidden" / "c.mp4")
    named = tmp_path / "y" / "z" / "a.mp4"
    assert list(find_videos([tmp_path], "path")) == ["b", "x/a", "y/z/a"]
    assert list(find_videos([named], "path")) == ["a"]
    with pytest.raises(SolaError, match=r"same video id 'a' as .*; rename one of them"):
        find_videos([tmp_path / "x", named], "path")


def test_no_source_is_an_error() -> None:
    with pytest.raises(SolaError, match="VIDEOS is missing"):
        find_videos([])


def test_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"a\.mp4: no such file or folder"):
        find_videos([tmp_path / "a.mp4"])


@pytest.mark.parametrize("inside", [(), ("notes.txt",), ("c.mp4/notes.txt",)])
def test_folder_without_videos_is_an_error(inside: tuple[str, ...], tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in inside))
    with pytest.raises(SolaError, match="no videos"):
        find_videos([tmp_path])


def test_broken_links_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    assert list(find_videos([tmp_path])) == ["a"]


def test_circular_links_terminate(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "a.mp4")
    (tmp_path / "x" / "up").symlink_to(tmp_path)
    assert list(find_videos([tmp_path])) == ["a"]


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_suffixes_are_not_case_sensitive(suffix: str, tmp_path: Path) -> None:
    touch(tmp_path / f"a{suffix.upper()}", tmp_path / f"b{suffix}")
    assert list(find_videos([tmp_path])) == ["a", "b"]


def test_local_and_remote_videos_are_found_together(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    touch(*(clips / name for name in ("0.mp4", "1.mp4", "2.mp4", "more/3.mp4", "4.mp4")))
    storage = Storage.of(f"memory://{tmp_path.name}/clips")
    put(storage, clips / "0.mp4", "inner/9.mp4")
    videos = find_videos([clips, storage.location])
    assert list(videos) == ["0", "1", "2", "3", "4", "9"]
    assert videos["9"].location == f"{storage.location}/inner/9.mp4"
    assert find_videos([f"{storage.location}/inner/9.mp4"])["9"].location == videos["9"].location
    with pytest.raises(SolaError, match="neither a video nor a folder with videos"):
        find_videos([f"memory://{tmp_path.name}/none"])
    put(storage, clips / "0.mp4", "0.mp4")
    with pytest.raises(SolaError, match=r"clips/0\.mp4: same video id '0' as"):
        find_videos([clips, storage.location])
