"""`Hypergraph.laplacian` against the slow reference: the five sets of HyperGCN, any hypergraph, and what must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hypergraph_reference as reference
from hypergraph_reference import Lists, hypergraphs, random_lists, random_signal
from isa_levels import levels
from moiety import _core
from moiety.graph import Graph, Hypergraph
from moiety.ops import spmm

TOLERANCE = 2e-6
RULES = [(mediators, weighting) for mediators in (True, False) for weighting in ("paper", "code")]


def sorted_matrix(graph: Graph) -> scipy.sparse.csr_matrix:
    assert graph.weight is not None
    shape = graph.num_rows, graph.num_cols
    csr = scipy.sparse.csr_matrix((graph.weight.double().numpy(), graph.indices.numpy(), graph.indptr.numpy()), shape)
    csr.sort_indices()
    return csr


def compare(graph: Graph, wanted: scipy.sparse.csr_matrix, tolerance: float = TOLERANCE) -> None:
    """The same entries at the same places, none twice."""
    found = sorted_matrix(graph)
    np.testing.assert_array_equal(found.indptr, wanted.indptr)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    assert np.abs(found.data - wanted.data).max(initial=0) <= tolerance


@pytest.mark.parametrize("name", reference.SETS)
def test_the_five_sets(data: Path, name: str) -> None:
    hypergraph, lists = reference.load_lists(data, name)
    signal = random_signal(hypergraph.num_nodes, 16)
    direction = torch.rand(16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    pairs = reference.projected_pairs(lists, signal.numpy(), direction.numpy())
    assert list(zip(*(v.tolist() for v in hypergraph.pairs(signal, projection=direction)), strict=True)) == pairs
    for mediators, weighting in [(True, "code"), (False, "code")]:
        entries = reference.laplacian(hypergraph.num_nodes, lists, pairs, mediators, weighting)
        found = hypergraph.laplacian(signal, mediators, weighting, projection=direction)  # type: ignore[arg-type]
        compare(found, reference.matrix(hypergraph.num_nodes, entries))


@settings(max_examples=150, deadline=None)
@given(
    hypergraphs(), st.sampled_from(RULES), st.sampled_from(["projection", "exact"]), st.integers(0, 9), st.booleans()
)
def test_any_hypergraph(
    case: tuple[int, Lists, list[float] | None], rule: tuple[bool, str], search: str, seed: int, double: bool
) -> None:
    nodes, lists, weight = case
    hypergraph = Hypergraph.from_lists(nodes, lists, weight)
    # Small integers: rows coincide, sums are exact, ties are many.
    dtype = torch.float64 if double else torch.float32
    signal = torch.randint(-1, 2, (nodes, 2), generator=torch.Generator().manual_seed(seed)).to(dtype)
    direction = torch.tensor([1.0, 0.5], dtype=torch.float64) if search == "projection" else None
    if direction is None:
        pairs = reference.exact_pairs(lists, signal.numpy())
    else:
        pairs = reference.projected_pairs(lists, signal.numpy(), direction.numpy())
    s, i = hypergraph.pairs(signal, search, direction)  # type: ignore[arg-type]
    assert list(zip(s.tolist(), i.tolist(), strict=True)) == pairs
    graph = hypergraph.laplacian(signal, *rule, search, direction)  # type: ignore[arg-type]
    assert graph.weight is not None
    assert graph.weight.dtype is dtype
    compare(graph, reference.matrix(nodes, reference.laplacian(nodes, lists, pairs, *rule, own=weight)))


def test_sums_of_weights_before_scaling() -> None:
    lists = random_lists(60, 50, 20)
    hypergraph = Hypergraph.from_lists(60, lists)
    counted = sum(len(members) > 1 for members in lists)
    for (mediators, weighting), wanted in zip(
        RULES, [2 * counted, 2 * counted, 2 * counted, sum(2 / len(m) for m in lists if len(m) > 1)], strict=True
    ):
        graph = hypergraph.laplacian(random_signal(60, 4), mediators, weighting, projection=1)  # type: ignore[arg-type]
        matrix = sorted_matrix(graph).toarray()
        np.testing.assert_array_equal(matrix, matrix.T)
        # A node's loop weighs 1, so its entry is 1 / D.
        degree = 1 / matrix.diagonal()
        np.testing.assert_allclose(degree.sum() - 60, wanted, rtol=1e-5)
        np.testing.assert_allclose((matrix * np.sqrt(np.outer(degree, degree))).sum(1), degree, rtol=1e-5)


def test_a_hyperedge_of_two() -> None:
    """Weight 1 with mediators and without, 1/2 without in the code."""
    for mediators, weighting in RULES:
        hypergraph = Hypergraph.from_lists(3, [[2, 0]])
        graph = hypergraph.laplacian(torch.arange(3.0).unsqueeze(1), mediators, weighting)  # type: ignore[arg-type]
        w = 0.5 if not mediators and weighting == "code" else 1.0
        wanted = [[1 / (1 + w), 0, w / (1 + w)], [0, 1, 0], [w / (1 + w), 0, 1 / (1 + w)]]
        np.testing.assert_allclose(reference.dense(graph), wanted, atol=1e-7)


def test_where_all_projections_are_equal() -> None:
    """Nothing in `paper`; in `code` what the reference's dictionary holds: a loop of 2w and edges twice."""
    hypergraph, signal = Hypergraph.from_lists(3, [[1, 0, 2]]), torch.ones(3, 4)
    for mediators in (True, False):
        np.testing.assert_array_equal(reference.dense(hypergraph.laplacian(signal, mediators)), np.eye(3))
    a = np.array([[1, 2 / 3, 0], [2 / 3, 1 + 2 / 3, 2 / 3], [0, 2 / 3, 1]])
    d = a.sum(1)
    found = reference.dense(hypergraph.laplacian(signal, True, "code"))
    np.testing.assert_allclose(found, a / np.sqrt(np.outer(d, d)), atol=1e-7)
    found = reference.dense(hypergraph.laplacian(signal, False, "code"))
    np.testing.assert_allclose(found, np.eye(3), atol=1e-7)  # a loop of 1 + 2/3 over itself


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_weights_below_the_smallest_number(isa: str, rule: tuple[bool, str]) -> None:
    """A hyperedge whose weight float32 does not hold adds nothing, not even an entry."""
    hypergraph = Hypergraph.from_lists(4, [[0, 1], [1, 2, 3]], torch.tensor([1e-300, 1e-300], dtype=torch.float64))
    graph = hypergraph.laplacian(random_signal(4, 3), *rule)  # type: ignore[arg-type]
    assert graph.num_edges == 4
    np.testing.assert_array_equal(reference.dense(graph), np.eye(4))
    assert hypergraph.laplacian(random_signal(4, 3).double(), *rule).num_edges > 4  # type: ignore[arg-type]


def test_numbering_of_nodes_does_not_matter() -> None:
    lists, signal = random_lists(40, 60, 12), random_signal(40, 5)
    plain = reference.dense(Hypergraph.from_lists(40, lists).laplacian(signal, projection=2))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    number = torch.empty_like(order)
    number[order] = torch.arange(40)
    renamed = Hypergraph.from_lists(40, [[int(number[v]) for v in members] for members in lists])
    found = reference.dense(renamed.laplacian(signal[order], projection=2))
    np.testing.assert_allclose(found, plain[np.ix_(order, order)], atol=1e-6)


@pytest.mark.parametrize("mediators", [True, False])
def test_results_do_not_depend_on_the_number_of_threads(isa: str, threads: None, mediators: bool) -> None:
    lists = random_lists(3000, 9000, 60)
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        hypergraph = Hypergraph.from_lists(3000, lists)
        graph = hypergraph.laplacian(random_signal(3000, 16), mediators, projection=1)
        clique = hypergraph.expand("hgnn")
        found.append([graph.indptr, graph.indices, graph.weight, clique.indptr, clique.indices, clique.weight])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_more_nodes_than_a_cache_holds(threads: None, rule: tuple[bool, str]) -> None:
    """Rows made from parts that are fetched ahead, some of thousands of hyperedges, against products without rows."""
    rng = np.random.default_rng(0)
    nodes, sizes = 70_000, rng.integers(1, 9, 30_000)
    start = np.concatenate([[0], np.cumsum(sizes)])
    # Nodes 9 apart or more, so that none is twice in one; every other hyperedge holds node 0.
    member = (
        9 * rng.integers(1, 7_700, len(sizes)).repeat(sizes) + np.arange(start[-1]) - start[:-1].repeat(sizes)
    ) % nodes
    member[start[:-1:2]] = 0
    hypergraph = Hypergraph(torch.from_numpy(start), torch.from_numpy(member.astype(np.int32)), nodes)
    signal = torch.randint(-1, 2, (nodes, 2), generator=torch.Generator().manual_seed(0)).double()
    line, found = torch.tensor([1.0, 0.5], dtype=torch.float64), []
    for n in (1, 2):
        torch.set_num_threads(n)
        graph = hypergraph.laplacian(signal, *rule, projection=line)  # type: ignore[arg-type]
        smoothed = hypergraph.smooth(signal, None, None, *rule, projection=line)  # type: ignore[arg-type]
        np.testing.assert_allclose(spmm(graph, signal), smoothed, atol=1e-12)
        found.append((graph.indptr, graph.indices, graph.weight))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    with pytest.raises(ValueError, match="expected pairs of nodes of their hyperedges, got nodes 69999 and"):
        hypergraph.laplacian_from_pairs(
            torch.full((30_000,), nodes - 1, dtype=torch.int32), hypergraph.pairs(signal)[1]
        )


def test_every_level_gives_the_same_bits() -> None:
    hypergraph, signal = Hypergraph.from_lists(200, random_lists(200, 300, 40)), random_signal(200, 13)
    before, found = _core.isa(), []
    for level in levels():
        _core.set_isa(level)
        graph = hypergraph.laplacian(signal, pairs="exact")
        found.append((*hypergraph.pairs(signal, projection=3), graph.indices, graph.weight))
    _core.set_isa(before)
    assert all(torch.equal(a, b) for other in found for a, b in zip(found[0], other, strict=True))  # type: ignore[arg-type]


def test_names_what_is_wrong() -> None:
    hypergraph = Hypergraph.from_lists(4, [[0, 1], [1, 2, 3]])
    signal = random_signal(4, 2)
    s, i = hypergraph.pairs(signal)
    with pytest.raises(ValueError, match="expected weighting 'paper' or 'code', got 'reference'"):
        hypergraph.laplacian(signal, weighting="reference")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected s int32 \(2,\), a node a hyperedge, got torch.int64 \(2,\)"):
        hypergraph.laplacian_from_pairs(s.long(), i)
    for mediators in (True, False):
        with pytest.raises(ValueError, match=r"expected pairs of nodes .* got nodes 3 and [01] of hyperedge 0"):
            hypergraph.laplacian_from_pairs(torch.tensor([3, 3], dtype=torch.int32), i, mediators)
    with pytest.raises(TypeError, match=r"expected weights of float32 or float64, got torch\.int32"):
        hypergraph.laplacian_from_pairs(s, i, dtype=torch.int32)
    heavy = Hypergraph.from_lists(4, [[0, 1], [1, 2, 3]], torch.tensor([1e300, 1.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="expected weights whose sums at a node are numbers of the Laplacian's type"):
        heavy.laplacian(signal)
    assert heavy.laplacian(signal.double()).weight is not None
