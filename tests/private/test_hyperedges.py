"""The arithmetic on hyperedges that private inference is made of: against brute force and the plain kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.graph import Hypergraph
from moiety.ops import spmm
from moiety.private.hyperedges import Hyperedges, Rule, extremes, laplacian, products
from moiety.private.rsqrt import after_step, choose_start

Lists = list[list[int]]
RULES = [Rule(mediators, code) for mediators in (True, False) for code in (True, False)]


@st.composite
def hypergraphs(draw: st.DrawFn) -> tuple[int, Lists]:
    nodes = draw(st.integers(2, 8))
    hyperedge = st.lists(st.integers(0, nodes - 1), min_size=1, max_size=nodes, unique=True)
    return nodes, draw(st.lists(hyperedge, min_size=1, max_size=6))


def signals(nodes: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-3, 3), min_size=nodes, max_size=nodes)


def held(hypergraph: Hypergraph, rule: Rule) -> Hyperedges:
    weight = None if hypergraph.weight is None else hypergraph.weight.numpy()
    return Hyperedges.of(hypergraph.indptr.numpy(), hypergraph.indices.numpy(), hypergraph.num_nodes, weight, rule)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_extremes_are_the_first_of_every_hyperedge(data: st.DataObject) -> None:
    nodes, lists = data.draw(hypergraphs())
    lists = [hyperedge for hyperedge in lists if len(hyperedge) > 1] or [[0, 1]]
    values = np.array([data.draw(signals(nodes)) for _ in range(2)])
    indptr, indices = np.cumsum([0, *map(len, lists)]), np.concatenate(lists)
    found = extremes(values, indptr, indices).reshape(2, 2, -1)
    for sample, bits in zip(values, found, strict=True):
        for e, hyperedge in enumerate(lists):
            at, mine = sample[hyperedge], bits[:, indptr[e] : indptr[e + 1]]
            if at.max() == at.min():
                assert not mine.any()
            else:
                assert mine.sum() == 2
                assert (mine[0].argmax(), mine[1].argmax()) == (at.argmax(), at.argmin())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pairs_and_laplacian_are_those_of_the_plain_kernels(data: st.DataObject) -> None:
    """Of every rule, with weights, hyperedges of one node, and signals that do not differ within a hyperedge."""
    nodes, lists = data.draw(hypergraphs())
    weight = data.draw(st.none() | st.just([0.5 + 0.25 * e for e in range(len(lists))]))
    hypergraph = Hypergraph.from_lists(nodes, lists, weight)
    signal = torch.tensor(data.draw(signals(nodes)), dtype=torch.float64).view(-1, 1)
    s, i = hypergraph.pairs(signal, projection=torch.ones(1))
    several = hypergraph.sizes() > 1
    for rule in RULES:
        edges = held(hypergraph, rule)
        if edges.count:
            z = extremes(signal.numpy().T, edges.indptr, edges.indices)[0]
            for mine, plain in zip(edges.pairs(z), (s, i), strict=True):
                np.testing.assert_array_equal(mine, plain[several].numpy())
        weighting: Any = "code" if rule.code else "paper"
        expected = hypergraph.laplacian_from_pairs(s, i, rule.mediators, weighting, torch.float64)
        matrix = laplacian(edges, rule, s[several].numpy(), i[several].numpy())
        identity = torch.eye(nodes, dtype=torch.float64)
        torch.testing.assert_close(matrix.apply(identity).T, spmm(expected, identity), rtol=1e-12, atol=1e-12)


def test_values_within_the_slack_count_as_equal() -> None:
    indptr, indices = np.array([0, 4, 6]), np.array([0, 1, 2, 3, 2, 3])
    values = np.array([[5, 7, 6, 0], [5, 9, 9, 2]])
    found = extremes(values, indptr, indices, slack=2).reshape(2, 2, 6)
    np.testing.assert_array_equal(found[0], [[1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1]])  # 7 against 5, then 5 against 6
    np.testing.assert_array_equal(found[1], [[0, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1]])
    assert not extremes(values // 4, indptr, indices, slack=2).any()


def test_products_wrap() -> None:
    rng = np.random.default_rng(0)
    indptr, indices = np.array([0, 2, 2, 5]), np.array([1, 1, 3, 0, 2])
    values, x = (rng.integers(-(2**62), 2**62, shape) for shape in ((2, 5), (2, 3, 4)))
    found = products(values, x, indptr, indices)
    for n in range(2):
        matrix = np.zeros((3, 4), np.uint64)
        for row in range(3):
            for entry in range(indptr[row], indptr[row + 1]):
                matrix[row, indices[entry] : indices[entry] + 1] += values.view(np.uint64)[n, entry]
        np.testing.assert_array_equal(found[n].view(np.uint64), x[n].view(np.uint64) @ matrix.T)


@pytest.mark.parametrize("ratio", [1.0, 1.3, 2.0, 5.0, 20.0, 100.0])
def test_inverse_roots_are_within_their_error(ratio: float) -> None:
    rng = np.random.default_rng(1)
    lo = rng.uniform(0.5, 2, 20)
    hi = lo * np.concatenate([[1.0, ratio], rng.uniform(1, ratio, 18)])
    start = choose_start(lo, hi, 2.0**-17)
    assert start.error <= 2.0**-17
    d = lo + rng.uniform(0, 1, (300, 20)) * (hi - lo)
    t = np.where(hi > lo, (2 * d - lo - hi) / np.where(hi > lo, hi - lo, 1), 0)
    y = sum(c * t**power for power, c in enumerate(start.coefficients))
    assert start.first[0] - 1e-9 <= y.min()
    assert y.max() <= start.first[1] + 1e-9
    assert len(start.halves) == start.steps
    for low, high in start.halves:
        half = d * y**2 / 2
        assert low - 1e-3 <= half.min()
        assert half.max() <= high + 1e-3
        y = y * (1.5 - half)
    assert np.abs(y * np.sqrt(d) - 1).max() <= 1.01 * start.error + 1e-15


def test_the_way_to_an_inverse_root_is_the_shortest() -> None:
    """By rounds, docs/engine.md 3.12: 4 of degree 3, 6 of degree 7, 6 of a step."""

    def chosen(ratio: float) -> tuple[int, int]:
        start = choose_start(np.ones(2), np.array([1.0, ratio]), 2.0**-17)
        return len(start.coefficients) - 1, start.steps

    assert chosen(1.01) == (3, 0)
    assert chosen(2.0) == (7, 0)
    assert chosen(8.0) == (7, 1)
    assert chosen(50.0)[1] > chosen(8.0)[1]
    assert after_step(0.01) == pytest.approx(1.505e-4)
    with pytest.raises(ValueError, match="some hundred times apart, found some 1e\\+06 times apart"):
        choose_start(np.ones(1), np.full(1, 1e6), 2.0**-17)
