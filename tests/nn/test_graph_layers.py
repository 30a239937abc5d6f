"""Layers of graph networks against PyTorch Geometric's with the same state dict: results and every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import moiety.nn as ours
from moiety.graph import Graph

pyg = pytest.importorskip("torch_geometric.nn", reason="PyTorch Geometric is not installed")

NODES, EDGES, IN, OUT = 23, 90, 6, 4


def edges(targets: int = NODES, sources: int = NODES, seed: int = 0, loops: bool = True) -> Tensor:
    """Random, with duplicates, loops if wanted, and nodes that no edge enters."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack(
        [
            torch.randint(sources, (EDGES,), generator=generator),
            torch.randint(targets - 3, (EDGES,), generator=generator),
        ]
    )
    if not loops:
        return drawn[:, drawn[0] != drawn[1]]
    drawn = drawn[:, drawn[0] != 2]  # of the two loops of node 2, which do not differ in what is given to them, one
    return torch.cat([drawn, torch.tensor([[2, 5], [2, 5]])], 1)


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def positive(*shape: int, seed: int = 2) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) + 0.1


def compare(theirs: Any, mine: nn.Module, inputs: list[Any], mine_inputs: list[Any] | None = None, **both: Any) -> None:
    """Equal results and gradients of every parameter and of every floating-point input, once state dicts are loaded."""
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.5)
    assert {k: v.shape for k, v in mine.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    mine.load_state_dict(theirs.state_dict())
    results = []
    for layer, given in ((theirs, inputs), (mine, mine_inputs or inputs)):
        leaves: list[Tensor] = []

        def leaf(value: Any, leaves: list[Tensor] = leaves) -> Any:
            if isinstance(value, tuple):
                return tuple(leaf(v) for v in value)
            if isinstance(value, Tensor) and value.is_floating_point() and value.layout is torch.strided:
                leaves.append(value.clone().requires_grad_())
                return leaves[-1]
            return value

        y = layer(*(leaf(value) for value in given), **both)
        y.mul(random(*y.shape, seed=9)).sum().backward()
        named = dict(layer.named_parameters())
        gradients = [v.grad for v in (*leaves, *(named[name] for name in sorted(named)))]
        results.append((y, [torch.zeros(()) if g is None else g for g in gradients]))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-4, atol=2e-5)
    assert len(results[0][1]) == len(results[1][1])
    for theirs_grad, mine_grad in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(mine_grad, theirs_grad, rtol=1e-3, atol=5e-5)


CASES: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    # name: how a library makes the layer, and what it is called with behind x and edge_index
    "gcn": (lambda m: m.GCNConv(IN, OUT), []),
    "gcn-wide": (lambda m: m.GCNConv(IN, 3 * IN), []),
    # PyG 2.8 forgets `improved` where edges have no weights: its documentation and ours say A + 2 I there as well.
    "gcn-improved": (lambda m: m.GCNConv(IN, OUT, improved=True, bias=False), ["weight"]),
    "gcn-weights": (lambda m: m.GCNConv(IN, OUT), ["weight"]),
    "gcn-no-loops": (lambda m: m.GCNConv(IN, OUT, add_self_loops=False), ["weight"]),
    "gcn-plain": (lambda m: m.GCNConv(IN, OUT, normalize=False), ["weight"]),
    "gcn-cached": (lambda m: m.GCNConv(IN, OUT, cached=True), []),
    "sage": (lambda m: m.SAGEConv(IN, OUT), []),
    "sage-wide": (lambda m: m.SAGEConv(IN, 3 * IN), []),
    "sage-sum": (lambda m: m.SAGEConv(IN, OUT, aggr="sum", bias=False), []),
    "sage-add": (lambda m: m.SAGEConv(IN, OUT, aggr="add"), []),
    "sage-min": (lambda m: m.SAGEConv(IN, OUT, aggr="min"), []),
    "sage-pool": (lambda m: m.SAGEConv(IN, OUT, aggr="max", project=True), []),
    "sage-normalize": (lambda m: m.SAGEConv(IN, OUT, normalize=True, root_weight=False), []),
    "gat": (lambda m: m.GATConv(IN, OUT, heads=3), []),
    "gat-mean": (lambda m: m.GATConv(IN, OUT, heads=3, concat=False, negative_slope=0.1), []),
    "gat-residual": (lambda m: m.GATConv(IN, OUT, heads=2, residual=True, add_self_loops=False), []),
    "gat-edges": (lambda m: m.GATConv(IN, OUT, heads=2, edge_dim=5), ["features"]),
    "gat-edges-max": (lambda m: m.GATConv(IN, OUT, edge_dim=1, fill_value="max"), ["weight"]),
    "gat-edges-number": (lambda m: m.GATConv(IN, OUT, edge_dim=5, fill_value=0.5, bias=False), ["features"]),
    "gat-edges-tensor": (lambda m: m.GATConv(IN, OUT, edge_dim=5, fill_value=torch.arange(5.0)), ["features"]),
    "gatv2": (lambda m: m.GATv2Conv(IN, OUT, heads=3), []),
    "gatv2-shared": (lambda m: m.GATv2Conv(IN, OUT, heads=2, share_weights=True, concat=False), []),
    "gatv2-edges": (lambda m: m.GATv2Conv(IN, OUT, heads=2, edge_dim=5, residual=True), ["features"]),
    "gin": (lambda m: m.GINConv(nn.Sequential(nn.Linear(IN, 5), nn.ReLU(), nn.Linear(5, OUT)), train_eps=True), []),
    "gin-wide": (lambda m: m.GINConv(nn.Linear(IN, 2 * IN), eps=0.3), []),
    "gin-nonlinear": (lambda m: m.GINConv(nn.Sequential(nn.ReLU(), nn.Linear(IN, OUT))), []),
    "gine": (lambda m: m.GINEConv(nn.Linear(IN, OUT), eps=0.1, edge_dim=5, train_eps=True), ["features"]),
    "rgcn": (lambda m: m.RGCNConv(IN, OUT, 4), ["types"]),
    "rgcn-bases": (lambda m: m.RGCNConv(IN, OUT, 4, num_bases=2, aggr="sum"), ["types"]),
    "rgcn-blocks": (lambda m: m.RGCNConv(IN, OUT, 4, num_blocks=2, root_weight=False), ["types"]),
    "rgcn-wide": (lambda m: m.RGCNConv(IN, 2 * IN, 4, aggr="max", bias=False), ["types"]),
    "cheb": (lambda m: m.ChebConv(IN, OUT, K=4), []),
    "cheb-1": (lambda m: m.ChebConv(IN, OUT, K=1), []),
    "cheb-weights": (lambda m: m.ChebConv(IN, OUT, K=3, normalization="rw"), ["weight"]),
    "cheb-laplacian": (lambda m: m.ChebConv(IN, OUT, K=3, normalization=None, bias=False), []),
    "sgc": (lambda m: m.SGConv(IN, OUT, K=3), []),
    "sgc-wide": (lambda m: m.SGConv(IN, 2 * IN, K=2, bias=False), ["weight"]),
    "sgc-no-loops": (lambda m: m.SGConv(IN, OUT, K=1, add_self_loops=False), []),
    "appnp": (lambda m: m.APPNP(K=4, alpha=0.2), []),
    "appnp-weights": (lambda m: m.APPNP(K=2, alpha=0.1, normalize=False, add_self_loops=False), ["weight"]),
    "gated": (lambda m: m.ResGatedGraphConv(IN, OUT), []),
    "gated-edges": (lambda m: m.ResGatedGraphConv(IN, OUT, act=nn.Tanh(), edge_dim=5, bias=False), ["features"]),
    "gated-no-root": (lambda m: m.ResGatedGraphConv(IN, OUT, root_weight=False), []),
    "edge": (lambda m: m.EdgeConv(nn.Sequential(nn.Linear(2 * IN, 5), nn.ReLU(), nn.Linear(5, OUT))), []),
    "edge-linear": (lambda m: m.EdgeConv(nn.Linear(2 * IN, OUT)), []),
    "edge-relu": (lambda m: m.EdgeConv(nn.Sequential(nn.Linear(2 * IN, OUT), nn.ReLU())), []),
    "edge-mean": (lambda m: m.EdgeConv(nn.Linear(2 * IN, OUT), aggr="mean"), []),
    "edge-sum": (lambda m: m.EdgeConv(nn.Linear(2 * IN, OUT, bias=False), aggr="add"), []),
    "edge-nonlinear": (lambda m: m.EdgeConv(nn.Sequential(nn.Tanh(), nn.Linear(2 * IN, OUT)), aggr="min"), []),
}


def extras(names: list[str], count: int) -> list[Any]:
    known = {
        "weight": lambda: positive(count),
        "features": lambda: random(count, 5, seed=3),
        "types": lambda: torch.randint(4, (count,), generator=torch.Generator().manual_seed(4)),
    }
    return [known[name]() for name in names]


@pytest.mark.parametrize("case", CASES)
def test_equal_to_pyg(case: str) -> None:
    make, names = CASES[case]
    edge_index = edges()
    compare(make(pyg), make(ours), [random(NODES, IN), edge_index, *extras(names, edge_index.shape[1])])


@pytest.mark.parametrize("case", ["gcn-weights", "gat-edges", "sage", "rgcn", "cheb-weights", "gine"])
def test_a_graph_takes_values_in_its_own_order(case: str) -> None:
    make, names = CASES[case]
    edge_index, layer, x = edges(), make(ours), random(NODES, IN)
    values = extras(names, edge_index.shape[1])
    graph = Graph.from_edge_index(edge_index, num_nodes=NODES)
    own = [graph.to_csr_order(value) for value in values]
    torch.testing.assert_close(layer(x, graph, *own), layer(x, edge_index, *values))


@pytest.mark.parametrize("order", ["degree", "rcm"])
@pytest.mark.parametrize("case", ["gcn", "sage", "gat", "gatv2", "cheb", "edge"])
def test_order_in_memory_changes_nothing(case: str, order: Any) -> None:
    from moiety.nn.graph.structure import self_loops

    make, _ = CASES[case]
    edge_index, layer, x = edges(), make(ours), random(NODES, IN)
    graph = Graph.from_edge_index(edge_index, num_nodes=NODES, order=order)
    assert self_loops(graph).graph.order == order
    torch.testing.assert_close(layer(x, graph), layer(x, edge_index), rtol=1e-4, atol=1e-5)


PAIRS: dict[str, Callable[[Any], Any]] = {
    "sage": lambda m: m.SAGEConv((IN, 3), OUT),
    "gat": lambda m: m.GATConv((IN, 3), OUT, heads=2, add_self_loops=False),
    "gat-loops": lambda m: m.GATConv((IN, 3), OUT, heads=2),
    "gatv2": lambda m: m.GATv2Conv((IN, 3), OUT, heads=2, add_self_loops=False),
    "rgcn": lambda m: m.RGCNConv((IN, 3), OUT, 4),
    "gated": lambda m: m.ResGatedGraphConv((IN, 3), OUT),
}


@pytest.mark.parametrize("case", PAIRS)
def test_bipartite_graphs(case: str) -> None:
    edge_index = edges(targets=11, loops=False)
    inputs = [(random(NODES, IN), random(11, 3, seed=5)), edge_index]
    if case == "rgcn":
        inputs += extras(["types"], edge_index.shape[1])
    compare(PAIRS[case](pyg), PAIRS[case](ours), inputs)


@pytest.mark.parametrize(
    ("make", "out"), [(lambda m: m.SAGEConv((IN, IN), OUT), OUT), (lambda m: m.GATConv((IN, IN), OUT), OUT)]
)
def test_targets_without_features(make: Callable[[Any], Any], out: int) -> None:
    edge_index = edges(targets=11, loops=False)
    theirs, mine = make(pyg), make(ours)
    mine.load_state_dict(theirs.state_dict())
    if hasattr(theirs, "add_self_loops"):
        theirs.add_self_loops = mine.add_self_loops = False
    x, size = (random(NODES, IN), None), (NODES, 11)
    torch.testing.assert_close(mine(x, edge_index, size=size), theirs(x, edge_index, size=size), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_sparse_adjacency() -> None:
    edge_index, x = edges(), random(NODES, IN)
    weight = positive(edge_index.shape[1])
    size = (NODES, NODES)
    matrix = torch.sparse_coo_tensor(edge_index.flip(0), weight, size, check_invariants=True)
    layer = ours.GCNConv(IN, OUT)
    torch.testing.assert_close(layer(x, matrix), layer(x, edge_index, weight))
    torch.testing.assert_close(layer(x, matrix.coalesce()), layer(x, matrix.coalesce().to_sparse_csr()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ours.GCNConv(IN, OUT),
        lambda: ours.SAGEConv(IN, OUT),
        lambda: ours.SAGEConv(IN, OUT, aggr="max", project=True),
        lambda: ours.GATConv(IN, OUT, heads=2, residual=True),
        lambda: ours.GATv2Conv(IN, OUT),
        lambda: ours.GINConv(nn.Sequential(nn.Linear(IN, 9), nn.ReLU(), nn.Linear(9, OUT))),
        lambda: ours.SGConv(IN, OUT, K=2),
    ],
)
def test_sparse_features(make: Callable[[], nn.Module]) -> None:
    x = random(NODES, IN) * (random(NODES, IN, seed=6) > 0.5)
    rows, columns = x.nonzero(as_tuple=True)
    sparse = Graph.from_edge_index(torch.stack([columns, rows]), NODES, x[rows, columns], num_sources=IN)
    layer, edge_index = make(), edges()
    dense_result = layer(x, edge_index)
    dense_result.sum().backward()
    dense = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    result = layer(sparse, edge_index)
    result.sum().backward()
    torch.testing.assert_close(result, dense_result, rtol=1e-4, atol=1e-5)
    for found, expected in zip((p.grad for p in layer.parameters() if p.grad is not None), dense, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_attention_weights() -> None:
    edge_index, x = edges(), random(NODES, IN)
    for make in (lambda m: m.GATConv(IN, OUT, heads=2), lambda m: m.GATv2Conv(IN, OUT, heads=2)):
        theirs, mine = make(pyg), make(ours)
        mine.load_state_dict(theirs.state_dict())
        _, (their_edges, their_weights) = theirs(x, edge_index, return_attention_weights=True)
        y, (own_edges, own_weights) = mine(x, edge_index, return_attention_weights=True)
        torch.testing.assert_close(y, mine(x, edge_index))

        def dense(index: Tensor, weights: Tensor) -> Tensor:
            return torch.zeros(NODES, NODES, 2).index_put((index[0], index[1]), weights, accumulate=True)

        torch.testing.assert_close(
            dense(own_edges, own_weights), dense(their_edges, their_weights), rtol=1e-4, atol=1e-6
        )


def test_dropout_of_attention_keeps_the_mean() -> None:
    edge_index, x = edges(), random(NODES, IN)
    layer = ours.GATConv(IN, OUT, dropout=0.5)
    with torch.no_grad():
        torch.manual_seed(3)
        mean = torch.stack([layer(x, edge_index) for _ in range(400)]).mean(0)
        layer.eval()
        torch.testing.assert_close(mean, layer(x, edge_index), rtol=0.2, atol=0.2)
        assert torch.equal(layer(x, edge_index), layer(x, edge_index))


def test_dropout_of_appnp_only_in_training() -> None:
    edge_index, x = edges(), random(NODES, IN)
    layer = ours.APPNP(3, 0.1, dropout=0.5)
    assert not torch.equal(layer(x, edge_index), layer(x, edge_index))
    layer.eval()
    torch.testing.assert_close(layer(x, edge_index), pyg.APPNP(3, 0.1)(x, edge_index))


def test_rgcn_of_embeddings() -> None:
    edge_index = edges()
    types = extras(["types"], edge_index.shape[1])[0]
    theirs, mine = pyg.RGCNConv(NODES, OUT, 4), ours.RGCNConv(NODES, OUT, 4)
    mine.load_state_dict(theirs.state_dict())
    for x in (None, torch.randperm(NODES, generator=torch.Generator().manual_seed(7))):
        expected = theirs(x, edge_index, types)
        torch.testing.assert_close(mine(x, edge_index, types), expected, rtol=1e-4, atol=1e-5)


def test_conversions_are_remembered_until_the_tensor_changes() -> None:
    from moiety.nn.graph.structure import as_graph

    edge_index = edges()
    first = as_graph(edge_index, NODES, NODES)
    assert as_graph(edge_index, NODES, NODES) is first
    assert as_graph(edge_index, NODES + 1, NODES + 1) is not first
    layer, x = ours.SAGEConv(IN, OUT), random(NODES, IN)
    before = layer(x, edge_index)
    edge_index[0, 0] = (edge_index[0, 0] + 1) % NODES
    after = layer(x, edge_index)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, layer(x, edge_index.clone()))


def test_sgc_cached_keeps_the_first_features() -> None:
    edge_index, layer = edges(), ours.SGConv(IN, OUT, K=2, cached=True)
    y = layer(random(NODES, IN), edge_index)
    torch.testing.assert_close(layer(random(NODES, IN, seed=8), edge_index), y)
    layer.reset_parameters()
    assert layer._cached_x is None


HETERO = {
    ("user", "rates", "film"): lambda m: m.SAGEConv((5, 7), OUT),
    ("film", "rated.by", "user"): lambda m: m.GATConv((7, 5), OUT, add_self_loops=False),
    ("user", "knows", "user"): lambda m: m.GCNConv(5, OUT),
}


@pytest.mark.parametrize("aggr", ["sum", "mean", "max", "min", "cat", None])
def test_hetero_conv(aggr: str | None) -> None:
    theirs = pyg.HeteroConv({relation: make(pyg) for relation, make in HETERO.items()}, aggr=aggr)
    mine = ours.HeteroConv({relation: make(ours) for relation, make in HETERO.items()}, aggr=aggr)
    mine.load_state_dict(theirs.state_dict())
    x = {"user": random(10, 5), "film": random(12, 7, seed=2)}
    index = {
        ("user", "rates", "film"): edges(12, 10, loops=False),
        ("film", "rated.by", "user"): edges(10, 12, seed=3, loops=False),
        ("user", "knows", "user"): edges(10, 10, seed=4, loops=False),
    }
    weight = {("user", "knows", "user"): positive(index["user", "knows", "user"].shape[1])}
    expected = theirs(x, index, edge_weight_dict=weight)
    found = mine(x, index, edge_weight_dict=weight)
    assert found.keys() == expected.keys()
    for kind, value in expected.items():
        torch.testing.assert_close(found[kind], value, rtol=1e-4, atol=1e-5)


REFUSED: list[tuple[Callable[[Tensor, Tensor], object], str]] = [
    (lambda x, _: ours.GCNConv(IN, OUT)(x[:5], Graph.from_edge_index(edges())), "expected a graph of 5 sources"),
    (lambda x, _: ours.GCNConv(IN, OUT, add_self_loops=True, normalize=False), "wants normalize=True"),
    (lambda x, e: ours.GCNConv(IN, OUT)(x, e, positive(3)), "a value for each of"),
    (lambda x, e: ours.SAGEConv(IN, OUT, aggr="lstm"), "aggr must be 'sum'"),
    (lambda x, e: ours.GATConv(IN, OUT, heads=0), "expected heads >= 1"),
    (lambda x, e: ours.GATConv(IN, OUT, edge_dim=1, fill_value="median")(x, e, positive(e.shape[1])), "got 'median'"),
    (lambda x, e: ours.GATv2Conv(IN, OUT)((x, None), e), "features of the targets"),
    (lambda x, e: ours.GINEConv(nn.Linear(IN, OUT))(x, e), "expected edge_attr"),
    (lambda x, e: ours.GINEConv(nn.Linear(IN, OUT))(x, e, random(e.shape[1], 2)), "give edge_dim=2"),
    (lambda x, e: ours.RGCNConv(IN, OUT, 2)(x, e, torch.full((e.shape[1],), 2)), r"edge types in \[0, 2\)"),
    (lambda x, e: ours.RGCNConv(IN, OUT, 2)(x, e), "expected edge_type"),
    (lambda x, e: ours.RGCNConv(IN, OUT, 2, num_bases=2, num_blocks=2), "or neither, got both"),
    (lambda x, e: ours.ChebConv(IN, OUT, K=0), "expected K >= 1"),
    (lambda x, e: ours.ResGatedGraphConv(IN, OUT, edge_dim=2)(x, e), "edge_dim is 2: expected edge_attr just where"),
    (lambda x, e: ours.APPNP(2, 1.5), r"alpha in \[0, 1\]"),
    (lambda x, e: ours.HeteroConv({("a", "b", "c"): ours.GATConv(IN, OUT)}), "give add_self_loops=False"),
    (lambda x, e: ours.HeteroConv({}, aggr="median"), "got 'median'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("run", "said"), REFUSED)
def test_refusals(run: Callable[[Tensor, Tensor], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run(random(NODES, IN), edges())


def test_no_graph_at_all() -> None:
    with pytest.raises(TypeError, match=r"expected a moiety.graph.Graph, an edge_index .* got list"):
        ours.SAGEConv(IN, OUT)(random(NODES, IN), [[0], [1]])


@pytest.mark.parametrize("case", ["gcn", "gat"])
def test_compiles_without_a_break(case: str) -> None:
    make, _ = CASES[case]
    layer, x, graph = make(ours), random(NODES, IN), Graph.from_edge_index(edges(), num_nodes=NODES)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    expected = layer(x, graph)
    torch.testing.assert_close(compiled(x, graph), expected)
    compiled(x, graph).sum().backward()
    gradients = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    layer(x, graph).sum().backward()
    torch.testing.assert_close(gradients, [p.grad for p in layer.parameters()])


@pytest.mark.parametrize("case", ["gatv2-edges", "gine", "gated-edges"])
def test_pieces_are_the_whole(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages made a few edges at a time: equal to PyG's, in results and gradients."""
    from moiety.nn.graph import edgewise

    monkeypatch.setattr(edgewise, "PIECE", 40)
    test_equal_to_pyg(case)
    graph = Graph.from_edge_index(edges(), num_nodes=NODES)
    bounds = edgewise._bounds(graph.indptr, 7)
    assert len(bounds) > 5
    assert [end for _, end in bounds[:-1]] == [begin for begin, _ in bounds[1:]]
    assert (bounds[0][0], bounds[-1][1]) == (0, graph.num_edges)
    assert {begin for begin, _ in bounds} <= set(graph.indptr.tolist())


@pytest.mark.parametrize("add_up", [True, False])
@pytest.mark.parametrize("count", [0, 1, 60])
def test_gradients_over_edges(add_up: bool, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from moiety.nn.graph import edgewise

    monkeypatch.setattr(edgewise, "PIECE", 12)
    index = torch.randint(5, (2, count), generator=torch.Generator().manual_seed(0))
    graph = Graph.from_edge_index(index, num_nodes=6, num_sources=5)
    x, y, e, w = (random(*shape, seed=i).double() for i, shape in enumerate([(5, 2), (6, 2), (count, 2), (2, 2)]))
    for value in (x, y, e, w):
        value.requires_grad_()

    def run(x: Tensor, y: Tensor, e: Tensor, w: Tensor) -> Tensor:
        return edgewise.over_edges(
            graph,
            lambda x_j, y_i, e, w: torch.tanh(x_j * y_i + e @ w),
            sources=[x],
            targets=[y],
            edges=[e],
            parameters=[w],
            add_up=add_up,
        )

    assert run(x, y, e, w).shape == ((6 if add_up else count), 2)
    assert torch.autograd.gradcheck(run, (x, y, e, w))


def test_no_edges() -> None:
    layer = ours.GATv2Conv(IN, OUT, add_self_loops=False, bias=False)
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert torch.equal(layer(random(NODES, IN), none), torch.zeros(NODES, OUT))
