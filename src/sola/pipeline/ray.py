"""Work on many videos, spread by Ray Data over the cores of a machine or the machines of a cluster."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sola.core.errors import SolaError

Work = Callable[[str], Any]
"""What a worker does with a video: its id in, what JSON can say of it out; SolaError where the video is bad."""
Progress = Callable[[int, int], None]
"""Called with how many videos are done, and of how many."""


@dataclass(frozen=True)
class Resources:
    """How many workers there are, and what each takes of a machine."""

    workers: int | None = None
    """None is as many as the cluster has room for."""
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Done:
    """What became of a video."""

    video: str
    result: Any
    error: str | None


def spread(videos: Sequence[str], make_worker: Callable[[], Work], resources: Resources) -> Iterator[Done]:
    """Do the work on every video and yield what became of each, in the order in which they are finished.

    Every worker is made once, in a process of its own, and loads there what it needs. A worker that dies is replaced,
    and its videos are worked on again: work must come out the same when it is done twice. The cluster is the one that
    RAY_ADDRESS names, else one is begun on this machine.

    Raises:
        SolaError: when Ray is not installed, there is no room for a worker, or Ray cannot do the work.
    """
    if not videos:
        return
    try:
        import ray.data  # on import it sets up its log, which would write between the lines of a progress bar
    except ImportError:
        raise SolaError("--executor ray needs Ray Data; install sola-tal[cluster]") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with _cluster(ray, resources) as room:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        done = ray.data.from_items([{"video": video} for video in videos], override_num_blocks=len(videos)).map_batches(
            _Worker,
            fn_constructor_args=(make_worker,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(resources.workers or room, len(videos))),
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
        )
        for row in done.iter_rows():
            yield Done(str(row["video"]), json.loads(row["result"]), str(row["error"]) or None)


@contextmanager
def _cluster(ray: Any, resources: Resources) -> Iterator[int]:
    """Join a cluster or begin one; yield how many workers it has room for. What Ray raises becomes a SolaError."""
    begun = not ray.is_initialized()
    try:
        if begun:
            ray.init(log_to_driver=False, logging_level="ERROR")
        there = ray.cluster_resources()
        room = int(there.get("CPU", 0) / resources.cpus) if resources.cpus else len(there)
        if resources.gpus:
            room = min(room, int(there.get("GPU", 0) / resources.gpus))
        if room < 1:
            has = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
            raise SolaError(
                f"the cluster has {has}, a worker asks for {resources.cpus:g} and {resources.gpus:g}; "
                "lower --worker-cpus or --worker-gpus"
            )
        yield room
    except (ray.exceptions.RayError, ConnectionError) as error:
        reason = " ".join(str(error).split())[-300:]
        raise SolaError(f"Ray could not do the work ({reason})") from None
    finally:
        if begun:
            ray.shutdown()


class _Worker:
    """A process of the pool."""

    def __init__(self, make_worker: Callable[[], Work]) -> None:
        self.work = make_worker()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        rows: dict[str, list[str]] = {"video": [], "result": [], "error": []}
        for video in map(str, batch["video"]):
            result, error = None, ""
            try:
                result = self.work(video)
            except SolaError as bad:
                error = str(bad)
            for name, value in (("video", video), ("result", json.dumps(result)), ("error", error)):
                rows[name].append(value)
        return rows
