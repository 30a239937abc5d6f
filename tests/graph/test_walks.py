"""moiety.graph.random_walks: along edges only, and with node2vec's probabilities."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from moiety.graph import Graph, random_walks


def edges_of(graph: Graph) -> set[tuple[int, int]]:
    return {(s, t) for s, t in graph.edge_index.t().tolist()}


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (1e9, 1e-9)])
def test_walks_follow_edges_from_source_to_target(p: float, q: float) -> None:
    generator = torch.Generator().manual_seed(0)
    graph = Graph.from_edge_index(torch.randint(0, 80, (2, 160), generator=generator), 80)
    walks = random_walks(graph, torch.arange(80), 12, p, q, seed=2)
    assert walks.shape == (80, 13)
    assert torch.equal(walks[:, 0], torch.arange(80))
    edges, ends = edges_of(graph), set(range(80)) - {s for s, _ in edges_of(graph)}
    for walk in walks.tolist():
        for v, w in pairwise(walk):
            assert (v, w) in edges or (w == -1 and (v == -1 or v in ends))
    assert torch.equal(walks, random_walks(graph, torch.arange(80), 12, p, q, seed=2, threads=3))
    assert not torch.equal(walks, random_walks(graph, torch.arange(80), 12, p, q, seed=3))


@pytest.mark.parametrize(("p", "q"), [(0.5, 4.0), (4.0, 0.5), (100.0, 100.0), (1e6, 1.0)])
def test_second_steps_have_node2vecs_probabilities(p: float, q: float) -> None:
    """From 0 to 1, whose neighbours are 0 (back), 2 and 3 (neighbours of 0 too), 4, 5, 6 (further away)."""
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]
    both = torch.tensor([*pairs, *((b, a) for a, b in pairs)]).t()
    graph = Graph.from_edge_index(both, 7)
    walks = random_walks(graph, torch.zeros(60000, dtype=torch.int64), 2, p, q, seed=5)
    third = walks[walks[:, 1] == 1][:, 2]
    weights = torch.tensor([1 / p, 0, 1, 1, 1 / q, 1 / q, 1 / q], dtype=torch.float64)
    expected = weights / weights.sum()
    count = third.numel()
    found = torch.bincount(third, minlength=7) / count
    assert bool(((found - expected).abs() <= 5 * (expected * (1 - expected) / count).sqrt() + 1e-9).all())


def test_unsorted_rows_give_the_same_distribution() -> None:
    """Neighbours of the former node are found in rows in any order."""
    from moiety._core import graph_sampling as core

    indptr = torch.tensor([0, 3, 6, 8, 9]).numpy()
    indices = torch.tensor([3, 1, 2, 2, 0, 3, 0, 1, 1], dtype=torch.int32).numpy()
    starts = torch.zeros(30000, dtype=torch.int64).numpy()
    walks: Tensor = torch.from_numpy(core.random_walks(indptr, indices, 4, starts, 2, 1.0, 1e6, 0, 1))
    third = walks[walks[:, 1] == 1][:, 2]
    # From 0 to 1: 2 and 3 are entries of row 0 and weigh 1, as 0 itself does with p = 1.
    share = torch.bincount(third, minlength=4) / third.numel()
    assert bool(((share - torch.tensor([1 / 3, 0, 1 / 3, 1 / 3])).abs() < 0.03).all())


def test_refusals() -> None:
    graph = Graph.from_edge_index(torch.tensor([[0], [1]]), 2)
    with pytest.raises(ValueError, match=r"starts in \[0, 2\), got 2"):
        random_walks(graph, torch.tensor([2]), 3)
    with pytest.raises(ValueError, match="length >= 1, got 0"):
        random_walks(graph, torch.tensor([0]), 0)
    with pytest.raises(ValueError, match="p and q > 0"):
        random_walks(graph, torch.tensor([0]), 3, p=0.0)
    bipartite = Graph.from_edge_index(torch.tensor([[0], [0]]), num_nodes=2, num_sources=3)
    with pytest.raises(ValueError, match="square graph"):
        random_walks(bipartite, torch.tensor([0]), 3)
