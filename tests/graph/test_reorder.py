"""moiety.graph.degree_order and rcm_order against SciPy and NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from moiety.graph import Graph, degree_order, rcm_order
from moiety.graph.reorder import inverse


def bandwidth(graph: Graph, order: Tensor) -> int:
    source, target = graph.edge_index
    if not graph.num_edges:
        return 0
    number = inverse(order)
    return int((number[source] - number[target]).abs().max())


@settings(max_examples=50, deadline=None)
@given(nodes=st.integers(1, 60), density=st.floats(0, 0.2), seed=st.integers(0, 1000))
def test_orders_are_permutations(nodes: int, density: float, seed: int) -> None:
    matrix = sp.random(nodes, nodes, density, format="csr", random_state=seed)
    graph = Graph.from_scipy(matrix)
    for order in (degree_order(graph), rcm_order(graph)):
        assert torch.equal(order.sort()[0], torch.arange(nodes))
        assert torch.equal(order[inverse(order)], torch.arange(nodes))
    by_degree = np.argsort(-np.diff(matrix.indptr), kind="stable")
    assert np.array_equal(degree_order(graph).numpy(), by_degree)


@pytest.mark.parametrize("seed", range(3))
def test_bandwidth_is_about_that_of_scipy(seed: int) -> None:
    """A band whose rows are shuffled: both find it again."""
    band = sp.random(400, 400, 0.02, format="coo", random_state=seed)
    near = abs(band.row - band.col) < 12
    matrix = sp.coo_matrix((band.data[near], (band.row[near], band.col[near])), shape=(400, 400)).tocsr()
    shuffle = np.random.default_rng(seed).permutation(400)
    graph = Graph.from_scipy((matrix + matrix.T).tocsr()[shuffle][:, shuffle])
    ours = bandwidth(graph, rcm_order(graph))
    scipys = np.array(reverse_cuthill_mckee((matrix + matrix.T).tocsr()[shuffle][:, shuffle], symmetric_mode=True))
    assert ours <= 1.2 * bandwidth(graph, torch.from_numpy(scipys.astype(np.int64))) + 2
    assert ours < 0.2 * bandwidth(graph, torch.arange(400))


def test_directions_do_not_count() -> None:
    """A path whose edges point anywhere has bandwidth 1."""
    generator = torch.Generator().manual_seed(0)
    shuffle = torch.randperm(50, generator=generator)
    path = torch.stack([shuffle[:-1], shuffle[1:]])
    turned = torch.where(torch.rand(49, generator=generator) < 0.5, path, path.flip(0))
    graph = Graph.from_edge_index(turned, 50)
    assert bandwidth(graph, rcm_order(graph)) == 1


def test_refusals() -> None:
    bipartite = Graph.from_edge_index(torch.tensor([[0], [0]]), num_nodes=2, num_sources=3)
    with pytest.raises(ValueError, match="square graph"):
        rcm_order(bipartite)
