"""Square, multiply and x^2 mod the ring: exact, with the closed formulas' costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.two_parties import Array, Pair, finish, ring_elements, run_protocol, share, uniform

RINGS = [32, 64]
SIZES = [1, 63, 64, 1000]


def sample(rng: np.random.Generator, ring: int, n: int) -> Array:
    """Ring elements that wrap and the edges: zero, one unit, the ends."""
    edges = np.array(
        [0, 1, -1, (1 << (ring - 1)) - 1, -(1 << (ring - 1)), 1 << (ring // 2), -(1 << (ring // 2))], np.int64
    )
    rest = uniform(rng, n, ring).astype(np.uint64).view(np.int64)
    rest[: len(edges)] = edges[:n]
    return rest


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_square(ring: int, n: int) -> None:
    rng = np.random.default_rng(n)
    x = sample(rng, ring, n)
    run = run_protocol("square", ring, [{"kind": "cross", "n": n}], [share(rng, x, ring)])
    np.testing.assert_array_equal(run.total, ring_elements(x, ring) ** 2)
    assert run.payload == (n * ring // 8, n * ring // 8)
    assert run.rounds == 1
    assert run.dealt == (0, n * ring // 8)


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_multiply(ring: int, n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = sample(rng, ring, n), sample(rng, ring, n)[::-1].copy()
    run = run_protocol("multiply", ring, [{"kind": "cross", "n": n}] * 2, [share(rng, x, ring), share(rng, y, ring)])
    np.testing.assert_array_equal(run.total, ring_elements(x, ring) * ring_elements(y, ring))
    assert run.payload == (2 * n * ring // 8, 2 * n * ring // 8)
    assert run.rounds == 1
    assert run.dealt == (0, 2 * n * ring // 8)


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize(("batch", "channels", "inner"), [(1, 1, 1), (2, 3, 5), (3, 64, 1), (1, 4, 300)])
def test_x2_with_the_servers_coefficients(ring: int, batch: int, channels: int, inner: int) -> None:
    rng = np.random.default_rng(ring)
    n = batch * channels * inner
    y = share(rng, sample(rng, ring, n), ring)
    c2, c1, c0 = (uniform(rng, channels, ring) for _ in range(3))
    conv = {"batch": batch, "in_channels": channels, "out_channels": channels, "groups": channels, "in": [1, 1, inner]}
    specs: list[dict[str, Any]] = [
        {"kind": "cross", "n": n},
        {"kind": "mask", "n": n},
        {"kind": "linear", "n": n, "conv": conv, "layer": 0, "masks": [1]},
    ]
    pair = Pair(ring, specs, weights=[c2])
    run = pair.run(
        lambda p: finish(p, p.x2(0, y.server, [c2, c1, c0], channels, inner)),
        lambda p: finish(p, p.x2(0, y.client, None, channels, inner)),
    )
    value = (y.server + y.client).reshape(batch, channels, inner)
    a, b, c = (v.reshape(channels, 1) for v in (c2, c1, c0))
    np.testing.assert_array_equal(run.total, (a * value * value + b * value + c).reshape(-1))
    assert run.payload == (n * ring // 8, 2 * n * ring // 8)
    assert run.rounds == 1
    assert run.dealt == (0, 2 * n * ring // 8)


@pytest.mark.parametrize("ring", RINGS)
def test_a_million_products(ring: int) -> None:
    rng = np.random.default_rng(1)
    n = 1 << 20
    x, y = sample(rng, ring, n), sample(rng, ring, n)
    run = run_protocol("multiply", ring, [{"kind": "cross", "n": n}] * 2, [share(rng, x, ring), share(rng, y, ring)])
    assert np.array_equal(run.total, ring_elements(x, ring) * ring_elements(y, ring))
