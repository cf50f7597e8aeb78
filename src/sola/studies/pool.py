"""Runs in their own processes: several at once, each with its share of the cores, stopped together."""

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
    """`jobs` processes; a job that fails, or an interrupt, stops all of them at their next step.

    A process whose parent has ended ends itself, so that it does not write into a run that the next call resumes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self) -> "Pool":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # spawned, not forked: a fork of a process in which torch has threads may hang
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(self.jobs, context, _begin, (max(1, cores // self.jobs),))
        return self

    def run(self, jobs: Sequence[Job], done: Callable[[int, int], object] = lambda done, total: None) -> list[Any]:
        """Run all jobs and return their results in order; `done` is called with the finished jobs and their number.

        Raises the exception of a job, or SolaError if a process was killed.
        """
        futures = [self._executor.submit(call, *arguments) for call, arguments in jobs]
        done(0, len(futures))
        try:
            for count, future in enumerate(as_completed(futures), 1):
                future.result()
                done(count, len(futures))
        except BrokenProcessPool:
            raise SolaError(
                "a run was killed, most likely because memory ran out; call again with fewer --jobs: it goes on"
            ) from None
        return [future.result() for future in futures]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()  # a training writes its checkpoint first
        self._executor.shutdown(cancel_futures=True)


def _begin(threads: int) -> None:
    """Initialize a process."""
    torch.set_num_threads(threads)
    # Ctrl-C reaches every process of a terminal: a training handles it, the parent ends the rest
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
