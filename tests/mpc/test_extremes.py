"""Sparse products of shared values and tensors, and the extremes of every row, against numpy; costs in closed form.

The formulas are written down from docs/engine.md, section 3, and from no code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import mpc
from mpc.formulas import Cost, comparison, dealt_comparison, plane, total
from mpc.two_parties import Array, Pair, finish, ring_elements, run_protocol, share, uniform

RINGS = [32, 64]
KINDS = ["circuit", "dcf"]
Lists = list[list[int]]


def pattern(rows: Lists, columns: int) -> dict[str, Any]:
    indptr = np.cumsum([0, *map(len, rows)]).tolist()
    return {"indptr": indptr, "indices": [i for row in rows for i in row], "columns": columns}


def dense(rows: Lists, values: Array, columns: int) -> Array:
    """The matrix, duplicate entries added up, mod the type's ring."""
    matrix = np.zeros((len(rows), columns), values.dtype)
    at = 0
    for r, row in enumerate(rows):
        for c in row:
            matrix[r, c : c + 1] += values[at]  # an array wraps without a warning
            at += 1
    return matrix


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (1, 7), (3, 16)])
@pytest.mark.parametrize("rows", [[[0]], [[2, 2, 0], [], [1, 4, 3, 0]], [[i % 5, (3 * i + 1) % 5] for i in range(300)]])
def test_sparse_multiply(ring: int, batch: int, channels: int, rows: Lists) -> None:
    rng = np.random.default_rng(ring + channels)
    columns, entries = 5, sum(map(len, rows))
    values, x = uniform(rng, (batch, entries), ring), uniform(rng, (batch, columns, channels), ring)
    n = batch * len(rows) * channels
    spec = {"kind": "sparse", "n": n, "batch": batch, **pattern(rows, columns)}
    run = run_protocol("sparse_multiply", ring, [spec], [share(rng, a.view(f"int{ring}"), ring) for a in (values, x)])
    expected = np.stack([dense(rows, v, columns) @ y for v, y in zip(values, x, strict=True)])
    np.testing.assert_array_equal(run.total.reshape(expected.shape), expected)
    each = batch * (entries + columns * channels) * ring // 8
    assert run.payload == (each, each)
    assert run.rounds == 1
    assert run.dealt == (0, n * ring // 8)


def winner(values: list[int], slack: int) -> int:
    """Which of them comes out of a tournament in which the left of two wins unless the right is larger by more."""
    alive = list(range(len(values)))
    while len(alive) > 1:
        pairs = [alive[i : i + 2] for i in range(0, len(alive), 2)]
        alive = [p[-1] if values[p[-1]] - values[p[0]] > slack else p[0] for p in pairs]
    return alive[0]


def extremes(values: Array, rows: Lists, slack: int) -> Array:
    """(2, entries): the maximum and the minimum of every row, none where they differ by no more than the slack."""
    sides = np.zeros((2, sum(map(len, rows))), np.int64)
    at = 0
    for row in rows:
        held = values[row]
        top, bottom = winner(held.tolist(), slack), winner((-held).tolist(), slack)
        if slack == 0:
            assert (top, bottom) == (held.argmax(), held.argmin())
        if held[top] - held[bottom] > slack:
            sides[0, at + top] = sides[1, at + bottom] = 1
        at += len(row)
    return sides


def matches(sizes: list[int]) -> list[int]:
    """Pairs at each level: a row of s entries has s // 2, and (s + 1) // 2 go on."""
    found = []
    while max(sizes) > 1:
        found.append(sum(s // 2 for s in sizes))
        sizes = [(s + 1) // 2 for s in sizes]
    return found


def specs_of(kind: str, ring: int, bits: int, rows: Lists, batch: int) -> list[dict[str, Any]]:
    pairs = matches([len(row) for row in rows])
    one = {"kind": kind, "bits": bits, "operands": [bits], "self_operand": True, "indicator_bits": ring}
    up = [{**one, "n": 2 * p * batch} for p in pairs]
    differ = {"kind": kind, "bits": bits, "n": len(rows) * batch, "indicator_bits": ring}
    return [*up, differ, *({"kind": "cross", "n": 2 * p * batch} for p in pairs[::-1] for _ in range(2))]


def cost_of(kind: str, ring: int, bits: int, rows: Lists, batch: int) -> tuple[Cost, int]:
    """What the parties send, and the dealer to the client."""
    pairs = matches([len(row) for row in rows])
    up = [comparison(kind, 2 * p * batch, bits, [bits]) for p in pairs]
    differ = comparison(kind, len(rows) * batch, bits, [], self_operand=False)
    products = [Cost(*[2 * 2 * p * batch * ring // 8] * 2, 1) for p in pairs]
    dealt = sum(dealt_comparison(kind, 2 * p * batch, bits, [bits], ring)[1] + 4 * p * batch * ring // 8 for p in pairs)
    return total([*up, differ, *products]), dealt + dealt_comparison(kind, len(rows) * batch, bits, [], ring)[1]


def check_extremes(kind: str, ring: int, bits: int, rows: Lists, values: Array, slack: int = 0) -> None:
    rng = np.random.default_rng(5)
    batch, columns = values.shape
    held = pattern(rows, columns)
    arrays = (np.array(held["indptr"]), np.array(held["indices"], np.int32), columns)
    assert mpc.extremes_pairs(*arrays) == matches([len(row) for row in rows])
    specs = specs_of(kind, ring, bits, rows, batch)
    run = run_protocol("extremes", ring, specs, [share(rng, values, ring, bits=bits)], *arrays, slack)
    expected = np.stack([extremes(v, rows, slack) for v in values])
    np.testing.assert_array_equal(run.total.reshape(expected.shape), ring_elements(expected, ring))
    cost, dealt = cost_of(kind, ring, bits, rows, batch)
    assert run.payload == (cost.server, cost.client)
    assert run.rounds == cost.rounds
    assert run.dealt[1] == dealt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", RINGS)
def test_extremes(kind: str, ring: int) -> None:
    """Rows of all sizes, overlapping; values whose differences are the largest that fit, and ties."""
    rng = np.random.default_rng(3)
    columns, bits = 40, 21
    rows = [rng.permutation(columns)[:size].tolist() for size in (2, 3, 4, 5, 7, 8, 9, 17, 33, 2, 2)]
    limit = (1 << (bits - 2)) - 1
    values = rng.integers(-limit, limit, (3, columns), endpoint=True)
    values[0, rows[3]] = 5  # a row of equal values has no extremes
    values[0, rows[0]] = [limit, -limit]
    values[1] = rng.integers(0, 2, columns)  # many ties
    values[2] = 0
    check_extremes(kind, ring, bits, rows, values)
    check_extremes(kind, ring, bits, rows, values // 16, slack=limit // 40)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_extremes_of_any_hypergraph(data: st.DataObject) -> None:
    columns = data.draw(st.integers(2, 9))
    nodes = st.lists(st.integers(0, columns - 1), min_size=2, max_size=columns, unique=True)
    rows = data.draw(st.lists(nodes, min_size=1, max_size=6))
    values = data.draw(st.lists(st.integers(-4, 4), min_size=columns, max_size=columns))
    slack = data.draw(st.integers(0, 2))
    check_extremes(data.draw(st.sampled_from(KINDS)), 64, 6, rows, np.array([values]), slack)


@pytest.mark.parametrize("n", [1, 64, 200])
def test_disclose(n: int) -> None:
    rng = np.random.default_rng(n)
    bits = rng.integers(0, 2, n)
    shares = share(rng, bits, 64)
    pair = Pair(64, [])
    run = pair.run(
        lambda p: finish(p, p.disclose(shares.server)),
        lambda p: finish(p, p.disclose(shares.client)),
    )
    for found in (run.server, run.client):
        np.testing.assert_array_equal(found, bits)
    assert run.payload == (plane(n), plane(n))
    assert run.rounds == 1


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "sparse needs a pattern"),
    (pattern([[0, 5]], 5), "of 5 columns has an entry in column 5"),
    (pattern([[0], [1]], 5), "of 3 elements cannot have 1 samples of 2 rows"),
    ({"indptr": [0, 2, 1, 3], "indices": [0, 1, 2], "columns": 3}, "but fall at row 1"),
    ({"indptr": [0, 2], "indices": [0], "columns": 3}, "from 0 to its 1 entries"),
    ({"indptr": [0, 1], "indices": [0], "columns": 0}, "1 to 2.31 rows, columns and entries, got 1, 0 and 1"),
]


@pytest.mark.parametrize(("held", "message"), REFUSED)
def test_a_pattern_that_is_none_is_refused(held: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mpc.Request("sparse", 3, **held)


def test_a_row_of_one_entry_has_no_extremes() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 entries: extremes need at least two"):
        mpc.extremes_pairs(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), 2)
