"""Jobs that process videos one by one, and their executors: threads of this process, or workers of a Ray cluster."""

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

POLL_SECONDS = 0.2
"""Maximum delay until an interrupt takes effect (seconds)."""

Progress = Callable[[float, int, int], None]
"""Function of the number of finished videos (including fractions), the number of all videos, and written snippets."""


def no_progress(done: float, total: int, snippets: int) -> None:
    """Report nothing."""


class VideoJob(ABC):
    """A job that writes results to a folder, one video at a time, with one row per video in the folder's journal.

    Ray pickles the job and calls `setup` once in each worker. A video may be processed twice, so results must be
    repeatable.
    """

    folder: JobFolder
    videos: Collection[str]
    """Ids of all videos."""

    @abstractmethod
    def pending(self) -> list[str]:
        """Return the ids of videos without a result."""

    def setup(self) -> None:  # noqa: B027 (optional)
        """Load the encoder or module, if any; called once in each worker."""

    @abstractmethod
    def run(self, video: str, report: Report) -> Row:
        """Write the result of a video and return its journal row. Raises BadVideo for a video that can be skipped."""

    def finish(self) -> None:  # noqa: B027 (optional)
        """Write the files of the whole folder, such as a manifest."""


class Stopped(Exception):  # noqa: N818 (not an error)
    """Raised in a thread when the job stops because another video failed or the user interrupted it."""


class Tally:
    """Append rows to the journal of a job and report progress; thread-safe."""

    def __init__(self, job: VideoJob, done: int, skip_bad: bool, progress: Progress) -> None:
        self.stopped = False
        """Whether the job stops."""
        self.skipped: dict[str, str] = {}
        self._job, self._done, self._skip_bad, self._progress = job, done, skip_bad, progress
        self._shares: dict[str, float] = {}
        self._snippets = 0
        self._lock = threading.Lock()
        self._show()

    def report(self, video: str, share: float | None, snippets: int) -> None:
        """Report the finished share of a video and its new snippets. Raises Stopped if the job stops."""
        if self.stopped:
            raise Stopped
        with self._lock:
            self._snippets += snippets
            if share is not None:
                self._shares[video] = min(share, 1.0)
            if snippets:
                self._show()

    def done(self, video: str, row: Row) -> None:
        """Record the row of a finished video."""
        self._job.folder.append(row)
        with self._lock:
            self._shares.pop(video, None)
            self._done += 1
            self._show()

    def bad(self, video: str, error: BadVideo) -> None:
        """Record a skipped video, or raise its error if bad videos are not skipped."""
        if not self._skip_bad:
            raise error
        self.skipped[video] = str(error)
        self.done(video, {"video": video, "skipped": str(error)})

    def _show(self) -> None:
        self._progress(self._done + sum(self._shares.values()), len(self._job.videos), self._snippets)


@dataclass(frozen=True)
class Threads:
    """Run a job in threads of this process. Raises SolaError if `count` is not positive."""

    count: int = 1
    """Number of videos processed at the same time."""

    def __post_init__(self) -> None:
        at_least(1, jobs=self.count)

    def run(self, job: VideoJob, videos: Sequence[str], tally: Tally) -> None:
        """Run a job on videos; the first error or an interrupt stops all of them."""
        job.setup()

        def work(video: str) -> None:
            try:
                tally.report(video, None, 0)
                try:
                    tally.done(video, job.run(video, partial(tally.report, video)))
                except BadVideo as error:
                    tally.bad(video, error)
            except BaseException:
                tally.stopped = True  # set before this thread takes the next video
                raise

        with ThreadPoolExecutor(max_workers=self.count) as pool:
            futures = [pool.submit(work, video) for video in videos]
            try:
                # use a timeout, because an interrupt does not wake a thread that waits for a lock
                while not tally.stopped and wait(futures, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                    pass
            finally:
                tally.stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
        for future in futures:
            with suppress(Stopped, CancelledError):
                future.result()


@dataclass(frozen=True)
class Ray:
    """Run a job on the Ray cluster at RAY_ADDRESS, or on a cluster started on this machine.

    Files must be on a disk shared by all machines, or in an object store. Ray replaces a worker that dies and processes
    its videos again.

    Raises:
        SolaError: if a number is out of range.
    """

    workers: int | None = None
    """Number of workers, or None for as many as fit in the cluster."""
    cpus: float = 1.0
    """CPU cores per worker."""
    gpus: float = 0.0
    """GPUs per worker; with 0.5, two workers share a GPU."""

    def __post_init__(self) -> None:
        at_least(1, workers=self.workers)
        positive(worker_cpus=self.cpus)
        not_negative(worker_gpus=self.gpus)

    def run(self, job: VideoJob, videos: Sequence[str], tally: Tally) -> None:
        """Run a job on videos.

        Raises:
            SolaError: if Ray is not installed, the cluster is too small for a worker, or Ray fails.
        """
        try:
            import ray.data  # the import configures logging, which would write into a progress bar
        except ImportError:
            raise SolaError("--executor ray: Ray Data is not installed; install sola-tal[cluster]") from None
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
        """Connect to a cluster or start one, and yield the number of workers that fit in it."""
        started = not ray.is_initialized()
        try:
            if started:
                ray.init(log_to_driver=False, logging_level="ERROR")
            resources = ray.cluster_resources()
            cpus, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
            room = min(int(cpus / self.cpus), int(gpus / self.gpus) if self.gpus else sys.maxsize)
            if room < 1:
                raise SolaError(
                    f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs, but a worker needs {self.cpus:g} CPUs and "
                    f"{self.gpus:g} GPUs; lower --worker-cpus or --worker-gpus"
                )
            yield room
        except (ray.exceptions.RayError, ConnectionError) as error:
            reason = " ".join(str(error).split())[-300:]
            raise SolaError(f"Ray failed ({reason})") from None
        finally:
            if started:
                ray.shutdown()


class _Worker:
    """A worker process of the Ray actor pool."""

    def __init__(self, job: VideoJob, folder: str) -> None:
        with suppress(OSError):  # the folder may not exist on another machine
            os.chdir(folder)  # paths of the job may be relative
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
    """Run a job on all pending videos. A job that was stopped continues when it is run again.

    Args:
        job: the job.
        executor: executor that runs it.
        skip_bad: skip videos that cannot be read.
        progress: function that is called with the number of finished videos (including fractions of videos in
            progress), the number of all videos, and the number of written snippets.

    Returns:
        The reason for each skipped video, by id.

    Raises:
        SolaError: if a video is bad, no video is left, or the job fails.
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
