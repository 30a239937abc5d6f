"""A protocol played by two parties of the engine, for the benches of the RTL twins: inputs, results, correlations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.hls.record import Correlation, Half, Tap, expand, run_pair

__all__ = ["Array", "N", "correlation", "played", "shares", "uniform"]

N = 4096
Array = npt.NDArray[Any]


def uniform(seed: int, ring: int, n: int = N) -> Array:
    return np.random.default_rng(seed).integers(0, 2**ring - 1, n, np.dtype(f"uint{ring}"), endpoint=True)


def shares(seed: int, ring: int, bits: int) -> tuple[Array, Array]:
    """Of values |v| < 2^(bits - 1)."""
    values = np.random.default_rng(seed).integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1, N)
    server = uniform(seed + 1, ring)
    return server, values.astype(np.int64).astype(np.uint64).astype(server.dtype) - server


def played(
    ring: int, specs: list[dict[str, Any]], start: Callable[[Any], int], weights: list[Array] | None = None
) -> tuple[Half, Half]:
    """A protocol between two parties of the engine: results in shares[0], messages in messages[0]."""

    def body(party: Any, tap: Tap, half: Half) -> None:
        task = start(party)
        while not party.done(task):
            party.step()
        half.shares[0] = party.result(task)
        half.messages[0] = tap.messages()

    return run_pair(ring, specs, "rtl", weights or [], body)


def correlation(half: Half, specs: list[dict[str, Any]], ring: int, index: int = 0) -> Correlation:
    return expand(specs[index], index, half.server, half.seed, half.dealt[index], ring)
