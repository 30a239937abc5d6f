"""Server, client and dealer as three processes that run one program after another: what measurements are made with.

    python -m moiety.cost.trio ROLE FD...        started by `Trio`; commands and results are JSON on the first handle

`moiety.private.run_local` goes through everything that three machines would; here the processes stay, the links are
socket pairs, and only the online phase is timed. It is the same executor and the same engine. The dealer deals on
command, so that it is idle while the parties compute.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing.connection as connection
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moiety import ProtocolError
from moiety._core import mpc
from moiety.private.execute import Inference, weight_masks, weight_sizes, weights
from moiety.private.plan import Plan, plan
from moiety.private.program import Program, load
from moiety.private.stats import cpu_seconds
from moiety.private.transport import Network

__all__ = ["Sample", "Trio"]

CONTROL, MATERIAL = 2, 3
_EXIT_S = 5.0


@dataclass(frozen=True)
class Sample:
    """One online phase: seconds from the common start until both parties were done, CPU-seconds of each, and the
    counters."""

    seconds: float
    cpu_server: float
    cpu_client: float
    rounds: int
    bytes_server: int
    bytes_client: int


class Trio:
    """Three processes that stay; `network` shapes the link between the parties."""

    def __init__(self, network: Network | None = None, *, threads: int = 1, timeout: float = 60.0) -> None:
        self.network = network or Network()
        self._directory = tempfile.TemporaryDirectory(prefix="moiety-")
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._pipes: dict[str, connection.Connection[Any, Any]] = {}
        self._files: dict[int, tuple[Program, str]] = {}  # by identity
        links = {name: socket.socketpair() for name in ("parties", "side", "server", "client")}
        ends = {
            "server": [links[name][0] for name in ("parties", "side", "server")],
            "client": [links["parties"][1], links["side"][1], links["client"][0]],
            "dealer": [links["server"][1], links["client"][1]],
        }
        settings = {"threads": threads, "timeout": timeout, "rtt_ms": self.network.rtt_ms, "mbit": self.network.mbit}
        try:
            for role, sockets in ends.items():
                self._pipes[role], theirs = connection.Pipe()
                handles = [theirs.fileno(), *(end.fileno() for end in sockets)]
                self._children[role] = subprocess.Popen(
                    [sys.executable, "-m", "moiety.cost.trio", role, *map(str, handles)],
                    pass_fds=handles,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "MOIETY_NUM_THREADS": str(threads)},
                )
                theirs.close()
                self._pipes[role].send_bytes(json.dumps(settings).encode())
        except BaseException:
            self.close()
            raise
        finally:
            for pair in links.values():
                for end in pair:
                    end.close()

    def run(self, program: Program, *, batch: int = 1, comparison: str = "circuit", repeats: int = 1) -> list[Sample]:
        """Runs of a program on zeros, each with correlations of its own."""
        path = self._file(program)
        command = {"program": path, "batch": batch, "comparison": comparison}
        samples = []
        for _ in range(repeats):
            for pipe in self._pipes.values():
                pipe.send_bytes(json.dumps(command).encode())
            answers = {role: self._receive(role) for role in ("dealer", "server", "client")}
            server, client = answers["server"], answers["client"]
            samples.append(
                Sample(
                    seconds=max(server["end"], client["end"]) - max(server["start"], client["start"]),
                    cpu_server=server["cpu"],
                    cpu_client=client["cpu"],
                    rounds=client["rounds"],
                    bytes_server=server["sent"],
                    bytes_client=client["sent"],
                )
            )
        return samples

    def _file(self, program: Program) -> str:
        """Where the program lies for the processes; one object is written once."""
        if id(program) not in self._files:
            path = Path(self._directory.name) / f"{len(self._files)}"
            program.save(path.with_suffix(".server"))
            program.without_weights().save(path.with_suffix(".client"))
            self._files[id(program)] = (program, str(path))
        return self._files[id(program)][1]

    def _receive(self, role: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._pipes[role].recv_bytes())
        except (EOFError, OSError):
            code = self._children[role].wait()
            raise ProtocolError(f"the {role} process ended with code {code}: its error is above") from None
        return answer

    def close(self) -> None:
        """Closing a pipe tells a process to end; one that does not is killed."""
        for pipe in self._pipes.values():
            pipe.close()
        for child in self._children.values():
            try:
                child.wait(_EXIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._directory.cleanup()

    def __enter__(self) -> Trio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _commands(pipe: connection.Connection[Any, Any]) -> Iterator[dict[str, Any]]:
    """What the parent wants, until it closes the pipe."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            yield json.loads(pipe.recv_bytes())


def _planned(command: dict[str, Any], cache: dict[Any, Any], suffix: str) -> tuple[Program, Plan]:
    """The program and plan of a command; a file is read once while it is the same."""
    if cache.get("path") != command["program"]:
        cache.clear()
        cache |= {"path": command["program"], "program": load(command["program"] + suffix)}
    key = (command["batch"], command["comparison"])
    if key not in cache:
        cache[key] = plan(cache["program"], *key)
    return cache["program"], cache[key]


def _deal(pipe: connection.Connection[Any, Any], channels: list[Any], settings: dict[str, Any]) -> None:
    cache: dict[Any, Any] = {}
    weight_seed = mpc.random_block()
    channels[0].send(CONTROL, weight_seed)
    for command in _commands(pipe):
        _, made = _planned(command, cache, ".client")
        server_seed, client_seed = mpc.random_block(), mpc.random_block()
        dealer = mpc.Dealer(made.ring, made.requests, server_seed, client_seed, weight_seed, settings["threads"])
        channels[0].send(CONTROL, server_seed)
        channels[1].send(CONTROL, client_seed)
        for index in range(len(made.requests)):
            for channel, material in zip(channels, dealer.deal(index), strict=True):
                if material.size:
                    channel.send(MATERIAL, material)
        pipe.send_bytes(b"{}")


def _compute(role: str, pipe: connection.Connection[Any, Any], channels: list[Any], settings: dict[str, Any]) -> None:
    peer, side, dealer = channels
    server = role == "server"
    weight_seed = bytes(dealer.recv()[1]) if server else b""
    cache: dict[Any, Any] = {}
    for command in _commands(pipe):
        program, made = _planned(command, cache, f".{role}")
        if "weights" not in cache:
            if server:
                cache["weights"] = weights(program)
                for mask in weight_masks(program, weight_seed):
                    side.send(MATERIAL, mask)
            else:
                cache["weights"] = [side.recv()[1].view(program.dtype) for _ in weight_sizes(program)]
        party = mpc.Party(role, made.ring, peer, settings["threads"])
        party.load(made.requests, bytes(dealer.recv()[1]), cache["weights"])
        for index, request in enumerate(made.requests):
            size = request.server_bytes(made.ring) if server else request.client_bytes(made.ring)
            party.feed(index, dealer.recv()[1] if size else b"")
        inference = Inference(program, made, party)
        x = None if server else np.zeros((made.batch, *program.input_shape), np.float32)
        side.send(CONTROL, b"ready")
        side.recv()
        sent, cpu, start = peer.bytes_sent, cpu_seconds(), time.monotonic()
        inference.run(x)
        end, used = time.monotonic(), cpu_seconds() - cpu
        counted = {"rounds": party.rounds, "sent": peer.bytes_sent - sent}
        pipe.send_bytes(json.dumps({"start": start, "end": end, "cpu": used, **counted}).encode())


def main() -> int:
    role, pipe_handle, *handles = sys.argv[1:]
    pipe: connection.Connection[Any, Any] = connection.Connection(int(pipe_handle))
    settings = json.loads(pipe.recv_bytes())
    shaped = (settings["timeout"], settings["rtt_ms"], settings["mbit"])
    plain = (settings["timeout"], 0.0, 0.0)
    shapes = [shaped, plain, plain] if role != "dealer" else [plain, plain]
    channels = [mpc.socket_channel(int(handle), *shape) for handle, shape in zip(handles, shapes, strict=True)]
    for handle in handles:
        socket.socket(fileno=int(handle)).close()
    mpc.retain_memory()
    if role == "dealer":
        _deal(pipe, channels, settings)
    else:
        _compute(role, pipe, channels, settings)
    for channel in channels:
        channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
