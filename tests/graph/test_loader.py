"""NeighborLoader and ClusterLoader: whose nodes, in what order, with which features; under ranks, workers and PyG."""

from typing import Any

import pytest
import scipy.sparse as sp
import torch
from torch.utils.data import DataLoader

from moiety.graph import ClusterLoader, Graph, NeighborLoader, partition
from moiety.graph.loader import Batch


def small() -> tuple[Graph, torch.Tensor, torch.Tensor]:
    graph = Graph.from_scipy(sp.random(50, 50, 0.1, format="csr", random_state=0))
    return graph, torch.arange(50.0).view(50, 1).repeat(1, 3), torch.arange(50)


def seeds_of(batches: Any) -> list[list[int]]:
    return [b.n_id[: b.batch_size].tolist() for b in batches]


def test_batches_have_their_nodes_features_and_seeds_first() -> None:
    graph, x, y = small()
    nodes = torch.arange(0, 50, 2)
    loader = NeighborLoader(graph, [4, 3], nodes, batch_size=7, x=x, y=y)
    batches: list[Batch] = list(loader)
    assert len(batches) == len(loader) == 4
    assert sum(seeds_of(batches), []) == nodes.tolist()  # noqa: RUF017
    rows = torch.repeat_interleave(torch.arange(50), graph.in_degrees())
    for batch in batches:
        assert batch.x is not None
        assert batch.y is not None
        assert torch.equal(batch.x[:, 0].long(), batch.n_id)
        assert torch.equal(batch.y, batch.n_id)
        source, target = batch.edge_index
        assert torch.equal(batch.n_id[source], graph.indices[batch.e_id].long())
        assert torch.equal(batch.n_id[target], rows[batch.e_id])
        assert [b.num_rows for b in batch.blocks] == [batch.sample.hops[1], batch.batch_size]


def test_epochs_differ_and_are_reproduced() -> None:
    graph, _, _ = small()
    one, two = (NeighborLoader(graph, [2], batch_size=8, shuffle=True, seed=3) for _ in range(2))
    first, second = seeds_of(one), seeds_of(one)
    assert first != second
    assert sorted(sum(first, [])) == list(range(50))  # noqa: RUF017
    two.set_epoch(1)
    again = list(two)
    assert seeds_of(again) == second
    two.set_epoch(1)
    for a, b in zip(again, two, strict=True):
        assert torch.equal(a.e_id, b.e_id)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [1, 3, 4])
def test_ranks_share_the_seeds_in_equally_many_batches(world_size: int, drop_last: bool) -> None:
    graph, _, _ = small()
    ranks = [
        NeighborLoader(graph, [2], batch_size=4, shuffle=True, drop_last=drop_last, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    batches = [seeds_of(r) for r in ranks]
    assert {len(b) for b in batches} == {len(ranks[0])}
    drawn = [v for b in batches for seeds in b for v in seeds]
    if drop_last:
        assert len(set(drawn)) == len(drawn) == world_size * 4 * len(ranks[0])
    else:
        assert set(drawn) == set(range(50))
        assert len(drawn) == -(-50 // world_size) * world_size


def test_workers_share_the_batches() -> None:
    graph, x, y = small()
    loader = NeighborLoader(graph, [3], batch_size=6, shuffle=True, x=x, y=y)
    alone = list(loader)
    loader.set_epoch(0)
    shared = list(DataLoader(loader, batch_size=None, num_workers=2))
    assert len(shared) == len(alone)
    for a, b in zip(alone, shared, strict=True):
        assert torch.equal(a.n_id, b.n_id)
        assert torch.equal(a.e_id, b.e_id)
        assert torch.equal(a.edge_index, b.edge_index)


def test_pyg_data_without_pyg_lib() -> None:
    data_module = pytest.importorskip("torch_geometric.data", reason="needs torch_geometric")
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(0, 40, (2, 200), generator=generator)
    data = data_module.Data(
        x=torch.randn(40, 3, generator=generator),
        edge_index=edge_index,
        edge_attr=torch.arange(200).view(200, 1),
        y=torch.arange(40),
        train_mask=torch.arange(40) < 30,
        name="small",
    )
    loader = NeighborLoader(data, [5, 5], input_nodes=data.train_mask, batch_size=10)
    batches = list(loader)
    assert sum(seeds_of(batches), []) == list(range(30))  # noqa: RUF017
    for batch in batches:
        assert isinstance(batch, data_module.Data)
        assert batch.name == "small"
        assert batch.num_nodes == batch.n_id.numel()
        assert torch.equal(batch.x, data.x[batch.n_id])
        assert torch.equal(batch.train_mask, data.train_mask[batch.n_id])
        assert torch.equal(batch.n_id[batch.edge_index], edge_index[:, batch.e_id])
        assert torch.equal(batch.edge_attr, data.edge_attr[batch.e_id])
        assert sum(batch.num_sampled_nodes) == batch.num_nodes
        assert sum(batch.num_sampled_edges) == batch.edge_index.shape[1]
        assert len(batch.sample.blocks) == 2


def test_a_pyg_layer_runs_on_a_batch() -> None:
    layers = pytest.importorskip("torch_geometric.nn", reason="needs torch_geometric")
    graph, x, _ = small()
    layer = layers.SAGEConv(3, 2)
    whole = layer(x, graph.edge_index)
    for batch in NeighborLoader(graph, [-1], batch_size=20, x=x):
        part = layer(batch.x, batch.edge_index)[: batch.batch_size]
        torch.testing.assert_close(part, whole[batch.n_id[: batch.batch_size]])


def test_clusters_are_merged_with_the_edges_between_them() -> None:
    graph, x, y = small()
    clusters = partition(graph, 6)
    loader = ClusterLoader(graph, clusters, batch_size=2, x=x, y=y, seed=1)
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    assert sorted(v for b in batches for v in b.n_id.tolist()) == list(range(50))
    for batch in batches:
        assert batch.x is not None
        assert torch.equal(batch.x[:, 0].long(), batch.n_id)
        chosen = set(clusters.assignment[batch.n_id].tolist())
        assert len(chosen) == 2
        inside = set(batch.n_id.tolist())
        edges = [(s, t) for s, t in graph.edge_index.t().tolist() if s in inside and t in inside]
        assert sorted(map(tuple, batch.n_id[batch.graph.edge_index].t().tolist())) == sorted(edges)
    assert len(list(ClusterLoader(graph, 5, batch_size=1, rank=1, world_size=2))) == 3


def test_refusals() -> None:
    graph, x, _ = small()
    with pytest.raises(ValueError, match="batch_size >= 1"):
        NeighborLoader(graph, [2], batch_size=0)
    with pytest.raises(ValueError, match="fan-outs >= 1 or -1"):
        NeighborLoader(graph, [2, 0])
    with pytest.raises(ValueError, match="expected x of 50 nodes"):
        NeighborLoader(graph, [2], x=x[:3])
    with pytest.raises(ValueError, match=r"nodes in \[0, 50\), got 50"):
        NeighborLoader(graph, [2], torch.tensor([50]))
    with pytest.raises(ValueError, match="mask of 50 nodes"):
        NeighborLoader(graph, [2], torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"rank in \[0, 2\)"):
        NeighborLoader(graph, [2], rank=2, world_size=2)
    with pytest.raises(ValueError, match="partition of 50 nodes"):
        ClusterLoader(graph, partition(Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), 3), 1))
