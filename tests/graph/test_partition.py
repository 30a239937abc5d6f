"""moiety.graph.partition and partition_edges: balance, quality against METIS, statistics against their definitions."""

from typing import get_args

import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.graph import EdgePartition, Graph, Partition, partition, partition_edges
from moiety.graph.partitioning import EdgeMethod, NodeMethod


def random_graph(nodes: int, density: float, seed: int = 0) -> Graph:
    return Graph.from_scipy(sp.random(nodes, nodes, density, format="csr", random_state=seed))


def mesh(side: int) -> Graph:
    line = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(side, side))
    eye = sp.eye_array(side)
    shuffle = torch.randperm(side * side, generator=torch.Generator().manual_seed(0)).numpy()
    return Graph.from_scipy((sp.kron(line, eye) + sp.kron(eye, line)).tocsr()[shuffle][:, shuffle])


def communities(blocks: int, size: int, seed: int = 0) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    nodes = blocks * size
    inside = torch.randint(0, size, (2, 6 * nodes), generator=generator)
    inside = inside + size * torch.randint(0, blocks, (6 * nodes,), generator=generator)
    shuffle = torch.randperm(nodes, generator=generator)
    return Graph.from_edge_index(
        shuffle[torch.cat([inside, torch.randint(0, nodes, (2, nodes), generator=generator)], 1)], nodes
    )


@settings(max_examples=40, deadline=None)
@given(
    nodes=st.integers(1, 70),
    density=st.floats(0, 0.3),
    parts=st.integers(1, 9),
    method=st.sampled_from([m for m in get_args(NodeMethod) if m != "metis"]),
    seed=st.integers(0, 1000),
)
def test_every_node_has_a_part_and_statistics_count(
    nodes: int, density: float, parts: int, method: NodeMethod, seed: int
) -> None:
    graph, parts = random_graph(nodes, density, seed), min(parts, nodes)
    part = partition(graph, parts, method, seed=seed)
    assert part.assignment.shape == (nodes,)
    assert int(part.sizes.max()) <= max(-(-nodes // parts), int(1.03 * nodes / parts))
    found, of = part.statistics(graph), part.assignment.tolist()
    edges = graph.edge_index.t().tolist()
    assert found.edge_cut == sum(of[s] != of[t] for s, t in edges)
    assert found.halo == tuple(len({s for s, t in edges if of[t] == p != of[s]}) for p in range(parts))
    assert found.nodes == tuple(of.count(p) for p in range(parts))
    assert found.edges == tuple(sum(of[t] == p for _, t in edges) for p in range(parts))
    assert found.replication_factor == pytest.approx(1 + sum(found.halo) / nodes)
    assert torch.equal(torch.cat([part.nodes(p) for p in range(parts)]).sort()[0], torch.arange(nodes))


@pytest.mark.parametrize("graph", [mesh(40), communities(8, 200)], ids=["mesh", "communities"])
@pytest.mark.parametrize("parts", [2, 5, 8])
def test_cuts_are_about_as_small_as_those_of_metis(graph: Graph, parts: int) -> None:
    pytest.importorskip("pymetis", reason="needs pymetis")
    ours, metis, chance = (
        partition(graph, parts, method).statistics(graph) for method in ("multilevel", "metis", "random")
    )
    assert ours.edge_cut <= 1.15 * metis.edge_cut
    assert ours.edge_cut < 0.5 * chance.edge_cut
    assert ours.node_imbalance <= 1.035


def test_balance_of_edges() -> None:
    """A graph whose first nodes have most edges: equal parts of nodes are not equal parts of work."""
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(20000, generator=generator) ** 3 * 1000).long()
    graph = Graph.from_edge_index(torch.stack([torch.randint(0, 1000, (20000,), generator=generator), target]), 1000)
    for method in ("multilevel", "contiguous"):
        by_nodes, by_edges = (partition(graph, 4, method, b).statistics(graph) for b in ("nodes", "edges"))
        assert by_edges.edge_imbalance < 1.1
        assert by_nodes.edge_imbalance > by_edges.edge_imbalance


def test_seeds_decide() -> None:
    graph = communities(4, 100)
    assert torch.equal(partition(graph, 4, seed=1).assignment, partition(graph, 4, seed=1).assignment)
    assert not torch.equal(partition(graph, 4, "random", seed=1).assignment, partition(graph, 4, "random").assignment)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    parts=st.integers(1, 70),
    method=st.sampled_from(get_args(EdgeMethod)),
    seed=st.integers(0, 1000),
)
def test_vertex_cuts_count(rows: int, columns: int, parts: int, method: EdgeMethod, seed: int) -> None:
    graph = Graph.from_scipy(sp.random(rows, columns, 0.2, format="csr", random_state=seed))
    part = partition_edges(graph, parts, method, seed=seed)
    found, of = part.statistics(graph), part.assignment.tolist()
    same = rows == columns
    replicas = {(p, v) for p, (s, t) in zip(of, graph.edge_index.t().tolist(), strict=True)
                for v in (("n", t), ("n" if same else "s", s))}  # fmt: skip
    assert found.edges == tuple(of.count(p) for p in range(parts))
    assert found.replicas == tuple(sum(q == p for q, _ in replicas) for p in range(parts))
    assert found.nodes == len({v for _, v in replicas})
    assert sum(found.edges) == graph.num_edges
    if method in ("hdrf", "greedy"):
        assert max(found.edges) <= max(-(-graph.num_edges // parts), int(1.03 * graph.num_edges / parts))


def test_streaming_replicates_least() -> None:
    """A power-law graph, where hubs decide: HDRF below greedy and the grid, and all of them below chance."""
    generator = torch.Generator().manual_seed(0)
    ends = (torch.rand(2, 12000, generator=generator) ** 4 * 2000).long()
    graph = Graph.from_edge_index(ends[:, ends[0] != ends[1]], 2000)
    factor = {m: partition_edges(graph, 8, m).statistics(graph).replication_factor for m in get_args(EdgeMethod)}
    assert factor["hdrf"] < factor["greedy"] < factor["random"]
    assert factor["hdrf"] < factor["grid"] < factor["random"]


def test_refusals() -> None:
    graph = random_graph(10, 0.3)
    for parts in (0, 11):
        with pytest.raises(ValueError, match=r"parts in \[1, 10 nodes\]"):
            partition(graph, parts)
    with pytest.raises(ValueError, match="expected multilevel, metis"):
        partition(graph, 2, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="balance 'nodes' or 'edges'"):
        partition(graph, 2, balance="work")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="imbalance >= 0"):
        partition(graph, 2, imbalance=-1)
    with pytest.raises(ValueError, match="expected hdrf, greedy, grid or random, got metis"):
        partition_edges(graph, 2, "metis")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"parts in \[0, 2\), got 0 to 2"):
        Partition(torch.tensor([0, 1, 2]), 2)
    with pytest.raises(TypeError, match="expected integers"):
        Partition(torch.tensor([0.0]), 2)
    with pytest.raises(ValueError, match="one of 10 nodes, got one of 3"):
        Partition(torch.tensor([0, 1, 1]), 2).statistics(graph)
    with pytest.raises(ValueError, match="edges, got 1"):
        EdgePartition(torch.tensor([0]), 2, "given").statistics(graph)
