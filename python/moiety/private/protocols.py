"""`private.bench`: one protocol on random shares between two real processes, with a third that deals.

    python -m moiety.private.protocols ROLE FD FD        settings: JSON on standard input, counters: on standard output

The parties' shares are random, so the values are too: no protocol's cost depends on them. What an inference would do
before and after (sharing the input, revealing the output) is left out, so the counters are the protocol's own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety import ring as kernels
from moiety._core import mpc

from .stats import Meter, Stats
from .transport import Network

__all__ = ["PROTOCOLS", "bench", "measure"]

Share = npt.NDArray[Any]
Drive = Callable[[int], Share]
CONTROL, MATERIAL = 2, 3


@dataclass(frozen=True)
class _Case:
    """A protocol: its correlations, the sizes of its shared inputs and server-held weights, and how it runs."""

    requests: list[dict[str, Any]]
    inputs: list[int]
    run: Callable[[Any, Drive, list[Share]], Share]
    weights: tuple[int, ...] = ()


def _compare(settings: dict[str, Any], n: int, bits: int) -> dict[str, Any]:
    return {"kind": settings["comparison"], "n": n, "bits": bits, "operands": [bits], "self_operand": True}


def _linear(conv: dict[str, Any], inputs: int, outputs: int, weights: int, shift: int) -> _Case:
    """Open, multiply by the server's weights, truncate locally to the bits that a comparison needs."""
    requests = [
        {"kind": "mask", "n": inputs},
        {"kind": "linear", "n": outputs, "conv": conv, "layer": 0, "masks": [0]},
    ]

    def run(party: Any, drive: Drive, shares: list[Share]) -> Share:
        opened = drive(party.open(0, shares[0]))
        y: Share = party.linear(1, opened if party.server else None)
        return kernels.shift_right_logical(y, shift)

    return _Case(requests, [inputs], run, (weights,))


def _case(name: str, s: dict[str, Any]) -> _Case:
    ring, fraction, n, bits = s["ring"], s["fraction_bits"], s["n"], s["bits"]
    truncation = {"kind": "bit_product", "n": n, "bits": fraction}
    match name:
        case "relu":
            return _Case([_compare(s, n, bits)], [n], lambda p, drive, x: drive(p.relu(0, x[0])))
        case "truncate":
            return _Case([truncation], [n], lambda p, drive, x: drive(p.truncate(0, x[0], fraction)))
        case "extend":
            request = {"kind": "bit_product", "n": n, "bits": ring - bits}
            return _Case([request], [n], lambda p, drive, x: drive(p.extend(0, x[0], bits, False)))
        case "square":
            return _Case(
                [{"kind": "cross", "n": n}, truncation],
                [n],
                lambda p, drive, x: drive(p.truncate(1, drive(p.square(0, x[0])), fraction)),
            )
        case "mul":
            cross = {"kind": "cross", "n": n}
            return _Case(
                [cross, cross, truncation],
                [n, n],
                lambda p, drive, x: drive(p.truncate(2, drive(p.multiply(0, x[0], x[1])), fraction)),
            )
        case "matmul":
            rows, inner, columns = s["shape"]
            conv = {"batch": rows, "in_channels": inner, "out_channels": columns}
            return _linear(conv, rows * inner, rows * columns, inner * columns, fraction)
        case "conv":
            channels, filters, size, kernel = s["shape"]
            conv = {
                "in_channels": channels,
                "out_channels": filters,
                "in": [1, size, size],
                "kernel": [1, kernel, kernel],
                "padding": [0, kernel // 2, kernel // 2],
            }
            out = size + 2 * (kernel // 2) - kernel + 1
            return _linear(conv, channels * size**2, filters * out**2, filters * channels * kernel**2, fraction)
        case "maxpool":
            channels, size, kernel, stride = s["shape"]
            windows = (size - kernel) // stride + 1
            axes = [(size, kernel, stride, 0, 1, windows)] * 2
            requests = [_compare(s, count, bits + 1) for count in mpc.pool_comparisons(channels, axes)]
            return _Case(requests, [channels * size**2], lambda p, drive, x: drive(p.maxpool(0, x[0], channels, axes)))
    raise ValueError(f"expected one of {', '.join(PROTOCOLS)}, got {name!r}")


PROTOCOLS = ("relu", "mul", "square", "matmul", "conv", "maxpool", "truncate", "extend")
SHAPES: dict[str, tuple[int, ...]] = {"matmul": (512, 512, 512), "conv": (64, 64, 56, 3), "maxpool": (64, 56, 2, 2)}


def measure(
    name: str,
    *,
    n: int = 1 << 16,
    shape: tuple[int, ...] | None = None,
    comparison: str = "circuit",
    bits: int = 64,
    ring: int = 64,
    fraction_bits: int = 16,
    network: str | Network | None = None,
    threads: int = 1,
    repeat: int = 1,
    timeout: float = 120.0,
) -> Stats:
    """Counters of one protocol, as `run_local(...).stats`; of `repeat` runs the one with the least CPU time.

    `name` is one of `PROTOCOLS`; `n` elements, or `shape`: matmul (rows, inner, columns), conv (channels, filters,
    size, kernel; square, same padding), maxpool (channels, size, kernel, stride). `mul` and `square` include the exact
    truncation; `matmul` and `conv` are server-held weights with a local truncation. `bits` is the compared width (max
    pooling: of the values).
    """
    settings: dict[str, Any] = {
        "name": name,
        "n": n,
        "shape": list(shape or SHAPES.get(name, ())),
        "comparison": comparison,
        "bits": min(bits, ring),
        "ring": ring,
        "fraction_bits": fraction_bits,
        "threads": threads,
        "timeout": timeout,
        "rtt_ms": Network.of(network).rtt_ms,
        "mbit": Network.of(network).mbit,
    }
    for request in _case(name, settings).requests:
        mpc.Request(**request)
    if repeat < 1:
        raise ValueError(f"expected at least one run, got {repeat}")
    runs = [_run(settings) for _ in range(repeat)]
    return min(runs, key=lambda s: max(s.client["online"].cpu_seconds, s.server["online"].cpu_seconds))


def bench(name: str, **settings: Any) -> dict[str, Any]:
    """`measure` as the dictionary that `run_local(...).stats.to_dict()` gives."""
    return measure(name, **settings).to_dict()


def _run(settings: dict[str, Any]) -> Stats:
    pairs = {"parties": socket.socketpair(), "server": socket.socketpair(), "client": socket.socketpair()}
    ends = {
        "server": (pairs["parties"][0], pairs["server"][0]),
        "client": (pairs["parties"][1], pairs["client"][0]),
        "dealer": (pairs["server"][1], pairs["client"][1]),
    }
    children: dict[str, subprocess.Popen[str]] = {}
    try:
        for role, sockets in ends.items():
            handles = [end.fileno() for end in sockets]
            children[role] = subprocess.Popen(
                [sys.executable, "-m", "moiety.private.protocols", role, *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        for sockets in ends.values():
            for end in sockets:
                end.close()
        phases: dict[str, Any] = {}
        for child in children.values():
            assert child.stdin is not None
            child.stdin.write(json.dumps(settings))
            child.stdin.close()
            child.stdin = None
        for role, child in children.items():
            output, errors = child.communicate(timeout=4 * settings["timeout"])
            if child.returncode != 0:
                raise RuntimeError(f"the {role} ended with code {child.returncode}: {errors.strip().splitlines()[-1:]}")
            phases[role] = json.loads(output)
        return Stats.of(phases["client"], phases["server"], phases["dealer"])
    finally:
        for child in children.values():
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


class _Link:
    """A channel as the meter reads it."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.hops = 0

    @property
    def bytes_sent(self) -> int:
        return int(self.channel.bytes_sent)


def _deal(settings: dict[str, Any], case: _Case, channels: list[Any], meter: Meter) -> None:
    with meter.phase("offline"):
        server_seed, client_seed, weight_seed = (mpc.random_block() for _ in range(3))
        channels[0].send(CONTROL, server_seed + weight_seed)
        channels[1].send(CONTROL, client_seed)
        requests = [mpc.Request(**request) for request in case.requests]
        dealer = mpc.Dealer(settings["ring"], requests, server_seed, client_seed, weight_seed, settings["threads"])
        for index in range(len(requests)):
            for channel, material in zip(channels, dealer.deal(index), strict=True):
                if material.size:
                    channel.send(MATERIAL, material)


def _party(role: str, settings: dict[str, Any], case: _Case, channels: list[Any], meter: Meter) -> None:
    ring, server = settings["ring"], role == "server"
    dtype = np.dtype(f"uint{ring}")
    peer, dealer = channels
    random = np.random.default_rng(0)
    seed = bytes(dealer.recv()[1])
    shares = [random.integers(0, 1 << 64, n, np.uint64).astype(dtype) for n in case.inputs]
    with meter.phase("setup"):
        weights = []
        for layer, size in enumerate(case.weights):
            if server:
                weight = random.integers(0, 1 << 20, size, np.uint64).astype(dtype)
                peer.send(MATERIAL, weight - mpc.weight_mask(ring, seed[16:], layer, size))
                weights.append(weight)
            else:
                weights.append(peer.recv()[1].view(dtype))
    party = mpc.Party(role, ring, peer, settings["threads"])
    requests = [mpc.Request(**request) for request in case.requests]
    with meter.phase("offline"):
        party.load(requests, seed[:16], weights)
        for index, request in enumerate(requests):
            size = request.server_bytes(ring) if server else request.client_bytes(ring)
            party.feed(index, dealer.recv()[1] if size else b"")
        peer.send(CONTROL, b"ready")
        peer.recv()

    def drive(task: int) -> Share:
        while not party.done(task):
            party.step()
        result: Share = party.result(task)
        return result

    with meter.phase("online") as phase:
        case.run(party, drive, shares)
    phase.rounds = party.rounds


def main() -> int:
    role, *handles = sys.argv[1:]
    settings = json.load(sys.stdin)
    case = _case(settings["name"], settings)
    shape = (settings["timeout"], settings["rtt_ms"], settings["mbit"])
    channels = [mpc.socket_channel(int(handle), *shape) for handle in handles]
    for handle in handles:
        socket.socket(fileno=int(handle)).close()
    mpc.retain_memory()
    meter = Meter(*(_Link(channel) for channel in channels))
    if role == "dealer":
        _deal(settings, case, channels, meter)
    else:
        _party(role, settings, case, channels, meter)
    print(json.dumps({name: asdict(phase) for name, phase in meter.phases.items()}))
    for channel in channels:
        channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
