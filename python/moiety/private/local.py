"""Server, dealer and client on this machine, as three processes: the same code as on three machines.

The processes talk through Unix sockets in a private temporary directory. What is secret (the input, the output, seeds)
goes through pipes and those sockets, never onto a command line; start-up is over before the first phase begins.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing.connection as connection
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moiety import ProtocolError

from .client import check_input
from .link import printable
from .plan import comparison_kinds
from .program import Program
from .stats import Stats
from .transport import Network
from .worker import ERRORS

__all__ = ["Result", "run_local"]

_EXIT_S = 5.0


@dataclass(frozen=True)
class Result:
    """What the client got, and what it cost. `runs` has one entry an inference (`repeat`); `stats` is the first's.

    `output` is a torch tensor if the input was one, else a NumPy array.
    """

    output: Any
    stats: Stats
    runs: tuple[Stats, ...] = ()


class _Child:
    """A party's process and the pipe to it."""

    def __init__(self, role: str, directory: Path, settings: dict[str, Any]) -> None:
        self.role = role
        self.pipe, theirs = connection.Pipe()
        self._log = directory / f"{role}.log"
        try:
            with self._log.open("wb") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "moiety.private.worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "MOIETY_NUM_THREADS": str(settings["threads"])},
                )
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()
        self.pipe.send_bytes(json.dumps({"role": role, **settings}).encode())

    def receive(self) -> dict[str, Any]:
        """The next message of the process; its error is raised here. Its own waits are bounded by its timeout."""
        try:
            message = json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            code = self.process.wait()
            raise ProtocolError(
                f"the {self.role} process ended with code {code}: {self.words() or 'it said nothing'}"
            ) from None
        if "error" in message:
            raise ERRORS[message["kind"]](message["error"])
        return dict(message)

    def words(self) -> str:
        """The last line that the process logged."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return printable(lines[-1]) if lines else ""
        return ""

    def stop(self) -> None:
        """Closing the pipe tells the process to end; one that does not is killed."""
        self.pipe.close()
        try:
            self.process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def _children() -> Iterator[tuple[Path, list[_Child]]]:
    """A private directory and the processes that live in it; all are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="moiety-") as name:
        children: list[_Child] = []
        try:
            yield Path(name), children
        finally:
            for child in reversed(children):
                child.stop()


def run_local(
    program: Program,
    x: Any,
    *,
    randomness: str = "dealer",
    comparison: str = "auto",
    network: str | Network | None = None,
    threads: int = 1,
    timeout: float = 60.0,
    repeat: int = 1,
) -> Result:
    """One private inference of the batch `x` (float32) on this machine; the client's output and everybody's counters.

    `randomness` is "dealer" or "file"; `comparison` is "auto" (what `estimate` finds fastest), "circuit", "dcf", or one
    letter, c or d, for each operation that compares, as an estimate spells its choice; `network` shapes every link
    ("lan", "wan" or `Network`); `timeout` bounds every wait for a peer. With `repeat` the session goes on with as many
    inferences of `x`, each with correlations of its own.
    """
    batch = check_input(program, x)
    if randomness not in ("dealer", "file"):
        raise ValueError(f'randomness is {randomness!r}: expected "dealer" or "file"')
    if comparison != "auto":
        comparison_kinds(program, comparison)
    if repeat < 1 or threads < 1:
        raise ValueError(f"repeat {repeat}, threads {threads}: expected both to be at least 1")
    shape = Network.of(network)
    common = {"threads": threads, "timeout": timeout, "rtt_ms": shape.rtt_ms, "mbit": shape.mbit}
    with _children() as (directory, children):
        program.save(directory / "server.moiety")
        program.without_weights().save(directory / "client.moiety")
        weightless = {"program": str(directory / "client.moiety")}
        dealt: dict[str, Any] = {}

        def start(role: str, **settings: Any) -> _Child:
            child = _Child(role, directory, {**common, "state": str(directory / f"{role}-state"), **settings})
            children.append(child)
            return child

        served: dict[str, Any] = {"address": f"unix:{directory}/server", "program": str(directory / "server.moiety")}
        asked: dict[str, Any] = {"server": served["address"], "comparison": comparison, **weightless}
        if randomness == "file":
            files = {role: str(directory / f"{role}.correlations") for role in ("server", "client")}
            dealer = start("deal", **weightless, batch=len(batch), count=repeat, comparison=comparison, files=files)
            dealt = dealer.receive()
            served["correlations"], asked["correlations"] = [files["server"]], files["client"]
        else:
            dealer = start("dealer", address=f"unix:{directory}/dealer")
            served["dealer"] = asked["dealer"] = f"unix:{directory}/dealer"
        server = start("server", **served, max_batch=len(batch))
        client = start("client", **asked, batch=len(batch), repeat=repeat)
        if randomness == "dealer":
            dealer.receive()
        server.receive()
        client.receive()
        try:
            client.pipe.send_bytes(batch.tobytes())
            runs = [client.receive() for _ in range(repeat)]
            output = np.frombuffer(client.pipe.recv_bytes(), np.float32).reshape(runs[0]["shape"])
        except (ProtocolError, EOFError, OSError) as error:
            heard = [f"the {child.role} said: {words}" for child in (server, dealer) if (words := child.words())]
            raise ProtocolError("; ".join([str(error), *heard])) from None
        stats = [Stats.of(run["client"], run["server"], dealt.get("dealer", run["dealer"])) for run in runs]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        return Result(torch.from_numpy(output.copy()), stats[0], tuple(stats))
    return Result(output.copy(), stats[0], tuple(stats))
