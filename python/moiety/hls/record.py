"""What the engine really computes: both parties' shares, correlations and messages, for test vectors.

Two parties run on two threads over a link that keeps what was sent. Their seeds come from a label, so the same vectors
are written every time: nothing here is secret, and nothing that is secret may be recorded.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety._core import crypto, mpc
from moiety.private.execute import Inference, weights
from moiety.private.plan import Plan, plan
from moiety.private.program import Program

__all__ = ["Correlation", "Half", "Recording", "expand", "prg", "record", "run_pair", "seed_of", "tile_planes"]

Share = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]
_HEADER = 24
_TIMEOUT_S = 60.0
_OWN, _SHARE, _MASKS, _BETA, _OPERANDS = 0, 1, 2, 3, 8  # components of a request's streams, csrc/mpc/correlation.hpp
TILE_WORDS = 64  # of a tile of the comparison's circuit, csrc/mpc/circuit.hpp


def seed_of(label: str) -> bytes:
    """A seed that everybody can compute."""
    return hashlib.sha256(f"moiety hls vectors: {label}".encode()).digest()[:16]


def prg(seed: bytes, nonce: int, n: int, dtype: npt.DTypeLike) -> Share:
    """The first n elements of a generator's stream."""
    out = np.empty(n * np.dtype(dtype).itemsize, np.uint8)
    crypto.prg_fill(seed, nonce, 0, out)
    return out.view(dtype)


class _Pipe:
    """One direction of the link: a queue of bytes, and every message that went through."""

    def __init__(self) -> None:
        self.ready = threading.Condition()
        self.data = bytearray()
        self.sent = bytearray()
        self.closed = False

    def put(self, data: bytes) -> None:
        with self.ready:
            self.data += data
            self.sent += data
            self.ready.notify_all()

    def take(self, n: int) -> bytes:
        with self.ready:
            self.ready.wait_for(lambda: len(self.data) >= n or self.closed, _TIMEOUT_S)
            found = bytes(self.data[:n])
            del self.data[:n]
            return found

    def close(self) -> None:
        with self.ready:
            self.closed = True
            self.ready.notify_all()


class Tap:
    """A party's end of the link, as `callback_channel` drives it."""

    def __init__(self, out: _Pipe, into: _Pipe) -> None:
        self._out, self._into = out, into

    def exchange(self, data: bytes, n: int) -> bytes:
        if data:
            self._out.put(data)
        return self._into.take(n)

    def close(self) -> None:
        self._out.close()
        self._into.close()

    def messages(self) -> list[bytes]:
        """The payloads sent since the last call, one a hop."""
        found, sent = [], self._out.sent
        while sent:
            length = int.from_bytes(sent[8:16], "little")
            found.append(bytes(sent[_HEADER : _HEADER + length]))
            del sent[: _HEADER + length]
        return found


def _none() -> Words:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True)
class Correlation:
    """One party's half of a request, as `csrc/mpc/correlation.cpp` expands it; members of other kinds are empty."""

    ring: Share = field(default_factory=_none)
    share: Share = field(default_factory=_none)
    bits: Words = field(default_factory=_none)
    masks: Words = field(default_factory=_none)
    products: Words = field(default_factory=_none)
    beta: Share = field(default_factory=_none)
    delta: tuple[Share, ...] = ()
    beta_delta: tuple[Share, ...] = ()


def expand(
    spec: Mapping[str, Any], index: int, server: bool, seed: bytes, dealt: npt.NDArray[np.uint8], ring: int
) -> Correlation:
    """Request `index` of a plan at one party, from its seed and what the dealer sent it."""
    dtype, n = np.dtype(f"uint{ring}"), int(spec["n"])
    words = -(-n // 64)
    at = 0

    def draw(component: int, count: int, kind: npt.DTypeLike = dtype) -> Share:
        return prg(seed, 256 * index + component, count, kind)

    def streamed(bits: int) -> Share:
        nonlocal at
        size = -(-bits // 8)
        out = np.empty(n, dtype)
        crypto.unpack(np.ascontiguousarray(dealt[at : at + n * size]), size, out)
        at += n * size
        return out

    def half(component: int, bits: int) -> Share:
        return draw(component, n) if server else streamed(bits)

    match spec["kind"]:
        case "mask":
            return Correlation() if server else Correlation(ring=draw(_OWN, n))
        case "linear":
            return Correlation(ring=half(_SHARE, ring))
        case "bit_product":
            return Correlation(bits=draw(_OWN, words, np.uint64), share=half(_SHARE, spec["bits"]))
        case "cross":
            return Correlation(ring=draw(_OWN, n), share=half(_SHARE, ring))
        case "circuit":
            positions, *opened = mpc.circuit_planes(spec["bits"])
            operands = list(spec.get("operands", ()))
            beta_bits = max([spec.get("indicator_bits", 0), *operands])
            selection = n * sum(-(-bits // 8) for bits in [beta_bits, *operands])
            count = (mpc.Request(**spec).client_bytes(ring) - selection) // 8
            if server:
                products = draw(_SHARE, count, np.uint64)
            else:
                at = 8 * count
                products = np.ascontiguousarray(dealt[:at]).view(np.uint64)
            return Correlation(
                bits=draw(_OWN, positions * words, np.uint64),
                masks=draw(_MASKS, sum(opened) * words, np.uint64),
                products=products,
                beta=half(_BETA, beta_bits),
                delta=tuple(draw(_OPERANDS + 2 * o, n) for o in range(len(operands))),
                beta_delta=tuple(half(_OPERANDS + 2 * o + 1, bits) for o, bits in enumerate(operands)),
            )
    raise ValueError(f"expected a correlation that a kernel uses, got {spec['kind']!r}")


def tile_planes(section: Words, n: int) -> list[Words]:
    """A section of planes (csrc/mpc/circuit.hpp: tiles of 64 words, plane after plane) of n elements, tile by tile."""
    words = -(-n // 64)
    planes = section.size // words
    cuts = range(0, words, TILE_WORDS)
    return [section[first * planes : min(first + TILE_WORDS, words) * planes] for first in cuts]


@dataclass
class Half:
    """One party's view. `shares`: by tensor (None: nothing); `messages`: by operation, one a hop it spoke in."""

    server: bool
    seed: bytes
    weights: list[Share]
    dealt: list[npt.NDArray[np.uint8]]
    shares: dict[int, Share | None] = field(default_factory=dict)
    messages: dict[int, list[bytes]] = field(default_factory=dict)


def run_pair(
    ring: int,
    specs: Sequence[Mapping[str, Any]],
    label: str,
    layer_weights: Sequence[Share],
    body: Callable[[Any, Tap, Half], None],
) -> tuple[Half, Half]:
    """Runs `body(party, tap, half)` as the server and as the client, whose correlations of `specs` are there."""
    requests = [mpc.Request(**spec) for spec in specs]
    seeds = [seed_of(f"{label}, {role}") for role in ("server", "client", "weights")]
    dealer = mpc.Dealer(ring, requests, seeds[0], seeds[1], seeds[2])
    dealt = [dealer.deal(index) for index in range(len(requests))]
    masked = [w - mpc.weight_mask(ring, seeds[2], layer, w.size) for layer, w in enumerate(layer_weights)]
    pipes = (_Pipe(), _Pipe())
    halves = [
        Half(True, seeds[0], list(layer_weights), [server for server, _ in dealt]),
        Half(False, seeds[1], masked, [client for _, client in dealt]),
    ]
    taps = [Tap(pipes[0], pipes[1]), Tap(pipes[1], pipes[0])]
    errors: list[BaseException] = []

    def run(half: Half, tap: Tap) -> None:
        try:
            channel = mpc.callback_channel(tap, _TIMEOUT_S)
            party = mpc.Party("server" if half.server else "client", ring, channel)
            party.load(requests, half.seed, half.weights)
            for index, material in enumerate(half.dealt):
                party.feed(index, material)
            body(party, tap, half)
        except BaseException as error:
            errors.append(error)
            tap.close()

    threads = [threading.Thread(target=run, args=pair) for pair in zip(halves, taps, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return halves[0], halves[1]


class _Recorder(Inference):
    """Runs one operation after the other, so that every message belongs to one operation."""

    def play(self, x: npt.NDArray[np.float32] | None, tap: Tap, half: Half) -> None:
        self._take(x)
        for index, op in enumerate(self.program.ops):
            if not self._start(index):
                while self._tasks:
                    self._hop()
            last = op.kind == "output"
            value = self._output if last else self._values[op.output]
            half.shares[op.output] = None if value is None else np.ascontiguousarray(value).reshape(-1)
            half.messages[index] = tap.messages()


@dataclass(frozen=True)
class Recording:
    """One inference of `program` on one sample, op by op."""

    program: Program
    plan: Plan
    server: Half
    client: Half

    @property
    def halves(self) -> tuple[Half, Half]:
        return self.server, self.client

    def correlation(self, half: Half, op: int, offset: int = 0) -> Correlation:
        """The party's half of the request that operation `op` uses."""
        index = self.plan.first[op] + offset
        spec = self.plan.specs[index]
        return expand(spec, index, half.server, half.seed, half.dealt[index], self.program.ring)

    def share(self, half: Half, tensor: int) -> Share:
        """The party's share; the server's share of the client's input is zero."""
        value = half.shares[tensor]
        return np.zeros(self.program.tensors[tensor].size, self.program.dtype) if value is None else value


def record(program: Program, x: npt.NDArray[np.float32], label: str) -> Recording:
    """Runs `program` on x (1, *input_shape), comparisons by the circuit.

    Raises ValueError for a program with range checks, whose messages belong to no operation, and for a bad input.
    """
    made = plan(program, 1)
    if made.checks:
        raise ValueError("expected a program without check_range: compile it again without")
    server, client = run_pair(
        program.ring,
        made.specs,
        label,
        weights(program),
        lambda party, tap, half: _Recorder(program if half.server else program.without_weights(), made, party).play(
            None if half.server else x, tap, half
        ),
    )
    return Recording(program, made, server, client)
