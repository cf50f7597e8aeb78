"""Train in several processes without a launcher. They are forked from a server that has imported the package."""

import multiprocessing
import os
import socket
from multiprocessing.process import BaseProcess

from sola.cli import main

PRELOADED = ["sola.cli.train_detector", "sola.detectors.train"]


def train_in_processes(count: int, *arguments: object) -> None:
    """Call a command in `count` processes with the environment variables of torchrun, and check that all succeed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started: list[BaseProcess] = []
    for rank in range(count):
        environment = {key: str(value) for key, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}
        process = context.Process(target=_run, args=(environment, [str(argument) for argument in arguments]))
        process.start()
        started.append(process)
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * count


def _run(environment: dict[str, str], arguments: list[str]) -> None:
    os.environ.update(environment)
    main(arguments)
