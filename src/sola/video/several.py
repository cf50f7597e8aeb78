"""Several videos at once: how far they are, and how all of them end when one does."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from sola.video.decoding import Shown

INTERRUPTIBLE = 0.2
"""Seconds after which an interrupt is seen at the latest."""

Progress = Callable[[float, int], None]
"""Called with (videos done, with the share of those under way; snippets written)."""


class Tally:
    """How far all videos are, told to whoever asked; and whether the work is to be left."""

    def __init__(self, done: int, progress: Progress) -> None:
        self.left = False
        self._done = done
        self._progress = progress
        self._shares: dict[str, float] = {}
        self._snippets = 0
        self._lock = threading.Lock()

    def add(self, video: str, *, share: float | None = None, snippets: int = 0) -> None:
        """Note how far a video is. Raises Left when the work is to be left."""
        if self.left:
            raise Left
        with self._lock:
            self._snippets += snippets
            if share is not None:
                self._shares[video] = min(share, 1.0)
            if snippets:
                self._progress(self._done + sum(self._shares.values()), self._snippets)

    def finish(self, video: str) -> None:
        """Note that a video is done with."""
        with self._lock:
            self._shares.pop(video, None)
            self._done += 1
            self._progress(self._done + sum(self._shares.values()), self._snippets)


class Left(Exception):  # noqa: N818 (no error)
    """The work is to be left: another video was bad, or the user interrupted."""


class Watched:
    """Frames on their way, counted."""

    def __init__(self, shown: Iterator[Shown], video: str, promised: float | None, tally: Tally) -> None:
        self.count = 0
        self.seconds = 0.0
        self._shown = shown
        self._video, self._promised, self._tally = video, promised, tally

    def __iter__(self) -> Iterator[Shown]:
        for one in self._shown:
            self.count, self.seconds = self.count + 1, one.end
            self._tally.add(self._video, share=one.end / self._promised if self._promised else 0.0)
            yield one


def run_all(one: Callable[[str], None], videos: list[str], jobs: int, tally: Tally) -> None:
    """Call `one` for every video, `jobs` at once; the first error, or an interrupt, ends all and is raised."""
    with ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        futures: list[Future[None]] = [pool.submit(one, video) for video in videos]
        try:
            done: set[Future[None]] = set()
            pending = set(futures)
            # in turns: an interrupt that reaches another thread wakes nobody who waits for a lock
            while pending and not any(future.exception() for future in done):
                done, pending = wait(pending, timeout=INTERRUPTIBLE, return_when=FIRST_EXCEPTION)
        finally:
            tally.left = not all(future.done() and future.exception() is None for future in futures)
            for future in futures:
                future.cancel()
    for future in futures:
        with suppress(Left):
            if not future.cancelled():
                future.result()
