"""torch_geometric on moiety's kernels: the same results and gradients, and its own code back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import moiety.nn
from moiety.graph import HeteroGraph, patch_pyg, unpatch_pyg
from moiety.graph import pyg as patching

tg = pytest.importorskip("torch_geometric", reason="PyTorch Geometric is not installed")

NODES, IN, OUT = 300, 12, 8


@pytest.fixture(autouse=True)
def _unpatched() -> Iterator[None]:
    yield
    unpatch_pyg()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def edges(count: int = 2500) -> Tensor:
    return torch.randint(NODES - 20, (2, count), generator=torch.Generator().manual_seed(1))


def trained(layer: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> list[Tensor]:
    """The result and all gradients, after a zero state."""
    layer.zero_grad()
    leaf = x.clone().requires_grad_()
    y = layer(leaf, *args, **kwargs)
    (y * random(*y.shape, seed=5)).sum().backward()
    return [y.detach(), leaf.grad, *(p.grad.clone() for p in layer.parameters())]


def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the layers of ours that run from now on, in order."""
    names: list[str] = []
    for name in patching.LAYERS:
        ours = getattr(moiety.nn, name)

        def forward(self: Any, *args: Any, name: str = name, original: Any = ours.forward, **kwargs: Any) -> Any:
            names.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(ours, "forward", forward)
    return names


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "GCNConv": (lambda: tg.nn.GCNConv(IN, OUT), ()),
    "SAGEConv": (lambda: tg.nn.SAGEConv(IN, OUT, aggr="max", project=True), ()),
    "GATConv": (lambda: tg.nn.GATConv(IN, OUT, heads=2), ()),
    "GATv2Conv": (lambda: tg.nn.GATv2Conv(IN, OUT, heads=2), ()),
    "GINConv": (lambda: tg.nn.GINConv(nn.Linear(IN, OUT), train_eps=True), ()),
    "GINEConv": (lambda: tg.nn.GINEConv(nn.Linear(IN, OUT), edge_dim=3), ("features",)),
    "RGCNConv": (lambda: tg.nn.RGCNConv(IN, OUT, 3, num_bases=2), ("types",)),
    "ResGatedGraphConv": (lambda: tg.nn.ResGatedGraphConv(IN, OUT), ()),
    "ChebConv": (lambda: tg.nn.ChebConv(IN, OUT, K=3), ()),
    "SGConv": (lambda: tg.nn.SGConv(IN, OUT, K=2), ()),
    "APPNP": (lambda: tg.nn.APPNP(K=3, alpha=0.2), ()),
    "EdgeConv": (lambda: tg.nn.EdgeConv(nn.Sequential(nn.Linear(2 * IN, OUT), nn.ReLU(), nn.Linear(OUT, OUT))), ()),
}


def extras(names: tuple[str, ...], count: int) -> list[Tensor]:
    made = {"features": random(count, 3, seed=2), "types": torch.arange(count) % 3}
    return [made[name] for name in names]


def close(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, more = LAYERS[name]
    assert set(LAYERS) == set(patching.LAYERS)
    names = called(monkeypatch)
    layer, x, edge_index = make(), random(NODES, IN), edges()
    given = extras(more, edge_index.shape[1])
    expected = trained(layer, x, edge_index, *given)
    assert names == []
    with patch_pyg():
        close(trained(layer, x, edge_index, *given), expected)
    assert names == [name]
    close(trained(layer, x, edge_index, *given), expected)
    assert names == [name]


@pytest.mark.parametrize(
    "make",
    [
        lambda: tg.nn.GraphConv(IN, OUT),
        lambda: tg.nn.TransformerConv(IN, OUT, heads=2),
        lambda: tg.nn.GeneralConv(IN, OUT),
        lambda: tg.nn.PNAConv(IN, OUT, ["mean", "min", "max"], ["identity"], torch.ones(40, dtype=torch.int64)),
    ],
    ids=["GraphConv", "TransformerConv", "GeneralConv", "PNAConv"],
)
def test_other_layers_aggregate_by_our_sums(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    from moiety.nn.graph import structure

    layer, x, edge_index = make(), random(NODES, IN), edges()
    expected = trained(layer, x, edge_index)
    made, original = [], structure.by_index
    monkeypatch.setattr(structure, "by_index", lambda *args: made.append(args) or original(*args))
    with patch_pyg():
        close(trained(layer, x, edge_index), expected)
    assert made


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
def test_spmm(reduce: str) -> None:
    from torch_geometric.utils import spmm as before

    edge_index = torch.unique(edges(), dim=1)
    values = random(edge_index.shape[1]).abs()
    matrix = torch.sparse_coo_tensor(edge_index, values, (NODES, NODES), check_invariants=True).coalesce()
    matrix, x = matrix.to_sparse_csr(), random(NODES, IN)
    expected = before(matrix, x, reduce)
    with patch_pyg():
        from torch_geometric.utils import spmm as after

        assert after is not before
        torch.testing.assert_close(after(matrix, x, reduce), expected)
    assert tg.utils.spmm is before


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_sparse_adjacency_of_a_layer() -> None:
    edge_index = torch.unique(edges(), dim=1)
    size = (NODES, NODES)
    ones = torch.ones(edge_index.shape[1])
    matrix = torch.sparse_coo_tensor(edge_index.flip(0), ones, size, check_invariants=True).coalesce().to_sparse_csr()
    layer, x = tg.nn.SAGEConv(IN, OUT), random(NODES, IN)
    expected = trained(layer, x, matrix)
    with patch_pyg():
        close(trained(layer, x, matrix), expected)


def twice_the_messages() -> Any:
    class Mine(tg.nn.GCNConv):  # type: ignore[misc, name-defined]
        def message(self, x_j: Tensor, edge_weight: Tensor | None) -> Tensor:
            return 2 * super().message(x_j, edge_weight)

    return Mine(IN, OUT)


@pytest.mark.parametrize(
    ("make", "kwargs"),
    [
        (lambda: tg.nn.GCNConv(IN, OUT, improved=True), {}),
        (lambda: tg.nn.GCNConv(IN, OUT, flow="target_to_source"), {}),
        (lambda: tg.nn.GCNConv(IN, OUT, aggr="max"), {}),
        (lambda: tg.nn.SAGEConv(IN, OUT, aggr=["mean", "max"]), {}),
        (lambda: twice_the_messages(), {}),
        (lambda: tg.nn.GATConv(IN, OUT), {"return_attention_weights": True}),
    ],
)
def test_what_is_not_ours_goes_to_pyg(
    make: Callable[[], Any], kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = called(monkeypatch)
    layer, x, edge_index = make(), random(NODES, IN), edges()
    expected = layer(x, edge_index, **kwargs)
    with patch_pyg():
        found = layer(x, edge_index, **kwargs)
    assert names == []
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_hook_is_called() -> None:
    layer, x, edge_index, seen = tg.nn.SAGEConv(IN, OUT), random(NODES, IN), edges(), []
    layer.register_message_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with patch_pyg():
        layer(x, edge_index)
    assert seen == [(edge_index.shape[1], IN)]


def test_patches_nest() -> None:
    original = tg.nn.GCNConv.forward
    with patch_pyg():
        patched = tg.nn.GCNConv.forward
        assert patched is not original
        with patch_pyg():
            assert tg.nn.GCNConv.forward is patched
        assert tg.nn.GCNConv.forward is patched
    assert tg.nn.GCNConv.forward is original
    assert not hasattr(tg.nn.GATConv, "attention")
    patch_pyg()
    assert tg.nn.GCNConv.forward is not original
    unpatch_pyg()
    unpatch_pyg()
    assert tg.nn.GCNConv.forward is original


def test_edge_index_objects() -> None:
    edge_index, layer, x = edges(), moiety.nn.SAGEConv(IN, OUT), random(NODES, IN)
    wrapped = tg.EdgeIndex(edge_index, sparse_size=(NODES, NODES))
    torch.testing.assert_close(layer(x, wrapped), layer(x, edge_index))
    expected = tg.nn.SAGEConv(IN, OUT).requires_grad_(False)
    with patch_pyg():
        torch.testing.assert_close(expected(x, wrapped), expected(x, edge_index), rtol=1e-4, atol=1e-5)


def hetero() -> Any:
    data = tg.data.HeteroData()
    data["user"].x, data["film"].x = random(10, 5), random(14, 7)
    data["user", "rates", "film"].edge_index = torch.stack([torch.arange(40) % 10, torch.arange(40) % 14])
    data["user", "rates", "film"].edge_weight = torch.arange(40.0)
    data["film", "rated_by", "user"].edge_index = torch.stack([torch.arange(40) % 14, torch.arange(40) % 10])
    return data


def test_hetero_graph() -> None:
    data = hetero()
    graph = HeteroGraph.from_pyg(data)
    assert graph.num_nodes == {"user": 10, "film": 14}
    assert list(graph) == [("user", "rates", "film"), ("film", "rated_by", "user")]
    rates = graph["user", "rates", "film"]
    assert (rates.num_rows, rates.num_cols, len(graph)) == (14, 10, 2)
    assert rates.weight is not None
    assert graph["film", "rated_by", "user"].weight is None
    layers = {("user", "rates", "film"): (5, 7), ("film", "rated_by", "user"): (7, 5)}
    conv = moiety.nn.HeteroConv({relation: moiety.nn.SAGEConv(sizes, OUT) for relation, sizes in layers.items()})
    by_graph, by_edges = conv(data.x_dict, graph), conv(data.x_dict, data.edge_index_dict)
    for kind in ("user", "film"):
        torch.testing.assert_close(by_graph[kind], by_edges[kind])


def test_hetero_graphs_that_do_not_agree() -> None:
    data = hetero()
    index = data.edge_index_dict
    with pytest.raises(ValueError, match="expected num_nodes of user and 'film'"):
        HeteroGraph.from_edge_index(index, {"user": 10})
    graphs = dict(HeteroGraph.from_pyg(data))
    with pytest.raises(ValueError, match=r"expected 11 nodes of type 'user' in .* got 10"):
        HeteroGraph(graphs, {"user": 11})
    with pytest.raises(TypeError, match="expected a torch_geometric HeteroData, got dict"):
        HeteroGraph.from_pyg({})
