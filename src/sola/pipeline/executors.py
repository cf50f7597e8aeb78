"""Per-video jobs, and their executors: threads of this process, or the workers of a Ray cluster."""

import json
import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sola.core.checks import at_least, not_negative, positive
from sola.core.errors import SolaError
from sola.data.journal import JobFolder, Report, Row
from sola.video.errors import BadVideo

INTERRUPTIBLE = 0.2
"""Longest time until an interrupt is noticed (seconds)."""

Progress = Callable[[float, int, int], None]
"""Called with the videos done (with fractions of those in progress), the total, and the snippets written."""


def no_progress(done: float, total: int, snippets: int) -> None:
    """Report nothing."""


class VideoJob(ABC):
    """Writes videos one by one into a folder, with a row in the folder's journal for each.

    Ray pickles a job and runs `setup` once in each worker; a video may run twice and must give the same result.
    """

    folder: JobFolder
    videos: Collection[str]
    """Ids of all videos."""

    @abstractmethod
    def pending(self) -> list[str]:
        """Return the ids of the videos that are not written yet."""

    def setup(self) -> None:  # noqa: B027 (optional)
        """Load the encoder or module, if there is one; called once in each worker."""

    @abstractmethod
    def run(self, video: str, report: Report) -> Row:
        """Write one video and return its row of the journal. Raises BadVideo if `skip_bad` may leave it out."""

    def finish(self) -> None:  # noqa: B027 (optional)
        """Write what belongs to the whole folder, such as a manifest."""


class Left(Exception):  # noqa: N818 (no error)
    """The work stops: another video failed, or the user interrupted."""


class Tally:
    """Appends rows to the journal of a job and reports progress; thread-safe."""

    def __init__(self, job: VideoJob, done: int, skip_bad: bool, progress: Progress) -> None:
        self.left = False
        """Whether the work stops."""
        self.skipped: dict[str, str] = {}
        self._job, self._done, self._skip_bad, self._progress = job, done, skip_bad, progress
        self._shares: dict[str, float] = {}
        self._snippets = 0
        self._lock = threading.Lock()
        self._show()

    def report(self, video: str, share: float | None, snippets: int) -> None:
        """Report the share of a video that is done. Raises Left if the work stops."""
        if self.left:
            raise Left
        with self._lock:
            self._snippets += snippets
            if share is not None:
                self._shares[video] = min(share, 1.0)
            if snippets:
                self._show()

    def done(self, video: str, row: Row) -> None:
        """Record the row of a video."""
        self._job.folder.append(row)
        with self._lock:
            self._shares.pop(video, None)
            self._done += 1
            self._show()

    def bad(self, video: str, error: BadVideo) -> None:
        """Record a video that is skipped; raises its error without `skip_bad`."""
        if not self._skip_bad:
            raise error
        self.skipped[video] = str(error)
        self.done(video, {"video": video, "skipped": str(error)})

    def _show(self) -> None:
        self._progress(self._done + sum(self._shares.values()), len(self._job.videos), self._snippets)


@dataclass(frozen=True)
class Threads:
    """Runs a job in threads of this process. Raises SolaError if `count` is not positive."""

    count: int = 1
    """Videos at a time."""

    def __post_init__(self) -> None:
        at_least(1, jobs=self.count)

    def run(self, job: VideoJob, videos: Sequence[str], tally: Tally) -> None:
        """Run a job on videos; the first error or an interrupt stops all of them soon."""
        job.setup()

        def work(video: str) -> None:
            try:
                tally.report(video, None, 0)
                try:
                    tally.done(video, job.run(video, partial(tally.report, video)))
                except BadVideo as error:
                    tally.bad(video, error)
            except BaseException:
                tally.left = True  # before this thread takes the next video
                raise

        with ThreadPoolExecutor(max_workers=self.count) as pool:
            futures = [pool.submit(work, video) for video in videos]
            try:
                # with a timeout, since an interrupt does not wake a thread that waits for a lock
                while not tally.left and wait(futures, timeout=INTERRUPTIBLE, return_when=FIRST_EXCEPTION).not_done:
                    pass
            finally:
                tally.left = True
                pool.shutdown(wait=False, cancel_futures=True)
        for future in futures:
            with suppress(Left, CancelledError):
                future.result()


@dataclass(frozen=True)
class Ray:
    """Runs a job on the Ray cluster that RAY_ADDRESS names, or one started on this machine.

    Files must be on a disk that all machines share, or in an object store. A worker that dies is replaced, and its
    videos run again. Raises SolaError if a number is out of range.
    """

    workers: int | None = None
    """Number of workers; None is as many as the cluster has room for."""
    cpus: float = 1.0
    """Cores per worker."""
    gpus: float = 0.0
    """GPUs per worker; 0.5 puts two workers on a GPU."""

    def __post_init__(self) -> None:
        at_least(1, workers=self.workers)
        positive(worker_cpus=self.cpus)
        not_negative(worker_gpus=self.gpus)

    def run(self, job: VideoJob, videos: Sequence[str], tally: Tally) -> None:
        """Run a job on videos.

        Raises SolaError if Ray is not installed, the cluster has no room for a worker, or Ray fails.
        """
        try:
            import ray.data  # its import configures logging, which would write into a progress bar
        except ImportError:
            raise SolaError("--executor ray needs Ray Data; install sola-tal[cluster]") from None
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with self._cluster(ray) as room:
            ray.data.DataContext.get_current().enable_progress_bars = False
            rows = ray.data.from_items([{"video": video} for video in videos], override_num_blocks=len(videos))
            done = rows.map(
                _Worker,  # type: ignore[arg-type]  # typed for functions, but takes classes too
                fn_constructor_args=(job, os.getcwd()),
                compute=ray.data.ActorPoolStrategy(size=min(self.workers or room, len(videos))),
                num_cpus=self.cpus,
                num_gpus=self.gpus,
            )
            for result in done.iter_rows():
                video, error = result["video"], result["error"]
                if result["bad"]:
                    tally.bad(video, BadVideo(error))
                elif error:
                    raise SolaError(error)
                else:
                    row = json.loads(result["row"])
                    tally.report(video, None, int(row.get("snippets", 0)))
                    tally.done(video, row)

    @contextmanager
    def _cluster(self, ray: Any) -> Iterator[int]:
        """Connect to a cluster or start one, and yield how many workers it has room for."""
        started = not ray.is_initialized()
        try:
            if started:
                ray.init(log_to_driver=False, logging_level="ERROR")
            has = ray.cluster_resources()
            cpus, gpus = has.get("CPU", 0), has.get("GPU", 0)
            room = min(int(cpus / self.cpus), int(gpus / self.gpus) if self.gpus else sys.maxsize)
            if room < 1:
                raise SolaError(
                    f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs, a worker asks for {self.cpus:g} and "
                    f"{self.gpus:g}; lower --worker-cpus or --worker-gpus"
                )
            yield room
        except (ray.exceptions.RayError, ConnectionError) as error:
            reason = " ".join(str(error).split())[-300:]
            raise SolaError(f"Ray could not do the work ({reason})") from None
        finally:
            if started:
                ray.shutdown()


class _Worker:
    """A process of the pool."""

    def __init__(self, job: VideoJob, folder: str) -> None:
        with suppress(OSError):  # another machine may not have it
            os.chdir(folder)  # the job's paths may be relative
        job.setup()
        self.job = job

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        result = {"video": item["video"], "row": "", "error": "", "bad": False}
        try:
            return result | {"row": json.dumps(self.job.run(item["video"], lambda share, snippets: None))}
        except SolaError as error:
            return result | {"error": str(error), "bad": isinstance(error, BadVideo)}


Executor = Threads | Ray
ONE_AT_A_TIME = Threads()
TWO_AT_A_TIME = Threads(2)


def run_job(
    job: VideoJob, executor: Executor, *, skip_bad: bool = False, progress: Progress = no_progress
) -> dict[str, str]:
    """Run a job on all pending videos, and return the reasons for skipped videos by id.

    A job that was stopped continues when it is run again. With `skip_bad`, videos that cannot be read are skipped.

    Raises SolaError for a bad video, if no video is left, or for any other failure of the job.
    """
    pending, folder = job.pending(), job.folder
    if folder.finished and not pending:
        return {}
    tally = Tally(job, len(job.videos) - len(pending), skip_bad, progress)
    with folder.writing():
        if pending:
            executor.run(job, pending, tally)
        if tally.skipped and len(tally.skipped) == len(job.videos):
            raise SolaError(f"{next(iter(tally.skipped.values()))}; none of {len(job.videos)} videos is left")
        job.finish()
    folder.finish()
    return tally.skipped
