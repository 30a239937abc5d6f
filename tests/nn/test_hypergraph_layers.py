"""Layers of hypergraph networks: equal to their papers' formulas written out node by node, and to PyTorch Geometric."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph, Hypergraph
from moiety.nn import AllSetConv, EDHNNConv, HGNNConv, HyperGCNConv, UniGCNConv, UniSAGEConv
from moiety.nn.hypergraph.parts import perceptron
from moiety.nn.hypergraph.structure import looped

IN, OUT = 5, 3
LISTS = [[0, 1, 2], [3, 1], [4, 5, 6, 0], [7], [2, 5], [6, 3, 4, 1, 0]]  # node 8 is in none
NODES = 9
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 1.5, 3.0, 0.25], dtype=torch.float64)


def hypergraph(weighted: bool = False) -> Hypergraph:
    return Hypergraph.from_lists(NODES, LISTS, WEIGHT if weighted else None)


def features(width: int = IN, seed: int = 0) -> Tensor:
    return torch.randn(NODES, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sparse(x: Tensor) -> Graph:
    rows, columns = x.nonzero(as_tuple=True)
    return Graph.from_edge_index(torch.stack([columns, rows]), len(x), x[rows, columns], num_sources=x.shape[1])


def with_loops(lists: list[list[int]], wanted: bool) -> list[list[int]]:
    return [*lists, *([v] for v in range(NODES) if wanted and [v] not in lists)]


def mean(x: Tensor, members: list[int]) -> Tensor:
    return sum((x[v] for v in members), torch.zeros(x.shape[1:], dtype=x.dtype)) / len(members)


def laplacian(signal: Tensor, line: Tensor | None, mediators: bool, code: bool) -> Tensor:
    """HyperGCN's, dense, hyperedge by hyperedge; line: of the projection, None for exact pairs."""
    a = torch.eye(NODES, dtype=torch.float64)
    for e in LISTS:
        if len(e) < 2:
            continue
        if line is None:
            pairs = [(float((signal[u] - signal[v]).norm()), -i, u, v)
                     for i, (u, v) in enumerate((u, v) for k, u in enumerate(e) for v in e[k + 1 :])]  # fmt: skip
            s, t = max(pairs)[2:]
        else:
            places = [float(signal[v] @ line) for v in e]
            s, t = e[places.index(max(places))], e[places.index(min(places))]
        others = [v for v in e if v not in (s, t)] if mediators else []
        weight = 1 / (2 * len(e) - 3) if mediators else 1 / len(e) if code else 1.0
        for u, v in [(s, t), *((end, k) for k in others for end in (s, t))]:
            a[u, v] += weight
            a[v, u] += weight
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


@pytest.mark.parametrize("mediators", [True, False])
@pytest.mark.parametrize("weighting", ["paper", "code"])
@pytest.mark.parametrize("pairs", ["projection", "exact"])
def test_hypergcn(mediators: bool, weighting: str, pairs: str) -> None:
    torch.manual_seed(1)
    layer = HyperGCNConv(IN, OUT, mediators, weighting, pairs).double().eval()  # type: ignore[arg-type]
    nn.init.normal_(layer.bias)
    x = features()
    h = x @ layer.lin.weight.t()
    line = layer.projection if pairs == "projection" else None
    expected = laplacian(h.detach(), line, mediators, weighting == "code") @ h + layer.bias
    torch.testing.assert_close(layer(x, hypergraph()), expected)


def test_a_training_draws_a_new_line_and_evaluation_keeps_its_own() -> None:
    torch.manual_seed(0)
    layer, x = HyperGCNConv(IN, 8).double(), features()
    assert len({float(layer(x, hypergraph()).detach().sum()) for _ in range(8)}) > 1
    layer.eval()
    assert torch.equal(layer(x, hypergraph()), layer(x, hypergraph()))
    other = HyperGCNConv(IN, 8).double().eval()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x, hypergraph()), other(x, hypergraph()))


def test_hypergcn_takes_a_laplacian_that_is_there() -> None:
    layer = HyperGCNConv(IN, OUT).double().eval()
    x = features()
    made = hypergraph().laplacian(F.linear(x, layer.lin.weight).detach(), projection=layer.projection)
    torch.testing.assert_close(layer(x, made), layer(x, hypergraph()))


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("how", ["symmetric", "row"])
def test_hgnn(loops: bool, weighted: bool, how: str) -> None:
    layer = HGNNConv(IN, OUT, how, loops).double()  # type: ignore[arg-type]
    nn.init.normal_(layer.bias)
    x = features()
    lists = with_loops(LISTS, loops)
    h = torch.zeros(NODES, len(lists), dtype=torch.float64)
    for e, members in enumerate(lists):
        h[members, e] = 1
    w = torch.ones(len(lists), dtype=torch.float64)
    if weighted:
        w[: len(WEIGHT)] = WEIGHT
    degree = h @ w
    inverse = torch.where(degree > 0, degree.pow(-0.5 if how == "symmetric" else -1.0), 0)
    operator = inverse[:, None] * (h * w / h.sum(0)) @ h.t()
    if how == "symmetric":
        operator = operator * inverse
    expected = operator @ (x @ layer.lin.weight.t()) + layer.bias
    torch.testing.assert_close(layer(x, hypergraph(weighted)), expected)


def test_hgnn_takes_the_operator_itself() -> None:
    layer = HGNNConv(IN, OUT).double()
    operator = hypergraph().expand("hgnn", torch.float64)
    torch.testing.assert_close(layer(features(), operator), layer(features(), hypergraph()))


def test_hgnn_by_rows_is_pyg() -> None:
    pyg = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed")
    theirs = pyg.HypergraphConv(IN, OUT).double()
    nn.init.normal_(theirs.bias)
    ours = HGNNConv(IN, OUT, "row").double()
    ours.load_state_dict(theirs.state_dict())
    index = torch.tensor([[v, e] for e, members in enumerate(LISTS) for v in members]).t()
    x, y = features().requires_grad_(), features().requires_grad_()
    expected, found = theirs(x, index), ours(y, hypergraph())
    torch.testing.assert_close(found, expected)
    (expected**2).sum().backward()
    (found**2).sum().backward()
    torch.testing.assert_close(y.grad, x.grad)
    torch.testing.assert_close(ours.lin.weight.grad, theirs.lin.weight.grad)


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_unigcn(loops: bool, normalize: bool) -> None:
    layer = UniGCNConv(IN, OUT, loops, normalize).double()
    lists = with_loops(LISTS, loops)
    degrees = [sum(v in e for e in lists) for v in range(NODES)]
    h = features() @ layer.lin.weight.t()
    rows = []
    for v in range(NODES):
        own = [e for e in lists if v in e]
        total = sum((mean(h, e) / math.sqrt(sum(degrees[u] for u in e) / len(e)) for e in own), torch.zeros_like(h[0]))
        rows.append(total / math.sqrt(degrees[v]) if own else total)
    expected = F.normalize(torch.stack(rows), dim=-1) if normalize else torch.stack(rows)
    torch.testing.assert_close(layer(features(), hypergraph()), expected)


@pytest.mark.parametrize("first", ["mean", "sum", "max"])
@pytest.mark.parametrize("second", ["mean", "sum", "max"])
def test_unisage(first: str, second: str) -> None:
    layer = UniSAGEConv(IN, OUT, first, second).double()
    reduce: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": lambda rows: rows.mean(0), "sum": lambda rows: rows.sum(0), "max": lambda rows: rows.amax(0),
    }  # fmt: skip
    h = features() @ layer.lin.weight.t()
    z = [reduce[first](h[e]) for e in LISTS]
    rows = [[z[i] for i, e in enumerate(LISTS) if v in e] for v in range(NODES)]
    expected = [h[v] + (reduce[second](torch.stack(own)) if own else 0) for v, own in enumerate(rows)]
    torch.testing.assert_close(layer(features(), hypergraph()), torch.stack(expected))


@pytest.mark.parametrize("layers", [(0, 0, 1), (2, 1, 0), (1, 2, 2)])
@pytest.mark.parametrize(("aggr", "loops"), [("mean", True), ("sum", False)])
@pytest.mark.parametrize("norm", [True, False])
def test_edhnn(layers: tuple[int, int, int], aggr: str, loops: bool, norm: bool) -> None:
    layer = EDHNNConv(IN, layers, aggr, 0.3, norm=norm, self_loops=loops).double()
    x, x0 = features(), features(seed=1)
    lists = with_loops(LISTS, loops)
    phi = layer.phi(x)
    z = [phi[e].mean(0) if aggr == "mean" else phi[e].sum(0) for e in lists]
    rows = []
    for v in range(NODES):
        own = [z[i] if layer.rho is None else layer.rho(torch.cat([x[v], z[i]])) for i, e in enumerate(lists) if v in e]
        stacked = torch.stack(own) if own else x.new_zeros(1, IN)
        rows.append(stacked.mean(0) if aggr == "mean" else stacked.sum(0))
    expected = layer.psi(0.7 * torch.stack(rows) + 0.3 * x0)
    torch.testing.assert_close(layer(x, hypergraph(), x0), expected)


@pytest.mark.parametrize("heads", [0, 3])
def test_allset(heads: int) -> None:
    layer = AllSetConv(IN, 6, heads, layers=2).double()
    lists = with_loops(LISTS, True)

    def gathered(part: nn.Module, x: Tensor, groups: list[list[int]]) -> Tensor:
        if not heads:
            inner = F.relu(part.inner(x))
            return part.outer(torch.stack([mean(inner, group) for group in groups]))
        keys, values = (lin(x).view(-1, heads, 2) for lin in (part.key, part.value))
        scores = F.leaky_relu((keys * part.query).sum(-1), 0.2)
        read = torch.stack([(scores[g].softmax(0)[..., None] * values[g]).sum(0) for g in groups])
        h = part.norms[0]((read + part.query).flatten(1))
        return part.norms[1](h + F.relu(part.outer(h)))

    z = F.relu(gathered(layer.to_hyperedges, features(), lists))
    holders = [[i for i, e in enumerate(lists) if v in e] for v in range(NODES)]
    torch.testing.assert_close(layer(features(), hypergraph()), gathered(layer.to_nodes, z, holders))


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "hypergcn": lambda: HyperGCNConv(IN, OUT),
    "hgnn": lambda: HGNNConv(IN, OUT, self_loops=True),
    "unigcn": lambda: UniGCNConv(IN, OUT, self_loops=True),
    "unisage": lambda: UniSAGEConv(IN, OUT),
    "edhnn": lambda: EDHNNConv(IN, (1, 2, 1), alpha=0.2),
    "allset": lambda: AllSetConv(IN, 6, 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str) -> None:
    """Against finite differences of the features and of every parameter; HyperGCN's pairs stay where they are."""
    torch.manual_seed(3)
    layer = LAYERS[name]().double().eval()
    graph: Hypergraph | Graph = hypergraph()
    if isinstance(layer, HyperGCNConv):
        graph = hypergraph().laplacian(features(OUT, 7))
    names = [key for key, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, graph))

    assert torch.autograd.gradcheck(run, (features().requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("name", ["hypergcn", "hgnn", "unigcn", "unisage"])
def test_sparse_features_are_dense_ones(name: str) -> None:
    torch.manual_seed(4)
    layer = LAYERS[name]().double().eval()
    x = features() * (features(seed=9) > 0)
    torch.testing.assert_close(layer(sparse(x), hypergraph()), layer(x, hypergraph()))


@pytest.mark.parametrize("name", LAYERS)
def test_renaming_the_nodes_renames_the_rows(name: str) -> None:
    torch.manual_seed(5)
    layer = LAYERS[name]().double().eval()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(2))
    place = order.argsort()
    other = Hypergraph.from_lists(NODES, [[int(place[v]) for v in e] for e in LISTS])
    torch.testing.assert_close(layer(features()[order], other), layer(features(), hypergraph())[order])


def test_reset_draws_anew_within_the_same_bounds() -> None:
    for build in LAYERS.values():
        layer = build()
        before = [p.clone() for p in layer.parameters()]
        layer.reset_parameters()
        assert any(not torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_loops_are_added_once_and_weigh_one() -> None:
    given = hypergraph(weighted=True)
    found = looped(given)
    assert found is looped(given)
    assert found.num_hyperedges == len(LISTS) + NODES - 1  # node 7 has its own
    assert found.weight is not None
    assert found.weight[len(LISTS) :].tolist() == [1.0] * (NODES - 1)
    assert sorted(found.indices[found.indptr[len(LISTS)] :].tolist()) == [v for v in range(NODES) if v != 7]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HyperGCNConv(IN, OUT, weighting="mine"), "weighting 'paper' or 'code'"),
        (lambda: HyperGCNConv(IN, OUT, pairs="all"), "pairs 'projection' or 'exact'"),
        (lambda: HGNNConv(IN, OUT, "columns"), "'symmetric' or 'row'"),
        (lambda: UniSAGEConv(IN, OUT, "median"), "aggr must be"),
        (lambda: EDHNNConv(IN, aggr="max"), "aggr 'mean' or 'sum'"),
        (lambda: EDHNNConv(IN, alpha=1.5), r"alpha in \[0, 1\]"),
        (lambda: AllSetConv(IN, 5, heads=2), "heads that divide"),
        (lambda: perceptron(3, 4, 5, 0), "keeps the width"),
        (lambda: UniGCNConv(IN, OUT)(torch.zeros(4, IN), hypergraph()), "a row of features a node, 9, got 4"),
        (
            lambda: UniSAGEConv(IN, OUT)(torch.zeros(9, IN), Graph.from_csr([0], [])),
            "expected a moiety.graph.Hypergraph",
        ),
    ],
)
def test_refusals(make: Callable[[], object], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        make()
