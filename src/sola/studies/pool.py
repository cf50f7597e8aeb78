"""Process pool for parallel runs, with the threads divided among the processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

import torch

from sola.core.errors import SolaError

Job = tuple[Callable[..., Any], tuple[Any, ...]]


class Pool:
    """A pool of `jobs` processes. A failing job or an interrupt stops all of them at their next step.

    A process ends when its parent has ended, so that it does not write to a run that the next call resumes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self) -> "Pool":
        threads = torch.get_num_threads()  # the number of cores, or OMP_NUM_THREADS
        # spawn, because forking a process with torch threads can hang
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(self.jobs, context, _begin, (max(1, threads // self.jobs),))
        return self

    def run(self, jobs: Sequence[Job], done: Callable[[int, int], object] = lambda done, total: None) -> list[Any]:
        """Run all jobs and return their results in order; `done` is called with (finished jobs, total jobs).

        Raises the first exception of a job, or SolaError if a process was killed.
        """
        futures = [self._executor.submit(call, *arguments) for call, arguments in jobs]
        done(0, len(futures))
        try:
            for count, future in enumerate(as_completed(futures), 1):
                future.result()
                done(count, len(futures))
        except BrokenProcessPool:
            raise SolaError(
                "a run was killed, most likely for lack of memory; repeat the command with fewer --jobs to resume"
            ) from None
        return [future.result() for future in futures]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()  # training saves a checkpoint before it stops
        self._executor.shutdown(cancel_futures=True)


def _begin(threads: int) -> None:
    """Initialize a worker process."""
    torch.set_num_threads(threads)
    # Ctrl-C reaches all processes of the terminal; only the parent handles it and stops the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
