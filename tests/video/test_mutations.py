"""Damaged files are extracted or raise a one-line error, within a time limit."""

import os
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.quadrants import Quadrants
from support.rendering import CODECS, TONES, render, song, turned

from sola.core.errors import SolaError
from sola.pipeline.extract_job import extract
from sola.video.framing import Framing

COUNT = int(os.environ.get("SOLA_MUTATIONS", "80"))
"""Number of files; more can be requested."""

SLOWEST = 20.0
"""Time limit per file (seconds)."""

SUFFIXES = [
    *CODECS,
    ".mp3",
    ".png",
    ".txt",
    ".gif",
    ".m4v",
    ".3gp",
    ".asf",
    ".mxf",
    ".ogv",
    ".h264",
    ".yuv",
    ".m3u8",
    "",
]


def originals(folder: Path) -> list[Path]:
    """Render a clip in every container, with and without audio."""
    clips = [render(folder / f"plain{suffix}", count=30) for suffix in CODECS]
    clips += [render(folder / f"sound{suffix}", count=30, sound=1.5) for suffix in TONES]
    clips.append(render(folder / "order.mkv", count=30, options={"preset": "fast", "bf": "2"}))
    clips.append(render(folder / "index.mp4", count=30, muxing={"movflags": "faststart"}))
    clips.append(render(folder / "pieces.mp4", count=30, muxing={"movflags": "frag_keyframe+empty_moov"}))
    clips.append(turned(render(folder / "turned.mp4", count=30), 90))
    clips.append(song(folder / "song.mp3", cover=True))
    return clips


def mutated(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Flip 1 to 50 bytes anywhere or in the header, truncate, or zero, repeat or remove a piece."""
    kind = chance.choice(["flips", "flips", "header", "header", "cut", "zeros", "again", "hole", "none"])
    changed = bytearray(data)
    begin = chance.randrange(len(data))
    end = min(begin + chance.randint(1, 2000), len(data))
    if kind in ("flips", "header"):
        for _ in range(chance.randint(1, 50)):
            place = chance.randrange(min(len(data), 1500) if kind == "header" else len(data))
            changed[place] = chance.choice(
                [0, 255, 127, 128, chance.randrange(256), changed[place] ^ 1 << chance.randrange(8)]
            )
    elif kind == "cut":
        del changed[begin:]
    elif kind == "zeros":
        changed[begin:end] = bytes(end - begin)
    elif kind == "again":
        changed[begin:begin] = data[begin:end]
    elif kind == "hole":
        del changed[begin:end]
    return kind, bytes(changed)


def outcome(path: Path, encoder: Quadrants, out: Path, what: str) -> str | None:
    """Extract a file and return its error message, or None."""
    try:
        extract({"v": path}, encoder, out, fps=10.0, overwrite=True)
    except SolaError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}") from error
    assert len(np.load(out / "v.npy")) > 0, what
    return None


@pytest.mark.slow
def test_damaged_files_are_extracted_or_raise_one_line_errors(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    clips = originals(tmp_path / "clips")
    chance = random.Random(int(os.environ.get("SOLA_MUTATIONS_SEED", "0")))
    encoder = Quadrants(framing=Framing(16, 16, 16), window=4)
    ends: Counter[str] = Counter()
    slowest = (0.0, "")
    for number in range(COUNT):
        clip = chance.choice(clips)
        kind, data = mutated(clip.read_bytes(), chance)
        suffix = chance.choice(SUFFIXES) if chance.random() < 0.3 else clip.suffix
        path = tmp_path / f"v{number}{suffix}"
        path.write_bytes(data)
        what = f"{number}: {kind} of {clip.name} as {path.suffix}"
        began = time.monotonic()
        complaint = outcome(path, encoder, tmp_path / "f", what)
        ends["extracted" if complaint is None else "refused"] += 1
        assert complaint is None or (str(path) in complaint and "\n" not in complaint), (what, complaint)
        took = time.monotonic() - began
        slowest = max(slowest, (took, what))
        assert took < SLOWEST, what
        inside = {file.name for file in (tmp_path / "f").iterdir()}
        assert inside <= {"features.json", "journal.jsonl", "unfinished.json", "v.npy"}, (what, inside)
        path.unlink()
    print(f"{COUNT} files: {dict(ends)}; the slowest took {slowest[0]:.2f} s: {slowest[1]}")
    assert min(ends["extracted"], ends["refused"]) > COUNT / 10
