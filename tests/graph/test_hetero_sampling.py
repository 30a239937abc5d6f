"""Sampling over relations: whose edges, how many, numbered how, against a search that takes all; and its loader."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import HeteroGraph, NeighborLoader, sample_hetero_neighbors
from moiety.graph.hetero import Relation
from moiety.nn import HeteroConv, SAGEConv

COUNTS = {"a": 13, "b": 9, "c": 4}
RELATIONS: tuple[Relation, ...] = (("a", "to", "a"), ("b", "to", "a"), ("a", "back", "b"), ("c", "of", "b"))


def edges(seed: int, many: int = 30) -> dict[Relation, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        r: torch.stack([torch.randint(COUNTS[kind], (many,), generator=generator) for kind in (r[0], r[2])])
        for r in RELATIONS
    }


def made(seed: int, many: int = 30) -> HeteroGraph:
    weight = {RELATIONS[1]: torch.rand(many)}
    return HeteroGraph.from_edge_index(edges(seed, many), COUNTS, weight)


def search(
    graph: HeteroGraph, seeds: dict[str, list[int]], hops: int
) -> tuple[dict[str, set[int]], dict[Relation, int]]:
    """Nodes within so many hops, and how many edges enter those within one hop less."""
    reached = {kind: set(seeds.get(kind, [])) for kind in COUNTS}
    for _ in range(hops):
        inner = {kind: set(nodes) for kind, nodes in reached.items()}
        for (source, _, target), one in graph.items():
            pairs = one.edge_index.t().tolist()
            reached[source] |= {s for s, t in pairs if t in inner[target]}
    counts = {r: sum(t in inner[r[2]] for t in one.edge_index[1].tolist()) for r, one in graph.items()}
    return reached, counts


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.integers(1, 3), st.sets(st.integers(0, 12), max_size=3), st.sets(st.integers(0, 8)))
def test_all_edges_are_what_a_search_finds(seed: int, hops: int, first: set[int], second: set[int]) -> None:
    graph = made(seed)
    seeds = {"a": sorted(first), "b": sorted(second)}
    sample = sample_hetero_neighbors(
        graph, {k: torch.tensor(v, dtype=torch.int64) for k, v in seeds.items()}, [-1] * hops
    )
    reached, counts = search(graph, seeds, hops)
    for kind, nodes in sample.nodes.items():
        assert len(set(nodes.tolist())) == nodes.numel()
        assert set(nodes.tolist()) == reached[kind]
        assert nodes[: len(seeds.get(kind, []))].tolist() == seeds.get(kind, [])
        assert sum(sample.nodes_per_hop[kind]) == nodes.numel()
    for relation, index in sample.edge_index.items():
        assert index.shape[1] == counts[relation] == sum(sample.edges_per_hop[relation])
        whole = graph[relation].edge_index[:, sample.edges[relation]]
        assert torch.equal(sample.nodes[relation[0]][index[0]], whole[0])
        assert torch.equal(sample.nodes[relation[2]][index[1]], whole[1])
        assert torch.unique(sample.edges[relation]).numel() == index.shape[1]
    assert torch.equal(sample.weight[RELATIONS[1]], graph[RELATIONS[1]].weight[sample.edges[RELATIONS[1]]])  # type: ignore[index]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(0, 3), min_size=4, max_size=4), st.booleans())
def test_fan_outs_are_those_of_the_relation(seed: int, fanouts: list[int], replace: bool) -> None:
    graph = made(seed, 60)
    by_relation = {r: (f, 2) for r, f in zip(RELATIONS, fanouts, strict=True)}
    sample, again = (
        sample_hetero_neighbors(graph, {"a": torch.arange(5), "b": torch.arange(3)}, by_relation, replace, seed)
        for _ in range(2)
    )
    for relation, index in sample.edge_index.items():
        assert torch.equal(again.edge_index[relation], index)
        assert torch.equal(again.edges[relation], sample.edges[relation])
        rows = sample.nodes[relation[2]]
        degree = graph[relation].in_degrees()[rows]
        drawn = torch.bincount(index[1], minlength=rows.numel())
        ends = torch.tensor(sample.nodes_per_hop[relation[2]]).cumsum(0).tolist()
        for hop, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            most = by_relation[relation][hop] if hop < 2 else 0
            wanted = torch.where(degree > 0, most, 0) if replace else degree.clamp(max=most)
            assert torch.equal(drawn[begin:end], wanted[begin:end])


def test_a_network_on_batches_is_the_network_on_the_whole() -> None:
    graph = made(3)
    x = {kind: torch.randn(count, 6) for kind, count in COUNTS.items()}
    layers = [HeteroConv({r: SAGEConv((6, 6), 6) for r in RELATIONS}) for _ in range(2)]

    def run(values: dict[str, Tensor], structure: HeteroGraph) -> dict[str, Tensor]:
        for layer in layers:
            values = values | layer(values, structure)
        return values

    whole = run(x, graph)["b"]
    loader = NeighborLoader(graph, [-1, -1], "b", batch_size=4, x=x, y={"b": torch.arange(9)})
    batches = list(loader)
    assert [b.batch_size for b in batches] == [4, 4, 1]
    for batch in batches:
        nodes = batch.sample.nodes["b"][: batch.batch_size]
        assert torch.equal(batch.y["b"][: batch.batch_size], nodes)
        torch.testing.assert_close(run(batch.x, batch.graph)["b"][: batch.batch_size], whole[nodes])


def test_pyg_hetero_data_without_pyg_lib() -> None:
    module = pytest.importorskip("torch_geometric.data", reason="needs torch_geometric")
    data: Any = module.HeteroData()
    data["name"] = "small"
    for kind, count in COUNTS.items():
        data[kind].x = torch.randn(count, 2)
    data["a"].train = torch.arange(13) < 6
    for relation, index in edges(1).items():
        data[relation].edge_index, data[relation].edge_attr = index, torch.arange(index.shape[1])
    fanouts = {relation: [2, 3] for relation in RELATIONS}
    batches = list(NeighborLoader(data, fanouts, ("a", data["a"].train), batch_size=4, shuffle=True))
    assert sorted(v for b in batches for v in b["a"].n_id[: b["a"].batch_size].tolist()) == list(range(6))
    for batch in batches:
        assert isinstance(batch, module.HeteroData)
        assert batch["name"] == "small"
        assert set(batch.edge_types) == set(RELATIONS)
        assert torch.equal(batch["a"].input_id, batch["a"].n_id[: batch["a"].batch_size])
        for kind in COUNTS:
            assert torch.equal(batch[kind].x, data[kind].x[batch[kind].n_id])
            assert sum(batch[kind].num_sampled_nodes) == batch[kind].num_nodes == batch[kind].n_id.numel()
        assert torch.equal(batch["a"].train, data["a"].train[batch["a"].n_id])
        for relation in RELATIONS:
            store = batch[relation]
            whole = data[relation].edge_index[:, store.e_id]
            assert torch.equal(batch[relation[0]].n_id[store.edge_index[0]], whole[0])
            assert torch.equal(batch[relation[2]].n_id[store.edge_index[1]], whole[1])
            assert torch.equal(store.edge_attr, store.e_id)
            assert sum(store.num_sampled_edges) == store.edge_index.shape[1]


def test_refusals() -> None:
    graph = made(0)
    with pytest.raises(ValueError, match="expected seeds of a, b, c, got 'd'"):
        sample_hetero_neighbors(graph, {"d": torch.arange(2)}, [1])
    with pytest.raises(ValueError, match=r"'a' nodes in \[0, 13\), got 0 to 13"):
        sample_hetero_neighbors(graph, {"a": torch.arange(14)}, [1])
    with pytest.raises(ValueError, match="distinct seeds of 'a'"):
        sample_hetero_neighbors(graph, {"a": torch.tensor([1, 1])}, [1])
    with pytest.raises(ValueError, match="expected those of the relations"):
        sample_hetero_neighbors(graph, {"a": torch.arange(2)}, {RELATIONS[0]: [1]})
    with pytest.raises(ValueError, match="as many for every relation"):
        sample_hetero_neighbors(graph, {"a": torch.arange(2)}, [-2])
    with pytest.raises(ValueError, match="of a type among a, b, c, got 'd'"):
        NeighborLoader(graph, [1], "d")
    with pytest.raises(ValueError, match=r"input_nodes \(type, seeds\) or a type"):
        NeighborLoader(graph, [1], torch.arange(3))
    with pytest.raises(ValueError, match="expected x of 13 a nodes"):
        NeighborLoader(graph, [1], "a", x={"a": torch.zeros(3, 1)})
    with pytest.raises(ValueError, match="go with a HeteroGraph"):
        NeighborLoader(graph[RELATIONS[0]], {RELATIONS[0]: [1]})
