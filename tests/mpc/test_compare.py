"""ReLU, Hardtanh and the indicator in both comparison protocols: exact for every width, costs as planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from moiety import _core
from moiety._core import mpc
from mpc.formulas import Cost, comparison, dealt_comparison, prefix
from mpc.two_parties import Array, Pair, Run, finish, ring_elements, run_protocol, share, signed

KINDS = ["circuit", "dcf"]
RINGS = [32, 64]
SIZES = [1, 63, 64, 65, 193]
LEVELS = ["scalar", "avx2", "avx512"]


@pytest.fixture
def restored_isa() -> Iterator[str]:
    """The widest level of this process, which is active again afterwards."""
    level = _core.isa()
    yield level
    _core.set_isa(level)


def spec(kind: str, n: int, k: int, **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "n": n, "bits": k, "operands": [k], "self_operand": True} | rest


def values(rng: np.random.Generator, k: int, n: int) -> Array:
    """|y| < 2^(k-1): zero, one unit, the largest magnitudes and every power of two, either sign, then uniform ones."""
    limit = (1 << (k - 1)) - 1
    edges = [0, -1, 1, limit, -limit, -limit - 1]
    for j in range(k - 1):
        edges += [1 << j, -(1 << j), (1 << j) - 1, 1 - (1 << j)]
    found = np.array(edges[:n], np.int64)
    return np.concatenate([found, rng.integers(-limit - 1, limit, size=n - len(found), dtype=np.int64, endpoint=True)])


def assert_cost(run: Run, expected: Cost) -> None:
    assert run.payload == (expected.server, expected.client)
    assert run.rounds == expected.rounds
    assert run.frames == (expected.rounds, expected.rounds)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_relu_of_every_width(kind: str, ring: int) -> None:
    rng = np.random.default_rng(ring)
    for k in range(2, ring + 1):
        for n in (SIZES[k % len(SIZES)], 4 * k + 2):
            y = values(rng, k, n)
            run = run_protocol("relu", ring, [spec(kind, n, k)], [share(rng, y, ring, bits=k)])
            np.testing.assert_array_equal(signed(run.total, k), np.maximum(y, 0), err_msg=f"k = {k}, n = {n}")
            assert_cost(run, comparison(kind, n, k, [k]))
            assert run.dealt == dealt_comparison(kind, n, k, [k])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_every_pair_of_small_shares(kind: str, ring: int) -> None:
    """All 2^(2k) pairs of shares mod 2^k for k up to 6: carries of every pattern."""
    for k in range(2, 7):
        a, b = (m.reshape(-1).astype(f"uint{ring}") for m in np.meshgrid(np.arange(1 << k), np.arange(1 << k)))
        pair = Pair(ring, [spec(kind, a.size, k)])
        run = pair.run(lambda p, x=a: finish(p, p.relu(0, x)), lambda p, x=b: finish(p, p.relu(0, x)))
        np.testing.assert_array_equal(signed(run.total, k), np.maximum(signed(a + b, k), 0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_long_carry_chains(kind: str, ring: int) -> None:
    """Shares whose carry runs through every position, or stops at one."""
    for k in (2, 5, 6, 18, 22, ring):
        units = np.array([1 << j for j in range(k)], np.uint64)
        low = (units - np.uint64(1)).astype(f"uint{ring}")
        server = np.concatenate([low, low, units.astype(low.dtype), ~low])
        client = np.concatenate([np.ones_like(low), low, ~low, low])
        pair = Pair(ring, [spec(kind, server.size, k)])
        run = pair.run(lambda p, x=server: finish(p, p.relu(0, x)), lambda p, x=client: finish(p, p.relu(0, x)))
        np.testing.assert_array_equal(signed(run.total, k), np.maximum(signed(server + client, k), 0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_hardtanh(kind: str, ring: int) -> None:
    rng = np.random.default_rng(5)
    for k in (4, 9, 16, 22, ring - 1, ring):
        limit = (1 << (k - 2)) - 1
        for low, high in ((0, limit), (-limit, limit), (-limit // 2, limit // 3), (-1, 0)):
            n = SIZES[k % len(SIZES)]
            y = values(rng, k - 1, n)
            y[: min(n, 6)] = np.array([low, high, low + 1, low - 1, high + 1, high - 1])[: min(n, 6)]
            run = run_protocol("hardtanh", ring, [spec(kind, 2 * n, k)], [share(rng, y, ring, bits=k)], low, high)
            np.testing.assert_array_equal(signed(run.total, k), np.clip(y, low, high))
            assert_cost(run, comparison(kind, 2 * n, k, [k]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_piecewise(kind: str, ring: int) -> None:
    """offset + sum slopes relu(y - thresholds) mod 2^k, where the slopes' sum on its way may leave k bits."""
    rng = np.random.default_rng(9)
    for k, pieces in ((6, 1), (12, 4), (16, 7), (23, 2), (ring, 3)):
        n = SIZES[k % len(SIZES)]
        y = values(rng, k - 1, n)
        thresholds = sorted(int(t) for t in values(rng, k - 1, pieces))
        y[: min(n, pieces)] = thresholds[: min(n, pieces)]
        slopes = [int(s) for s in rng.integers(-90, 90, pieces)]
        request = spec(kind, pieces * n, k)
        run = run_protocol("piecewise", ring, [request], [share(rng, y, ring, bits=k)], thresholds, slopes, -5)
        exact = [-5 + sum(s * max(int(v) - t, 0) for s, t in zip(slopes, thresholds, strict=True)) for v in y]
        half = 1 << (k - 1)
        wrapped = np.array([(v + half) % (1 << k) - half for v in exact])
        np.testing.assert_array_equal(signed(run.total, k), wrapped)
        assert_cost(run, comparison(kind, pieces * n, k, [k]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_indicator(kind: str, ring: int) -> None:
    rng = np.random.default_rng(6)
    for k in (2, 7, 22, ring):
        for flag_bits in (1, 8, 13, 32):
            n = SIZES[(k + flag_bits) % len(SIZES)]
            y = values(rng, k, n)
            request = spec(kind, n, k, operands=[], self_operand=False, indicator_bits=flag_bits)
            run = run_protocol("indicator", ring, [request], [share(rng, y, ring, bits=k)])
            np.testing.assert_array_equal(run.total & np.array((1 << flag_bits) - 1, run.total.dtype), y >= 0)
            assert_cost(run, comparison(kind, n, k, [], self_operand=False))
            assert run.dealt == dealt_comparison(kind, n, k, [], flag_bits)


def test_circuit_planes_are_the_closed_formula() -> None:
    for k in range(2, 65):
        assert mpc.circuit_planes(k) == [k - 1, *prefix(k).opened]


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_tiles_or_instruction_sets(kind: str, restored_isa: str) -> None:
    """More than one tile of 4096 elements, ragged; equal seeds give equal shares and messages on every level."""
    seeds = [bytes(range(16 * i, 16 * i + 16)) for i in range(3)]
    for ring, k, n in ((64, 24, 4096 * 2 + 700), (32, 17, 4097)):
        rng = np.random.default_rng(8)
        y = values(rng, k, n)
        x = share(rng, y, ring, bits=k)
        seen = []
        for level in LEVELS[: LEVELS.index(restored_isa) + 1]:
            _core.set_isa(level)
            run = run_protocol("relu", ring, [spec(kind, n, k)], [x], seeds=seeds, recorded=True)
            np.testing.assert_array_equal(signed(run.total, k), np.maximum(y, 0))
            seen.append((run.server.tobytes(), run.client.tobytes(), run.sent))
        assert all(one == seen[0] for one in seen)


@pytest.mark.slow
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_relu_of_millions_of_elements(kind: str, ring: int) -> None:
    """Together with the truncations below more than 10^7 elements, none of them wrong."""
    rng = np.random.default_rng(9)
    n = 1 << 20 if kind == "circuit" else 1 << 18
    for k in (22, ring):
        y = rng.integers(-(1 << (k - 1)), (1 << (k - 1)) - 1, size=n, dtype=np.int64, endpoint=True)
        y >>= rng.integers(0, k, size=n)
        run = run_protocol("relu", ring, [spec(kind, n, k)], [share(rng, y, ring, bits=k)])
        assert np.array_equal(signed(run.total, k), np.maximum(y, 0))


@pytest.mark.slow
@pytest.mark.parametrize("ring", RINGS)
def test_truncation_and_extension_of_millions_of_elements(ring: int) -> None:
    """Magnitudes up to the largest that is allowed: where shares wrap all the time, no error is gross."""
    rng = np.random.default_rng(10)
    n = 1 << 21
    for shift in (13, ring // 2):
        y = rng.integers(1 - (1 << (ring - 2)), 1 << (ring - 2), size=n, dtype=np.int64)
        y >>= rng.integers(0, ring, size=n)
        x = share(rng, y, ring)
        run = run_protocol("truncate", ring, [{"kind": "bit_product", "n": n, "bits": shift}], [x], shift)
        assert int((~np.isin(signed(run.total, ring) - (y >> shift), (0, 1))).sum()) == 0
    k = 22
    v = rng.integers(0, 1 << (k - 1), size=n, dtype=np.int64)
    x = share(rng, v, ring, bits=k)
    run = run_protocol("extend", ring, [{"kind": "bit_product", "n": n, "bits": ring - k}], [x], k, False)
    assert np.array_equal(run.total, ring_elements(v, ring))


def test_branches_that_are_under_way_together_share_their_hops() -> None:
    """Two comparisons and an extension, started together: one frame a hop, as many hops as the longest needs."""
    rng = np.random.default_rng(11)
    ring, n, m = 64, 300, 70
    y, z = values(rng, 24, n), values(rng, 6, m)
    a, b = share(rng, y, ring, bits=24), share(rng, z, ring, bits=6)
    c = share(rng, np.abs(y), ring, bits=24)
    pair = Pair(ring, [spec("circuit", n, 24), spec("dcf", m, 6), {"kind": "bit_product", "n": n, "bits": ring - 24}])

    def both(index: int) -> Any:
        def protocol(party: Any) -> list[Array]:
            tasks = [party.relu(0, a[index]), party.relu(1, b[index]), party.extend(2, c[index], 24, False)]
            while party.step():
                pass
            stats = [party.stats(task) for task in tasks]
            assert [s[2] for s in stats] == [4, 2, 1]
            return [party.result(task) for task in tasks]

        return protocol

    run = pair.run(both(0), both(1))
    np.testing.assert_array_equal(signed(run.server[0] + run.client[0], 24), np.maximum(y, 0))
    np.testing.assert_array_equal(signed(run.server[1] + run.client[1], 6), np.maximum(z, 0))
    np.testing.assert_array_equal(run.server[2] + run.client[2], ring_elements(np.abs(y), ring))
    costs = [comparison("circuit", n, 24, [24]), comparison("dcf", m, 6, [6]), Cost(8 * 5, 8 * 5, 1)]
    assert_cost(run, Cost(sum(x.server for x in costs), sum(x.client for x in costs), 4))


@pytest.mark.parametrize("kind", KINDS)
def test_several_threads_change_no_byte(kind: str) -> None:
    ring, n, k = 64, 3 * (1 << 14) + 4097, 12
    rng = np.random.default_rng(12)
    y = values(rng, k, n)
    x = share(rng, y, ring, bits=k)
    seeds = [bytes([i]) * 16 for i in range(3)]
    runs = [
        run_protocol("relu", ring, [spec(kind, n, k)], [x], seeds=seeds, recorded=True, threads=threads)
        for threads in (1, 3)
    ]
    for run in runs:
        np.testing.assert_array_equal(signed(run.total, k), np.maximum(y, 0))
    assert runs[0].sent == runs[1].sent
    requests = [mpc.Request(**spec(kind, n, k))]
    dealt = [mpc.Dealer(ring, requests, *seeds, threads=threads).deal(0) for threads in (1, 3)]
    for one, other in zip(*dealt, strict=True):
        np.testing.assert_array_equal(one, other)
