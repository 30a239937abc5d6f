"""moiety.graph.sample_neighbors against the definition: which edges, numbered how, and with what chance."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph, Sample, sample_neighbors
from moiety.ops import spmm


def random_graph(nodes: int, density: float, seed: int = 0) -> Graph:
    return Graph.from_scipy(sp.random(nodes, nodes, density, format="csr", random_state=seed))


def check(sample: Sample, graph: Graph, seeds: Tensor, fanouts: list[int], replace: bool) -> None:
    """Everything that the documentation promises, edge by edge."""
    nodes, hops = sample.nodes.tolist(), sample.hops
    assert nodes[: hops[0]] == seeds.tolist()
    assert len(set(nodes)) == len(nodes) == hops[-1]
    numbered = hops[0]
    for hop, fanout in enumerate(fanouts):
        for row in range(hops[hop - 1] if hop else 0, hops[hop]):
            v = nodes[row]
            begin, end = int(graph.indptr[v]), int(graph.indptr[v + 1])
            drawn = sample.edges[int(sample.indptr[row]) : int(sample.indptr[row + 1])].tolist()
            locals_ = sample.indices[int(sample.indptr[row]) : int(sample.indptr[row + 1])].tolist()
            degree = end - begin
            count = degree if fanout < 0 or degree == 0 else fanout if replace else min(fanout, degree)
            assert len(drawn) == count
            assert all(begin <= e < end for e in drawn)
            assert replace or len(set(drawn)) == count
            assert [nodes[k] for k in locals_] == [int(graph.indices[e]) for e in drawn]
            for k in locals_:
                assert k <= numbered, "numbers rise in the order in which nodes are found"
                numbered = max(numbered, k + 1)
        assert numbered <= hops[hop + 1]
    if graph.weight is not None:
        assert sample.weight is not None
        assert torch.equal(sample.weight, graph.weight[sample.edges])


@settings(max_examples=80, deadline=None)
@given(
    nodes=st.integers(1, 60),
    density=st.floats(0, 0.3),
    fanouts=st.lists(st.sampled_from([-1, 1, 2, 3, 7, 100]), min_size=1, max_size=4),
    replace=st.booleans(),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_any_graph(nodes: int, density: float, fanouts: list[int], replace: bool, share: float, seed: int) -> None:
    graph = random_graph(nodes, density, seed)
    seeds = torch.randperm(nodes, generator=torch.Generator().manual_seed(seed))[: int(share * nodes)]
    check(sample_neighbors(graph, seeds, fanouts, replace, seed), graph, seeds, fanouts, replace)


def test_the_same_at_any_number_of_threads_and_in_any_batch() -> None:
    edges = torch.randint(4000, (2, 80000), generator=torch.Generator().manual_seed(0))
    graph = Graph.from_edge_index(edges, 4000)
    seeds = torch.arange(0, 4000, 2)
    one, four = (sample_neighbors(graph, seeds, [5, 3], seed=3, threads=n) for n in (1, 4))
    for name in ("nodes", "indptr", "indices", "edges"):
        assert torch.equal(getattr(one, name), getattr(four, name))
    alone = sample_neighbors(graph, seeds[7:8], [5], seed=3)
    assert torch.equal(alone.edges, one.edges[int(one.indptr[7]) : int(one.indptr[8])])
    assert not torch.equal(one.edges, sample_neighbors(graph, seeds, [5, 3], seed=4).edges)


def test_wide_indices_draw_the_same() -> None:
    graph = random_graph(300, 0.05)
    from moiety._core import graph_sampling as core

    arguments = (graph.num_cols, np.arange(0, 300, 3), [4, 2], False, 9, 1)
    narrow = core.sample_neighbors(graph.indptr.numpy(), graph.indices.numpy(), *arguments)
    wide = core.sample_neighbors(graph.indptr.numpy(), graph.indices.numpy().astype(np.int64), *arguments)
    assert all(np.array_equal(a, b) for a, b in zip(narrow, wide, strict=True))


def test_subsets_are_equally_likely() -> None:
    """All 10 pairs of 5 edges, over 5000 nodes that have them: within five standard deviations."""
    nodes = 5000
    graph = Graph.from_csr(torch.arange(0, 5 * nodes + 1, 5), torch.arange(5).repeat(nodes))
    sample = sample_neighbors(graph, torch.arange(nodes), [2], seed=1)
    first = 5 * torch.arange(nodes).repeat_interleave(2)
    pairs = Counter(tuple(sorted(p)) for p in (sample.edges - first).view(nodes, 2).tolist())
    assert set(pairs) == set(combinations(range(5), 2))
    deviation = (nodes * 0.1 * 0.9) ** 0.5
    assert all(abs(count - nodes / 10) < 5 * deviation for count in pairs.values())
    again = sample_neighbors(graph, torch.arange(nodes), [2], replace=True, seed=1)
    singles = Counter((again.edges - first).tolist())
    assert all(abs(count - 2 * nodes / 5) < 5 * (2 * nodes * 0.2 * 0.8) ** 0.5 for count in singles.values())


def test_blocks_give_what_the_whole_graph_gives() -> None:
    """With all neighbours, two layers over blocks are two layers over the graph, at the seeds."""
    graph = random_graph(200, 0.03)
    x = torch.randn(200, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seeds = torch.tensor([7, 190, 3])
    sample = sample_neighbors(graph, seeds, [-1, -1])
    first, second = sample.blocks
    assert (second.num_rows, first.num_cols) == (3, sample.nodes.numel())
    assert first.num_rows == second.num_cols == sample.hops[1]
    torch.testing.assert_close(spmm(second, spmm(first, x[sample.nodes])), spmm(graph, spmm(graph, x))[seeds])
    source, target = sample.edge_index
    rows = torch.repeat_interleave(torch.arange(200), graph.indptr.diff())
    assert torch.equal(sample.nodes[source], graph.indices[sample.edges].long())
    assert torch.equal(sample.nodes[target], rows[sample.edges])
    assert sum(sample.edges_per_hop) == sample.edges.numel()


def test_refusals() -> None:
    graph = random_graph(10, 0.3)
    with pytest.raises(ValueError, match="distinct seeds, got 4 twice"):
        sample_neighbors(graph, torch.tensor([4, 4]), [2])
    with pytest.raises(ValueError, match=r"seeds in \[0, 10\), got 10"):
        sample_neighbors(graph, torch.tensor([10]), [2])
    with pytest.raises(ValueError, match="fan-outs >= 1 or -1"):
        sample_neighbors(graph, torch.tensor([1]), [0])
    with pytest.raises(ValueError, match="fan-out a hop"):
        sample_neighbors(graph, torch.tensor([1]), [])
    with pytest.raises(TypeError, match="node numbers"):
        sample_neighbors(graph, torch.tensor([1.0]), [2])
    bipartite = Graph.from_edge_index(torch.tensor([[0], [0]]), num_nodes=2, num_sources=3)
    with pytest.raises(ValueError, match="square graph"):
        sample_neighbors(bipartite, torch.tensor([0]), [2])


def test_masks_are_taken_as_seeds() -> None:
    graph = random_graph(10, 0.3)
    mask = torch.zeros(10, dtype=torch.bool)
    mask[[2, 5]] = True
    assert sample_neighbors(graph, mask, [1]).nodes[:2].tolist() == [2, 5]
