"""Runs in processes of their own: several at once, each with its share of the cores, stopped together."""

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
Done = Callable[[int, int], None]


class Pool:
    """So many processes; a job that fails, or an interrupt, stops them all at their next step.

    A process whose parent is gone, however it went, ends by itself: nobody else could stop it, and the run that it
    holds is begun again by the next call.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self) -> "Pool":
        threads = max(1, cores() // self.jobs)
        # spawned, not forked: a fork of a process in which torch has threads may hang
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(self.jobs, context, _begin, (threads,))
        return self

    def run(self, jobs: Sequence[Job], done: Done = lambda done, total: None) -> list[Any]:
        """Do all jobs, and return what they returned, in their order.

        Raises what a job raised; SolaError when a process was killed.
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


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(threads: int) -> None:
    """What a process does first."""
    torch.set_num_threads(threads)
    # Ctrl-C reaches every process of a terminal: a training answers it, the rest is the parent's to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_it() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
