"""One party's process under `run_local`: settings come in through a pipe, results go out through it.

python -m moiety.private.worker FD        the first message is JSON with `role`; the pipe's end means: stop
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing.connection as connection
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from moiety import ProtocolError
from moiety._core import mpc

from .client import Client, ClientConfig
from .dealer import Dealer
from .execute import OutOfRangeError
from .material import deal_files
from .program import load
from .server import Server, ServerConfig
from .stats import Meter
from .transport import Network, listen

# What a child reports and its parent raises again, the most particular first.
ERRORS = {kind.__name__: kind for kind in (OutOfRangeError, ProtocolError, ValueError)}


class _Pipe:
    """The pipe to the parent."""

    def __init__(self, handle: int) -> None:
        self._pipe: connection.Connection[Any, Any] = connection.Connection(handle)

    def receive(self) -> bytes:
        return self._pipe.recv_bytes()

    def send(self, **message: Any) -> None:
        self._pipe.send_bytes(json.dumps(message).encode())

    def send_bytes(self, data: bytes) -> None:
        self._pipe.send_bytes(data)

    def ended(self) -> threading.Event:
        """An event that is set once the parent closes the pipe, or dies."""
        event = threading.Event()

        def watch() -> None:
            with contextlib.suppress(EOFError, OSError):
                self._pipe.recv_bytes()
            event.set()

        threading.Thread(target=watch, name="pipe", daemon=True).start()
        return event


def _network(settings: dict[str, Any]) -> Network:
    return Network(settings["rtt_ms"], settings["mbit"])


def _serve(settings: dict[str, Any], pipe: _Pipe) -> None:
    config = ServerConfig(
        state=Path(settings["state"]),
        dealer=settings.get("dealer"),
        correlations=[Path(path) for path in settings.get("correlations", ())],
        max_batch=settings["max_batch"],
        timeout=settings["timeout"],
        threads=settings["threads"],
        network=_network(settings),
    )
    with listen(settings["address"]) as listener:
        server = Server(load(settings["program"]), listener, config)
        try:
            ended = pipe.ended()
            pipe.send(ready=True)
            server.serve(ended.is_set)
        finally:
            server.close()


def _deal_live(settings: dict[str, Any], pipe: _Pipe) -> None:
    with listen(settings["address"]) as listener:
        dealer = Dealer(
            listener,
            Path(settings["state"]),
            timeout=settings["timeout"],
            threads=settings["threads"],
            network=_network(settings),
        )
        ended = pipe.ended()
        pipe.send(ready=True)
        dealer.serve(ended.is_set)


def _deal_files(settings: dict[str, Any], pipe: _Pipe) -> None:
    files = {role: Path(path) for role, path in settings["files"].items()}
    program = load(settings["program"])
    meter = Meter()
    with meter.phase("offline") as phase:
        deal_files(
            program,
            settings["batch"],
            settings["count"],
            files["server"],
            files["client"],
            comparison=settings["comparison"],
            threads=settings["threads"],
            network=_network(settings),
        )
    count = settings["count"]  # the counters are those of one inference
    phase.bytes_sent = sum(path.stat().st_size for path in files.values()) // count
    phase.cpu_seconds /= count
    phase.wall_seconds /= count
    pipe.send(dealer={name: asdict(values) for name, values in meter.phases.items()})


def _ask(settings: dict[str, Any], pipe: _Pipe) -> None:
    program = load(settings["program"])
    config = ClientConfig(
        server=settings["server"],
        state=Path(settings["state"]),
        dealer=settings.get("dealer"),
        correlations=Path(settings["correlations"]) if "correlations" in settings else None,
        comparison=settings["comparison"],
        timeout=settings["timeout"],
        threads=settings["threads"],
        network=_network(settings),
    )
    pipe.send(ready=True)
    x = np.frombuffer(pipe.receive(), np.float32).reshape(settings["batch"], *program.input_shape)
    ended = pipe.ended()
    outputs = []
    with Client(program, settings["batch"], config) as client:
        for _ in range(settings["repeat"]):
            output, stats = client.infer(x)
            outputs.append(output)
            pipe.send(shape=output.shape, **stats.to_dict())
            if ended.is_set():
                return
    pipe.send_bytes(np.ascontiguousarray(outputs[0], np.float32).tobytes())


_ROLES = {"server": _serve, "dealer": _deal_live, "deal": _deal_files, "client": _ask}


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    mpc.retain_memory()
    pipe = _Pipe(int(sys.argv[1]))
    try:
        settings = json.loads(pipe.receive())
        _ROLES[settings["role"]](settings, pipe)
    except (ProtocolError, ValueError, OSError) as error:
        kinds = [kind for kind in ERRORS.values() if isinstance(error, kind)]
        pipe.send(error=str(error), kind=(kinds or [ValueError])[0].__name__)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # daemon threads may still wait on sockets
