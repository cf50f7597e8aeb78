"""Decoded frames and their display times in all common containers, and errors."""

import os
import shutil
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.rendering import CODECS, TONES, corners, emptied, picture, render, song

from sola.core.errors import SolaError
from sola.video.decoding import LONGEST_GAP, TimedFrame, shown_frames, stated_duration
from sola.video.errors import BadVideo

SUFFIXES = sorted(CODECS)


def starts(path: Path) -> list[float]:
    return [shown.start for shown in shown_frames(path)]


def refusal(path: Path) -> str:
    """Return the one-line error for a file, which names the file."""
    with pytest.raises(BadVideo) as caught:
        list(shown_frames(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def real(name: str) -> Path:
    """Return an OpenCV sample video from the folder of SOLA_TREE_AVI."""
    path = Path(os.environ.get("SOLA_TREE_AVI", "")).parent / name
    if not path.is_file():
        pytest.skip(f"no {name}; name OpenCV's tree.avi in SOLA_TREE_AVI")
    return path


def follow_each_other(frames: list[TimedFrame]) -> bool:
    ends = [shown.end for shown in frames]
    return [shown.start for shown in frames] == [frames[0].start, *ends[:-1]] and all(s.start < s.end for s in frames)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_of_constant_rate_have_equal_display_times(suffix: str, tmp_path: Path) -> None:
    frames = list(shown_frames(render(tmp_path / f"a{suffix}", count=41, rate=20)))
    assert follow_each_other(frames)
    np.testing.assert_allclose([shown.end for shown in frames], np.arange(1, 42) / 20, atol=2e-3)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), 25, 60])
def test_television_frame_rates_have_exact_display_times(rate: Fraction | int, tmp_path: Path) -> None:
    frames = list(shown_frames(render(tmp_path / "a.mp4", count=70, rate=rate)))
    np.testing.assert_allclose([shown.end for shown in frames], np.arange(1, 71) / float(rate), atol=1e-4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_variable_frame_rate_follows_the_timestamps(suffix: str, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 1.0, 3.0, 3.1, 8.0]
    path = render(tmp_path / f"a{suffix}", times=times)
    assert follow_each_other(list(shown_frames(path)))
    np.testing.assert_allclose(starts(path), times, atol=1e-3)


WITH_STAMPS = [suffix for suffix in SUFFIXES if suffix != ".avi"]
"""Containers with a start timestamp. In .avi, a missing first frame only makes another frame longer."""


@pytest.mark.parametrize("suffix", WITH_STAMPS)
def test_without_audio_time_starts_with_the_first_frame(suffix: str, tmp_path: Path) -> None:
    frames = list(shown_frames(render(tmp_path / f"a{suffix}", times=np.arange(40) / 20, first=5.0)))
    assert (len(frames), frames[0].start) == (40, 0.0)
    assert frames[-1].end == pytest.approx(2.0, abs=2e-3)


@pytest.mark.parametrize("suffix", sorted({*TONES, ".mpg", ".wmv"}))
def test_time_starts_with_audio_before_the_first_frame(suffix: str, tmp_path: Path) -> None:
    frames = list(shown_frames(render(tmp_path / f"a{suffix}", times=np.arange(40) / 20, first=5.0, sound=6.0)))
    assert len(frames) == 40
    assert follow_each_other(frames)
    np.testing.assert_allclose([frames[0].start, frames[-1].end], [5, 7], atol=5e-2)  # one frame


@pytest.mark.parametrize("delay", [0, 3])
def test_reordered_frames_in_avi_do_not_shift_time(delay: int, tmp_path: Path) -> None:
    path = render(tmp_path / "a.avi", codec="libx264", options={"preset": "fast", "bf": str(delay)}, sound=2.0)
    assert starts(path)[0] == 0.0


def test_undecodable_frames_before_the_first_frame_count(tmp_path: Path) -> None:
    """A transport stream cut three frames after a key frame. The next key frame is the twelfth."""
    whole = render(tmp_path / "a.ts", codec="libx264", options={"bf": "0"})
    part = without_packets(whole, tmp_path / "b.ts", 3)
    assert starts(part)[0] == pytest.approx(9 / 20)


def without_packets(path: Path, out: Path, count: int) -> Path:
    """Copy the video packets without the first `count`."""
    with av.open(str(path)) as reading, av.open(str(out), "w") as writing:
        (stream,) = reading.streams.video
        copied = writing.add_stream_from_template(stream)
        for packet in [packet for packet in reading.demux(stream) if packet.dts is not None][count:]:
            packet.stream = copied
            writing.mux(packet)
    return out


@pytest.mark.parametrize("suffix", sorted(TONES))
def test_audio_may_start_after_the_video(suffix: str, tmp_path: Path) -> None:
    path = render(tmp_path / f"a{suffix}", sound=2.0, sound_first=1.0)
    assert starts(path) == starts(render(tmp_path / f"b{suffix}"))


@pytest.mark.parametrize(("lead", "begins"), [(0.02, 0.0), (0.03, 0.03), (0.08, 0.08)])
def test_audio_lead_counts_from_25_milliseconds_on(lead: float, begins: float, tmp_path: Path) -> None:
    times = np.arange(40) / 20
    path = render(tmp_path / "a.mkv", times=times, first=2 + lead, sound=2.0, sound_first=2.0)
    plain = starts(render(tmp_path / "b.mkv", times=times))
    if begins:
        np.testing.assert_allclose(starts(path), np.add(plain, begins), atol=2e-3)
    else:
        assert starts(path) == plain


def test_video_that_starts_long_after_the_audio_is_rejected(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", first=LONGEST_GAP + 5, sound=1.0)
    assert "the first frame is 125.00 s after the start of the file; expected at most 120 s" in refusal(path)


def test_start_of_the_first_frame_does_not_depend_on_other_frames(tmp_path: Path) -> None:
    times = np.arange(60) / 24
    late = starts(render(tmp_path / "late.mkv", times=times, first=7.0))
    assert late == starts(render(tmp_path / "a.mkv", times=times))


@pytest.mark.parametrize("suffix", sorted({*TONES, ".avi", ".mpg"}))
def test_audio_may_continue_after_the_video(suffix: str, tmp_path: Path) -> None:
    frames = list(shown_frames(render(tmp_path / f"a{suffix}", sound=6.0)))
    assert len(frames) == 40
    assert frames[-1].end == pytest.approx(2.0)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_are_yielded_in_display_order(suffix: str, tmp_path: Path) -> None:
    options = {"preset": "fast", "bf": "3"}
    pictures = [np.full((64, 96, 3), 20 + 5 * number, np.uint8) for number in range(40)]
    frames = list(shown_frames(render(tmp_path / f"a{suffix}", pictures=pictures, options=options)))
    levels = [shown.frame.to_ndarray(format="gray").mean() for shown in frames]
    assert len(frames) == 40
    assert (np.diff(levels) > 2).all()


def test_frames_with_out_of_order_timestamps_are_dropped(tmp_path: Path) -> None:
    """H.264 in .avi has only decoding timestamps, so some frames are one or two frames late."""
    frames = list(shown_frames(render(tmp_path / "a.avi", codec="libx264", options={"preset": "fast", "bf": "2"})))
    assert 25 < len(frames) <= 40
    assert follow_each_other(frames)
    assert frames[-1].end == pytest.approx(2.0)


def test_real_file_with_out_of_order_frames() -> None:
    frames = list(shown_frames(real("Megamind_bugy.avi")))
    assert follow_each_other(frames)
    assert len(frames) > 150
    assert frames[-1].end == pytest.approx(9.0, abs=0.1)


def test_real_file_with_variable_frame_rate() -> None:
    frames = list(shown_frames(real("tree.avi")))
    assert follow_each_other(frames)
    assert len(frames) == 68
    assert frames[-1].end == pytest.approx(29.6, abs=0.1)


def joined(out: Path, *parts: Path) -> Path:
    """Concatenate transport streams."""
    out.write_bytes(b"".join(part.read_bytes() for part in parts))
    return out


def test_timestamps_that_jump_far_back_are_rejected(tmp_path: Path) -> None:
    part = render(tmp_path / "a.ts", count=60)
    assert "timestamps jump back from 2.9" in refusal(joined(tmp_path / "b.ts", part, part))


def test_timestamps_that_jump_back_slightly_drop_frames(tmp_path: Path) -> None:
    part = render(tmp_path / "a.ts", count=14)
    tail = render(tmp_path / "c.ts", count=40)
    frames = list(shown_frames(joined(tmp_path / "b.ts", part, tail)))
    assert follow_each_other(frames)
    assert frames[-1].end == pytest.approx(2.0)


@pytest.mark.parametrize(("gap", "fits"), [(LONGEST_GAP - 1, True), (LONGEST_GAP + 1, False)])
def test_frame_may_be_shown_for_at_most_two_minutes(gap: float, fits: bool, tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", times=[0, 0.5, 0.5 + gap, 1 + gap])
    if fits:
        np.testing.assert_allclose(starts(path), [0, 0.5, 0.5 + gap, 1 + gap])
    else:
        assert "timestamps jump from 0.50 s to 121.50 s" in refusal(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
def test_a_single_frame_is_a_video(suffix: str, tmp_path: Path) -> None:
    (only,) = shown_frames(render(tmp_path / f"a{suffix}", count=1, rate=10))
    assert (only.start, only.end) == (0.0, pytest.approx(0.1))


def test_a_raw_stream_without_duration(tmp_path: Path) -> None:
    path = render(tmp_path / "a.m2v", codec="mpeg2video")
    assert stated_duration(path) is None
    assert len(starts(path)) == 40


def test_stream_without_timestamps_is_rejected(tmp_path: Path) -> None:
    assert "has no timestamp" in refusal(render(tmp_path / "a.h264", codec="libx264"))


@pytest.mark.parametrize("muxing", [{"movflags": "frag_keyframe+empty_moov"}, {"movflags": "faststart"}])
def test_other_mp4_layouts_are_decoded_completely(muxing: dict[str, str], tmp_path: Path) -> None:
    assert len(starts(render(tmp_path / "a.mp4", muxing=muxing))) == 40


def test_a_recording_with_an_incomplete_header_is_decoded_completely(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", muxing={"live": "1"})
    assert stated_duration(path) is None
    assert len(starts(path)) == 40


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("sound", [0.0, 10.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".flv"])
def test_truncated_file_is_rejected(suffix: str, sound: float, share: float, tmp_path: Path) -> None:
    muxing = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else None
    path = render(tmp_path / f"a{suffix}", count=200, sound=sound, muxing=muxing)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    assert "truncated: " in refusal(path)


def test_mp4_without_index_is_rejected(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read as a video (" in refusal(path)


def test_avi_truncated_within_a_frame_is_rejected(tmp_path: Path) -> None:
    path = render(tmp_path / "a.avi", count=200)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated: " in refusal(path)


def test_last_few_percent_may_be_missing(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mkv", count=800)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * 0.97)])
    assert 750 < len(starts(path)) < 800


def test_damage_in_the_middle_is_decoded_or_rejected(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", muxing={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(bytes(data))
    try:
        frames = list(shown_frames(path))
    except BadVideo:
        refusal(path)
    else:
        assert follow_each_other(frames)


TEXT = b"#!/usr/bin/env python\n# hello world, this is no video\n" * 60


@pytest.mark.parametrize(
    "suffix", [*SUFFIXES, ".txt", ".md", ".py", ".bin", ".ans", ".nfo", ".srt", ".sub", ".csv", ".yuv"]
)
@pytest.mark.parametrize("content", [TEXT, b""], ids=["text", "empty"])
def test_text_and_empty_files_are_rejected(content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    refusal(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".mp4"])
def test_still_image_is_rejected_with_any_suffix(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(picture(0)).save(tmp_path / f"a{suffix}", format={".jpg": "JPEG", ".bmp": "BMP"}.get(suffix, "PNG"))
    assert "is not a video format" in refusal(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("name", "cover"), [("a.mp3", False), ("a.m4a", False), ("a.mp3", True)])
def test_audio_file_is_rejected_even_with_cover_art(name: str, cover: bool, tmp_path: Path) -> None:
    assert "has only audio" in refusal(song(tmp_path / name, cover=cover))


def test_container_without_frames_is_rejected(tmp_path: Path) -> None:
    assert "no frame can be decoded" in refusal(emptied(render(tmp_path / "a.avi")))


def test_unknown_codec_is_rejected(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    assert "unknown video codec" in refusal(path)
    with pytest.raises(BadVideo):
        stated_duration(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreal.ts\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreal.ts\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "ffconcat version 1.0\nfile real.ts\n"),
        (
            "a.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        ),
    ],
)
def test_references_to_other_files_are_not_followed(name: str, text: str, tmp_path: Path) -> None:
    render(tmp_path / "real.ts")
    (tmp_path / name).write_text(text)
    refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["12:30.mp4", "http:a.mp4", "a%03d.mp4", "-i.mp4", "é ü.mp4", "a\nb.mp4", "pipe:.mp4"])
def test_any_file_name_is_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.move(render(tmp_path / "plain.mp4"), tmp_path / name)
    assert len(starts(Path(name))) == 40


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    shutil.move(render(tmp_path / "plain.mp4"), path)
    assert len(starts(path)) == 40


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "folder"])
def test_path_that_is_not_a_file_is_rejected(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.mp4")
    assert "no such file" in refusal(tmp_path / "a.mp4")


def test_stated_duration_is_read_from_the_header(tmp_path: Path) -> None:
    duration = stated_duration(render(tmp_path / "a.mp4", pictures=[corners()] * 20, rate=10))
    assert duration == pytest.approx(2.0)


def test_frame_size_may_change(tmp_path: Path) -> None:
    first = render(tmp_path / "a.ts", count=20)
    second = render(tmp_path / "b.ts", times=np.arange(20) / 20, first=1.0, pictures=[corners(96, 64)] * 20)
    sizes = {(s.frame.height, s.frame.width) for s in shown_frames(joined(tmp_path / "c.ts", first, second))}
    assert sizes == {(64, 96), (96, 64)}


def test_file_is_closed_when_the_iterator_is_closed(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4")

    def is_open() -> bool:
        return any(os.path.realpath(f"/proc/self/fd/{number}") == str(path) for number in os.listdir("/proc/self/fd"))

    frames = shown_frames(path)
    next(frames)
    assert is_open()
    frames.close()
    assert not is_open()


def test_error_without_pyav_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(SolaError, match="requires PyAV"):
        list(shown_frames(tmp_path / "a.mp4"))


def test_ffmpeg_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = render(tmp_path / "a.mkv", count=100)
    path.write_bytes(path.read_bytes()[:3000])
    capfd.readouterr()
    with warnings.catch_warnings():
        refusal(path)
    assert capfd.readouterr() == ("", "")
