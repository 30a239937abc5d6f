"""Two parties on two threads of one process, over an in-memory link or a recorded one, and their dealer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moiety._core import mpc

Array = npt.NDArray[Any]
Protocol = Callable[[Any], Any]

FRAME_HEADER = 24
TIMEOUT_S = 60.0


def dtype_of(ring: int) -> np.dtype[Any]:
    return np.dtype(f"uint{ring}")


def ring_elements(values: Array, ring: int) -> Array:
    """Signed integers as ring elements."""
    return np.asarray(values).astype(np.int64).astype(np.uint64).astype(dtype_of(ring))


def signed(elements: Array, bits: int) -> Array:
    """The signed representative of elements mod 2^bits."""
    wide = elements.astype(np.uint64) << np.uint64(64 - bits)
    return wide.view(np.int64) >> np.int64(64 - bits)


def uniform(rng: np.random.Generator, n: int | tuple[int, ...], ring: int) -> Array:
    return rng.integers(0, 2**ring - 1, size=n, dtype=dtype_of(ring), endpoint=True)


class Shares(NamedTuple):
    server: Array
    client: Array


def share(rng: np.random.Generator, values: Array, ring: int, bits: int = 0) -> Shares:
    """Shares of signed integers mod 2^bits (0: of the ring) whose upper bits are arbitrary."""
    server = uniform(rng, np.shape(values), ring)
    client = ring_elements(values, ring) - server
    if 0 < bits < ring:
        client += uniform(rng, np.shape(values), ring) << dtype_of(ring).type(bits)
    return Shares(server, client)


class Pipe:
    """One direction of a recorded link."""

    def __init__(self) -> None:
        self.ready = threading.Condition()
        self.bytes = bytearray()
        self.at = 0
        self.closed = False

    def put(self, data: bytes) -> None:
        with self.ready:
            self.bytes += data
            self.ready.notify_all()

    def take(self, n: int) -> bytes:
        with self.ready:
            self.ready.wait_for(lambda: len(self.bytes) - self.at >= n or self.closed, TIMEOUT_S)
            data = bytes(self.bytes[self.at : self.at + n])
            self.at += len(data)
            return data

    def close(self) -> None:
        with self.ready:
            self.closed = True
            self.ready.notify_all()


class Transport:
    """What `callback_channel` drives: everything sent stays in `out.bytes`."""

    def __init__(self, out: Pipe, into: Pipe) -> None:
        self.out, self.into = out, into

    def exchange(self, data: bytes, n: int) -> bytes:
        if data:
            self.out.put(data)
        return self.into.take(n)

    def close(self) -> None:
        self.out.close()
        self.into.close()


def messages(stream: bytes) -> list[bytes]:
    """The payloads of a recorded direction, each of which must be a protocol step."""
    found = []
    at = 0
    while at < len(stream):
        assert stream[at : at + 8] == b"MOI1\x01\x00\x00\x00"
        length = int.from_bytes(stream[at + 8 : at + 16], "little")
        found.append(stream[at + FRAME_HEADER : at + FRAME_HEADER + length])
        assert len(found[-1]) == length
        at += FRAME_HEADER + length
    return found


@dataclass(frozen=True)
class Run:
    """What the parties returned and what their counters say; (server, client) where both have one."""

    server: Any
    client: Any
    payload: tuple[int, int]
    frames: tuple[int, int]
    rounds: int
    dealt: tuple[int, int]
    sent: tuple[list[bytes], list[bytes]]

    @property
    def total(self) -> Array:
        """The sum of the shares."""
        result: Array = self.server + self.client
        return result


class Pair:
    """Two loaded and fed parties. `seeds`: server, client, weights."""

    def __init__(
        self,
        ring: int,
        specs: Sequence[dict[str, Any]],
        weights: Sequence[Array] = (),
        seeds: Sequence[bytes] | None = None,
        recorded: bool = False,
        feed: bool = True,
        threads: int = 1,
    ) -> None:
        self.ring = ring
        self.requests = [mpc.Request(**spec) for spec in specs]
        self.seeds = list(seeds) if seeds is not None else [mpc.random_block() for _ in range(3)]
        self.dealer = mpc.Dealer(ring, self.requests, *self.seeds, threads=threads)
        self.pipes = (Pipe(), Pipe())
        if recorded:
            forth, back = self.pipes
            self.channels = (
                mpc.callback_channel(Transport(forth, back), TIMEOUT_S),
                mpc.callback_channel(Transport(back, forth), TIMEOUT_S),
            )
        else:
            self.channels = mpc.channel_pair(TIMEOUT_S)
        self.server = mpc.Party("server", ring, self.channels[0], threads)
        self.client = mpc.Party("client", ring, self.channels[1], threads)
        masked = [
            w - mpc.weight_mask(ring, self.seeds[2], layer, w.size).reshape(w.shape) for layer, w in enumerate(weights)
        ]
        self.server.load(self.requests, self.seeds[0], list(weights))
        self.client.load(self.requests, self.seeds[1], masked)
        self.dealt = [0, 0]
        if feed:
            for index in range(len(self.requests)):
                for party, (role, material) in enumerate(
                    zip((self.server, self.client), self.dealer.deal(index), strict=True)
                ):
                    self.dealt[party] += len(material)
                    role.feed(index, material)

    def run(self, server: Protocol, client: Protocol) -> Run:
        """Runs each party's function on its own thread; the first exception is raised here."""
        results: list[Any] = [None, None]
        errors: list[BaseException] = []

        def work(index: int, protocol: Protocol, party: Any) -> None:
            try:
                results[index] = protocol(party)
            except BaseException as error:  # handed to the caller's thread
                errors.append(error)
                self.channels[index].close()

        thread = threading.Thread(target=work, args=(0, server, self.server), daemon=True)
        thread.start()
        work(1, client, self.client)
        thread.join(2 * TIMEOUT_S)
        if errors:
            raise errors[0]
        a, b = self.channels
        assert (a.bytes_sent, b.bytes_sent) == (b.bytes_received, a.bytes_received)
        assert self.server.rounds == self.client.rounds
        frames = (a.frames_sent, b.frames_sent)
        return Run(
            results[0],
            results[1],
            (a.bytes_sent - FRAME_HEADER * frames[0], b.bytes_sent - FRAME_HEADER * frames[1]),
            frames,
            self.server.rounds,
            (self.dealt[0], self.dealt[1]),
            (messages(bytes(self.pipes[0].bytes)), messages(bytes(self.pipes[1].bytes))),
        )


def finish(party: Any, task: int) -> Array:
    """Steps until the task is done."""
    while not party.done(task):
        assert party.step()
    result: Array = party.result(task)
    return result


def call(name: str, shares: Sequence[Array], *rest: Any, request: int = 0) -> Protocol:
    """The party function that runs one protocol on this party's shares."""

    def protocol(party: Any) -> Array:
        first = [] if name == "reveal" else [request]
        return finish(party, getattr(party, name)(*first, *shares, *rest))

    return protocol


def run_protocol(
    name: str,
    ring: int,
    specs: Sequence[dict[str, Any]],
    shares: Sequence[Shares],
    *rest: Any,
    **options: Any,
) -> Run:
    """One protocol on request 0 and up, both parties with the same public arguments."""
    pair = Pair(ring, specs, **options)
    return pair.run(
        call(name, [s.server.reshape(-1) for s in shares], *rest),
        call(name, [s.client.reshape(-1) for s in shares], *rest),
    )
