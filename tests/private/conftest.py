"""Parties for the tests: a small program, and server, dealer and client over Unix sockets in this process.

The parties of a `Site` run in threads, which is quick and lets a test put a `Tap` on any link; a test that needs real
processes starts them itself.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moiety.private.client import Client, ClientConfig
from moiety.private.dealer import Dealer
from moiety.private.material import deal_files
from moiety.private.program import Certificate, Op, Program, Tensor
from moiety.private.server import Server, ServerConfig
from moiety.private.tls import Tls
from moiety.private.transport import listen

TIMEOUT = 5.0
COMPARISON = "circuit"


def toy_program(inputs: int = 6, outputs: int = 4, weights: int = 1) -> Program:
    """One linear layer, y = W x, with random W from the seed `weights`."""
    rng = np.random.default_rng(weights)
    w = np.round(rng.normal(size=(outputs, inputs, 1, 1, 1)) * 2**16).astype(np.int64).astype(np.uint64)
    conv = {
        "in_channels": inputs,
        "out_channels": outputs,
        "groups": 1,
        "in": [1, 1, 1],
        "kernel": [1, 1, 1],
        "stride": [1, 1, 1],
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": False,
    }
    layer = {"conv": conv, "weight": "fc.weight", "bias": None, "weight_fraction": 16, "layer": 0}
    program = Program(
        ring=64,
        fraction_bits=16,
        tensors=(
            Tensor((inputs,), 16, 64, 4.0, "input", "x"),
            Tensor((inputs,), 16, 64, 4.0, "input", "x", opened=True),
            Tensor((outputs,), 32, 64, 1000.0, "proved", "fc"),
            Tensor((outputs,), 32, 64, 1000.0, "proved", "fc"),
        ),
        ops=(
            Op("input", (), 0),
            Op("open", (0,), 1),
            Op("linear", (1,), 2, layer, "fc"),
            Op("output", (2,), 3),
        ),
        arrays={"fc.weight": w.reshape(outputs, inputs)},
        certificate=Certificate(input_bound=4.0),
    )
    program.validate()
    return program


def plain(program: Program, x: np.ndarray) -> np.ndarray:
    """What the toy program computes."""
    w = program.arrays["fc.weight"].astype(np.int64).reshape(-1, x.shape[1]) / 2**16
    return x @ w.T


def some_input(batch: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-3, 3, (batch, 6)).astype(np.float32)


class Tap:
    """A relay in front of a Unix socket that records what it carries and can break it.

    `fault` is (direction, offset, action): what goes "up" to the target or "down" from it is carried as far as `offset`
    bytes; then comes "close" (both ways), "stall" (silence) or "garbage" (other bytes instead).
    """

    def __init__(self, path: Path, target: Path, fault: tuple[str, int, str] | None = None) -> None:
        self.address = f"unix:{path}"
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self._target = target
        self._fault = fault
        self._stop = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._threads = [threading.Thread(target=self._run)]
        self._threads[0].start()

    def _run(self) -> None:
        self._listener.settimeout(0.05)
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                near = self._listener.accept()[0]
                worker = threading.Thread(target=self._carry, args=(near,))
                self._threads.append(worker)
                worker.start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        up, down = bytearray(), bytearray()
        self.broken = False
        with near, far, contextlib.suppress(OSError):
            far.connect(str(self._target))
            ways = {near: (far, "up", up), far: (near, "down", down)}
            while not self._stop.is_set() and ways:
                for source in select.select(list(ways), [], [], 0.05)[0]:
                    sink, name, record = ways[source]
                    data = source.recv(1 << 16)
                    if not data:
                        with contextlib.suppress(OSError):
                            sink.shutdown(socket.SHUT_WR)
                        del ways[source]
                        continue
                    if not self._pass(sink, name, record, data):
                        return
        self.up.append(bytes(up))
        self.down.append(bytes(down))

    def _pass(self, sink: socket.socket, name: str, record: bytearray, data: bytes) -> bool:
        """Hand `data` on; False to hang up."""
        if self._fault is not None and self._fault[0] == name and len(record) + len(data) > self._fault[1]:
            left = max(0, self._fault[1] - len(record))
            record += data
            action = self._fault[2]
            sink.sendall(data[:left])
            if action == "stall":
                self._stop.wait(30)
                return False
            if action == "garbage":
                sink.sendall(b"\xa5" * max(64, len(data) - left))
                return True
            return False
        record += data
        sink.sendall(data)
        return True

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()


class Site:
    """A dealer and a server in threads, with their state below `root`; clients on demand."""

    def __init__(self, root: Path, program: Program | None = None) -> None:
        self.root = root
        self.program = program or toy_program()
        self._stack = contextlib.ExitStack()
        self._stops: list[threading.Event] = []
        self.running = 0

    def path(self, name: str) -> Path:
        return self.root / name

    def address(self, name: str) -> str:
        return f"unix:{self.path(name)}"

    def _run(self, serve: Callable[[Callable[[], bool]], None], close: Callable[[], None]) -> Callable[[], None]:
        stop = threading.Event()
        thread = threading.Thread(target=serve, args=(stop.is_set,))
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()
            close()

        self._stack.callback(lambda: None if stop.is_set() else end())
        return end

    def dealer(
        self, name: str = "dealer", address: str | None = None, tls: Tls | None = None, **options: Any
    ) -> Dealer:
        listener = listen(address or self.address(name), tls=tls)
        dealer = Dealer(listener, self.path("dealer-state"), **{"timeout": TIMEOUT, **options})
        dealer.address = str(listener.address)  # type: ignore[attr-defined]
        dealer.end = self._run(dealer.serve, listener.close)  # type: ignore[attr-defined]
        return dealer

    def server(
        self, name: str = "server", address: str | None = None, program: Program | None = None, **options: Any
    ) -> Server:
        tls = options.get("tls")
        listener = listen(address or self.address(name), tls=tls)
        config = ServerConfig(**{"state": self.path("server-state"), "timeout": TIMEOUT, **options})
        try:
            server = Server(program or self.program, listener, config)
        except BaseException:
            listener.close()
            raise
        server.address = str(listener.address)  # type: ignore[attr-defined]

        def close() -> None:
            server.close()
            listener.close()

        server.end = self._run(server.serve, close)  # type: ignore[attr-defined]
        return server

    def both(self, **options: Any) -> None:
        """A dealer, and a server that uses it."""
        self.dealer()
        self.server(dealer=self.address("dealer"), **options)

    def client(self, batch: int = 2, program: Program | None = None, **options: Any) -> Client:
        base = {
            "server": self.address("server"),
            "state": self.path("client-state"),
            "comparison": COMPARISON,
            "timeout": TIMEOUT,
        }
        if "correlations" not in options:
            base["dealer"] = self.address("dealer")
        return Client((program or self.program).without_weights(), batch, ClientConfig(**{**base, **options}))

    def infer(self, x: np.ndarray | None = None, **options: Any) -> np.ndarray:
        """One inference that must succeed, checked against the plain result."""
        x = some_input() if x is None else x
        with self.client(len(x), **options) as client:
            output, _ = client.infer(x)
        program = options.get("program") or self.program
        np.testing.assert_allclose(output, plain(program, x), atol=1e-3)
        return output

    def tap(self, name: str, target: str, fault: tuple[str, int, str] | None = None) -> Tap:
        tap = Tap(self.path(name), self.path(target), fault)
        self._stack.callback(tap.close)
        return tap

    def files(self, name: str = "a", batch: int = 2, count: int = 4, **options: Any) -> tuple[Path, Path]:
        """The server's and the client's correlation file."""
        paths = self.path(f"{name}.server"), self.path(f"{name}.client")
        deal_files(self.program.without_weights(), batch, count, *paths, comparison=COMPARISON, **options)
        return paths

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    place = Site(tmp_path)
    yield place
    place.close()


@pytest.fixture(scope="session")
def make_site() -> Callable[..., Site]:
    """For a fixture of a wider scope; whoever makes a site closes it."""
    return Site


@pytest.fixture
def toy() -> Program:
    return toy_program()


@pytest.fixture
def make_toy() -> Callable[..., Program]:
    return toy_program


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    return some_input


@pytest.fixture
def plainly() -> Callable[[Program, np.ndarray], np.ndarray]:
    return plain


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], str]:
    """Wait until a party has logged a line that contains the text; the line."""
    caplog.set_level(logging.INFO, "moiety")

    def find(text: str, seconds: float = TIMEOUT) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for record in caplog.records:
                if text in record.getMessage():
                    return record.getMessage()
            time.sleep(0.01)
        raise AssertionError(f"{text!r} is not in the log: {[r.getMessage() for r in caplog.records]}")

    return find


@pytest.fixture
def altered() -> Callable[..., Program]:
    return replace
