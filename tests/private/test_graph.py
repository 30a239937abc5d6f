"""Models over a public graph: the same answers as in the clear, aggregation without a byte, one truncation a layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import certified, kinds
from torch import Tensor, nn
from torch.nn import functional as F

from moiety import private
from moiety.data.graphs import load_graph
from moiety.graph import Graph
from moiety.hls.record import Recording, record
from moiety.models import create_model
from moiety.nn import APPNP, GATConv, GCNConv, GINConv, SAGEConv, SGConv, X2Act
from moiety.private import reference
from moiety.private.program import Program

NODES, FEATURES, CLASSES = 48, 20, 3
FRAME = 24


def some_graph(nodes: int = NODES, edges: int = 150, seed: int = 0) -> Graph:
    """Directed, with a hub, duplicate edges and nodes that no edge enters."""
    random = np.random.default_rng(seed)
    ends = random.integers(0, nodes, (2, edges))
    ends[1, : edges // 4] = 7
    ends[:, -1] = ends[:, -2]
    return Graph.from_edge_index(torch.from_numpy(ends), nodes)


def features(nodes: int = NODES, count: int = FEATURES, seed: int = 0) -> Tensor:
    return torch.rand(nodes, count, generator=torch.Generator().manual_seed(seed))


class Chain(nn.Module):
    """Layers over a graph with activations between."""

    def __init__(self, *layers: nn.Module, activation: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = activation

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(self.activation(x) if i else x, graph)
        return x


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs))


class Predict(nn.Module):
    """A network on the nodes apart, then propagation: APPNP's model."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.net = mlp(FEATURES, CLASSES)
        self.propagate = APPNP(steps, 0.1)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return self.propagate(self.net(x), graph)


class Products(nn.Module):
    """Written by hand: edges weighed by the product of what is at their ends, nodes chosen by number."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(FEATURES, 6), nn.Linear(FEATURES, 6)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        from moiety.ops import sddmm, spmm

        q, k = self.query(x), self.key(x)
        by_head = sddmm(graph, q.view(-1, 2, 3), k.view(-1, 2, 3))
        whole = spmm(graph, k, 0.1 * sddmm(graph, q, k), reduce="mean")
        y = spmm(graph, k.view(-1, 2, 3), by_head, reduce="mean").flatten(1) + whole
        return torch.cat([y[graph.indices[:5]], y[3:9], y.mean(0, keepdim=True)])


class Layers(nn.Module):
    """Written by hand: a mean without a root, and a sum of a node with its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        from moiety.ops import spmm

        h = F.relu(self.first(x))
        return self.second(0.5 * (h + spmm(graph, h)) - spmm(graph, h, reduce="mean"))


# Model, truncations, sparse products.
MODELS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "gcn": (lambda: Chain(GCNConv(FEATURES, 8), GCNConv(8, CLASSES)), 1, 2),
    "sage": (lambda: Chain(SAGEConv(FEATURES, 8), SAGEConv(8, CLASSES)), 1, 2),
    "sage_sum": (lambda: Chain(SAGEConv(FEATURES, 8, aggr="sum"), SAGEConv(8, CLASSES, aggr="sum")), 1, 2),
    "gin": (lambda: Chain(GINConv(mlp(FEATURES, 8), train_eps=True), GINConv(mlp(8, CLASSES))), 3, 2),
    "sgc": (lambda: SGConv(FEATURES, CLASSES, K=2), 1, 2),
    "appnp": (lambda: Predict(4), 4, 4),  # that of the network before, and one a step but the last
    "squares": (lambda: Chain(GCNConv(FEATURES, 8), GCNConv(8, CLASSES), activation=X2Act(8)), 2, 2),
    "by_hand": (Layers, 1, 1),
    "products": (Products, 6, 9),
    "relu_attention": (lambda: Chain(GATConv(FEATURES, 4, 2, attention="relu"), GATConv(8, 3, attention="relu")), 7, 8),
    "square_attention": (lambda: GATConv(FEATURES, 3, 2, concat=False, attention="square"), 4, 4),
}


def trained_like(name: str, seed: int = 0) -> nn.Module:
    """With parameters and statistics as a training leaves them."""
    torch.manual_seed(seed)
    model = MODELS[name][0]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    for path, parameter in model.named_parameters():
        if path.endswith(("bias", "eps")):
            nn.init.uniform_(parameter, -0.3, 0.3)
    return model.eval()


def plain(model: nn.Module, x: Tensor, graph: Graph) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.double()(x.double(), graph)
    model.float()
    return result


def output_of(played: Recording) -> np.ndarray[Any, Any]:
    """What the client reads: the sum of both shares of what `output` reveals."""
    last = played.program.ops[-1]
    t = played.program.tensors[last.inputs[0]]
    total = sum(played.share(half, last.inputs[0]) for half in played.halves)
    spare = np.uint64(64 - t.bits)
    signed = (np.asarray(total) << spare).view(np.int64) >> np.int64(spare)
    return np.ldexp(signed.astype(np.float64), -t.fraction).reshape(t.shape)


def sent(played: Recording) -> dict[str, int]:
    """Payload bytes of both parties by kind of operation."""
    counts: dict[str, int] = {}
    for half, (index, op) in itertools.product(played.halves, enumerate(played.program.ops)):
        counts[op.kind] = counts.get(op.kind, 0) + sum(map(len, half.messages[index]))
    return counts


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_in_the_clear(name: str) -> None:
    model, graph, x = trained_like(name), some_graph(), features()
    program = private.compile(model, x, calibration=x, graph=graph)
    expected = plain(model, x, graph)
    tolerance = 5e-4 * max(1.0, float(expected.abs().max()))
    trace = reference.run(program, x[None].numpy(), trace=True)
    certified(program, trace)
    assert np.abs(trace.output[0] - expected.numpy()).max() < tolerance
    played = record(program, x[None].numpy(), name)
    assert np.abs(output_of(played) - expected.numpy()).max() < tolerance
    bytes_sent = sent(played)
    assert bytes_sent["spmm"] == 0
    assert sum(bytes_sent.values()) > bytes_sent["open"] > 0
    _, truncations, products = MODELS[name]
    counted = kinds(program)
    assert counted["x2"] == 0  # its square is completed through the sparse product
    assert (counted["truncate"], counted["spmm"]) == (truncations, products)


@pytest.mark.parametrize("name", ["gcn", "relu_attention"])
def test_three_processes_agree_with_the_estimate(name: str) -> None:
    """Rounds and bytes by operation and in all; a batch is several features on one graph."""
    model, graph = trained_like(name), some_graph()
    x = torch.stack([features(seed=1), features(seed=2)])
    program = private.compile(model, x[0], calibration=x, graph=graph)
    result = private.run_local(program, x, comparison="circuit")
    cost = private.estimate(program, batch=2, comparison="circuit")
    client, server = result.stats.client["online"], result.stats.server["online"]
    assert (client.rounds, server.bytes_sent, client.bytes_sent) == (cost.rounds, cost.bytes_server, cost.bytes_client)
    for party in (client, server):
        assert (party.operators["spmm"]["bytes_sent"], party.operators["spmm"]["rounds"]) == (0, 0)
    for sample, given in zip(result.output, x, strict=True):
        assert torch.allclose(sample.double(), plain(model, given, graph), atol=1e-3)
    alone = private.run_local(program, x[:1], comparison="dcf")
    assert torch.allclose(alone.output[0], result.output[0], atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_but_widths_depends_on_the_parameters(name: str) -> None:
    """The client sees kinds, shapes and what reads what: the same for other weights (docs/compiler.md)."""
    graph, x = some_graph(), features()

    def structure(seed: int) -> list[Any]:
        program = private.compile(trained_like(name, seed), x, calibration=x, graph=graph)
        shown = [(op.kind, op.inputs, program.tensors[op.output].shape) for op in program.ops]
        return [*shown, sorted(program.public)]

    assert structure(0) == structure(1)


def words(n: int) -> int:
    return 8 * -(-n // 64)


@pytest.mark.parametrize("attention", ["relu", "square"])
@pytest.mark.parametrize(("heads", "width"), [(1, 3), (2, 4)])
def test_attention_costs_its_closed_formula(attention: str, heads: int, width: int) -> None:
    """docs/engine.md: what a layer of attention sends is O(edges x features)."""
    graph, x = some_graph(), features()
    torch.manual_seed(1)
    layer = GATConv(FEATURES, width, heads, attention=attention).eval()
    program = private.compile(layer, x, calibration=x, graph=graph)
    n, edges, channels = NODES, graph.add_self_loops().num_edges, heads * width
    assert edges == next(program.tensors[op.output].shape[-1] for op in program.ops if op.kind == "spmm")
    played = record(program, x[None].numpy(), attention)
    bytes_sent = sent(played)
    scores = 2 * words(n * heads)  # truncated at the nodes, at both ends
    values = words(n * channels)
    weights = words(edges * heads) if attention == "square" else 0  # the squares'
    assert bytes_sent["open"] == 8 * n * FEATURES
    assert bytes_sent["truncate"] == 2 * (scores + values + weights)
    assert bytes_sent["multiply"] == 2 * 16 * edges * channels
    if attention == "square":
        assert bytes_sent["square"] == 2 * 8 * edges * heads
    else:
        assert bytes_sent["extend"] == 2 * words(edges * heads)
        assert bytes_sent["relu"] > 0
    cost = private.estimate(program, comparison="circuit")
    frames = cost.bytes_online - sum(bytes_sent.values())
    assert 0 < frames <= 2 * FRAME * cost.rounds
    levels = 1 + 3  # of a comparison, docs/engine.md 3.4
    assert cost.rounds == 1 + 1 + (levels + 1 if attention == "relu" else 1 + 1) + 1 + 1


@pytest.mark.parametrize("attention", ["relu", "square"])
def test_attention_without_a_softmax(attention: Any) -> None:
    """The layer in the clear: its coefficients by hand, and a mean where all scores are 0."""
    graph, x = some_graph(), features()
    layer = GATConv(FEATURES, 3, 2, attention=attention, bias=False)
    y, (edges, coefficients) = layer(x, graph, return_attention_weights=True)
    assert torch.allclose(y, layer(x, graph))
    h = layer.lin(x).view(-1, 2, 3)
    scores = (h * layer.att_src).sum(2)[edges[0]] + (h * layer.att_dst).sum(2)[edges[1]]
    raised = F.relu(1 + scores) if attention == "relu" else (1 + scores / 2) ** 2
    count = torch.bincount(edges[1], minlength=NODES)
    assert torch.allclose(coefficients, raised / count[edges[1]].unsqueeze(1), atol=1e-6)
    expected = torch.zeros(NODES, 2, 3).index_add(0, edges[1], coefficients.unsqueeze(2) * h[edges[0]])
    assert torch.allclose(y, expected.flatten(1), atol=1e-5)
    nn.init.zeros_(layer.att_src)
    nn.init.zeros_(layer.att_dst)
    mean = torch.zeros(NODES, 2, 3).index_add(0, edges[1], h[edges[0]]) / count.view(-1, 1, 1)
    assert torch.allclose(layer(x, graph), mean.flatten(1), atol=1e-5)
    with pytest.raises(ValueError, match="attention must be 'softmax', 'relu' or 'square'"):
        GATConv(FEATURES, 3, attention="tanh")  # type: ignore[arg-type]


def test_the_order_of_products_is_the_cheaper_one() -> None:
    """A (X W) where W narrows, (A X) W where it widens; beside a root both read the one opening of X."""
    graph, x = some_graph(), features()

    def order(layer: nn.Module) -> list[str]:
        program = private.compile(layer.eval(), x, calibration=x, graph=graph)
        return [op.kind for op in program.ops if op.kind in ("open", "linear", "spmm", "truncate")]

    assert order(GCNConv(FEATURES, 8)) == ["open", "linear", "spmm"]
    assert order(GCNConv(FEATURES, 40)) == ["spmm", "open", "linear"]
    assert order(SAGEConv(FEATURES, 40)) == ["open", "linear", "spmm", "linear"]
    assert order(SAGEConv(FEATURES, 40, root_weight=False)) == ["spmm", "open", "linear"]


def test_a_network_trained_on_the_karate_club() -> None:
    club = load_graph("karate")
    torch.manual_seed(0)
    x = club.x.to_dense() if not isinstance(club.x, Tensor) else club.x
    model = Chain(GCNConv(x.shape[1], 16), GCNConv(16, len(club.classes)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x, club.graph)[club.train], club.y[club.train]).backward()
        optimizer.step()
    expected = plain(model.eval(), x, club.graph)
    for output in ("logits", "class"):
        program = private.compile(model, x, calibration=x, graph=club.graph, output=output)
        found = private.run_local(program, x[None]).output[0]
        labels = found if output == "class" else found.argmax(1)
        assert torch.equal(labels.long(), expected.argmax(1))
    assert (expected.argmax(1) == club.y).double().mean() > 0.8


def test_cora_end_to_end(data: Path) -> None:
    """1,433 features of 2,708 nodes; what the client reads agrees on 99.9 % of the nodes."""
    if not (data / "planetoid" / "cora.npz").is_file():
        pytest.skip("data not found under --data, MOIETY_DATA or ../shared/data")
    cora = load_graph("cora", data=data, sparse=False)
    torch.manual_seed(0)
    assert isinstance(cora.x, Tensor)
    model = create_model("gcn", in_features=cora.x.shape[1], num_classes=len(cora.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    for _ in range(12):
        optimizer.zero_grad()
        F.cross_entropy(model(cora.x, cora.graph)[cora.train], cora.y[cora.train]).backward()
        optimizer.step()
    program = private.compile(model.eval(), cora.x, calibration=cora.x, graph=cora.graph)
    result = private.run_local(program, cora.x[None], comparison="circuit", timeout=300)
    with torch.no_grad():
        expected = model(cora.x, cora.graph)
    same = (result.output[0].argmax(1) == expected.argmax(1)).double().mean()
    assert same >= 0.999
    assert (result.output[0] - expected).abs().max() < 0.01
    online = result.stats.client["online"]
    assert online.operators["spmm"]["bytes_sent"] == 0
    assert online.bytes_sent < 1.05 * 8 * cora.x.numel()  # the features, opened once
    assert max(online.peak_bytes, result.stats.server["online"].peak_bytes) < 1 << 30


def test_checked_ranges() -> None:
    """Every node's values are checked; features beyond what was measured are found out."""
    from moiety.private import OutOfRangeError

    model, graph, x = trained_like("gcn"), some_graph(), features()
    program = private.compile(model, x, calibration=x, graph=graph, check_range=True, input_bound=1000.0)
    inside = private.run_local(program, x[None])
    assert torch.allclose(inside.output[0].double(), plain(model, x, graph), atol=1e-3)
    with pytest.raises(OutOfRangeError):
        private.run_local(program, 1000 * x[None])


def assert_refused(model: Any, reason: str, graph: Any = "some", **options: Any) -> None:
    x = features()
    with pytest.raises(private.UnsupportedOperator, match=reason):
        private.compile(model.eval(), x, calibration=x, graph=some_graph() if graph == "some" else graph, **options)


class Softmax(nn.Module):
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        from moiety.ops import edge_softmax, sddmm, spmm

        return spmm(graph, x, edge_softmax(graph, sddmm(graph, x, x)))


class Weighted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Parameter(torch.rand(150))

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        from moiety.ops import spmm

        return spmm(graph, x, self.edges.sigmoid())


class Holds(nn.Module):
    """Its graph is its own, and nothing says that it is public."""

    def forward(self, x: Tensor) -> Tensor:
        from moiety.ops import spmm

        return spmm(some_graph(), x)


def test_what_is_refused() -> None:
    assert_refused(GATConv(FEATURES, 3), r"divides by a private sum: take .* GATConv\(attention='relu'\)")
    assert_refused(Softmax(), r"divides by a private sum: take .* GATConv\(attention='relu'\)")
    assert_refused(SAGEConv(FEATURES, 3, aggr="max"), "a comparison an edge and feature: take 'sum' or 'mean'")
    assert_refused(Weighted(), "computed from parameters, and the graph is public")
    assert_refused(Chain(GCNConv(FEATURES, 4), GCNConv(4, 2), activation=F.gelu), "use ReLU")
    with pytest.raises(ValueError, match=r"torch\.export cannot trace|it works on a graph"):
        private.compile(Holds().eval(), features(), calibration=features())
    with pytest.raises(ValueError, match="as many as there are rows of features"):
        private.compile(GCNConv(FEATURES, 3).eval(), features(nodes=9), calibration=None, graph=some_graph())


def test_a_program_without_certificate_room_is_refused() -> None:
    """A hub whose sum the ring cannot hold at this scale."""
    hub = torch.stack([torch.arange(NODES), torch.zeros(NODES, dtype=torch.int64)])
    graph = Graph.from_edge_index(hub, NODES, weight=torch.full((NODES,), 1e9))
    model = Chain(SGConv(FEATURES, 3, K=0))
    model.layers[0] = Sums()
    with pytest.raises(private.RangeError, match="spmm"):
        private.compile(model.eval(), features(), calibration=features(), graph=graph)


class Sums(nn.Module):
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        from moiety.ops import spmm

        return spmm(graph, spmm(graph, x))


def test_edge_index_and_graph_in_any_order_are_one_program() -> None:
    edges = torch.randint(0, NODES, (2, 90), generator=torch.Generator().manual_seed(3))
    programs: list[Program] = []
    x = features()
    for structure in (edges, Graph.from_edge_index(edges, NODES), Graph.from_edge_index(edges, NODES, order="rcm")):
        torch.manual_seed(0)
        layer = GCNConv(FEATURES, 3).eval()
        programs.append(private.compile(layer, x, calibration=x, graph=structure))
    assert len({program.hash for program in programs}) == 1
