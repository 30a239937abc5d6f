"""Equation (3) in one process: the plain network, a PipeGCN written by hand, versions, gradients, refusals."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from moiety.data import load_graph
from moiety.data.graph_data import GraphData
from moiety.data.small_graphs import stochastic_blocks
from moiety.graph import Graph, Partition, partition
from moiety.models import create_model
from moiety.nn import SGConv
from moiety.nn.graph import GCNConv
from moiety.train.graph import HaloPlan, InParts, Layer, Ledger, MacroPipeline, Stages, Staleness, training
from moiety.train.graph.staleness import Delayed, Kind
from train.graph_workers import BOUNDS, blocks, network, optimizer, share_of_loss

EVERYONE = torch.arange(100)


def steps(net: Callable[[Tensor], Tensor], stages: Stages, data: GraphData, count: int) -> list[float]:
    step, losses, x = optimizer(stages.parameters()), [], data.x.double()  # type: ignore[union-attr]
    for _ in range(count):
        step.zero_grad()
        loss = share_of_loss(data, net(x), EVERYONE)
        loss.backward()  # type: ignore[no-untyped-call]
        step.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("kind", ["gcn", "sage", "sage-max", "gin", "gat", "gatv2", "edge"])
def test_synchronous_parts_are_the_plain_network(kind: str) -> None:
    data = blocks()
    plain, parted = network(kind), network(kind)
    net = InParts(parted, data.graph, partition(data.graph, 5))
    a = steps(lambda x: plain(x, data.graph), plain, data, 4)
    assert steps(net, parted, data, 4) == pytest.approx(a, abs=1e-12)
    for p, q in zip(plain.parameters(), parted.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["gcn", "graphsage", "gin", "gat", "gatv2"])
def test_stages_of_a_model_are_the_model(name: str) -> None:
    data = blocks()
    torch.manual_seed(0)
    options: dict[str, Any] = {"norm": False} if name == "gin" else {"normalize": True} if name == "graphsage" else {}
    model = create_model(name, in_features=16, num_classes=4, layers=3, **options).eval()
    stages = Stages.of(model)
    x = data.dense()
    torch.testing.assert_close(stages(x, data.graph), model(x, data.graph))
    assert {id(p) for p in stages.parameters()} == {id(p) for p in model.parameters()}
    assert stages.widths(16)[-1] == 4


class PipeGcnByHand:
    """Two GCN layers in parts by the formulas of PipeGCN (ICLR 2022), without autograd.

    A = own + far; far features and far gradients are those of the step before, in the first step its own.
    """

    def __init__(self, graph: Graph, parts: Partition, weights: list[Tensor], biases: list[Tensor]) -> None:
        normal = graph.gcn_normalized()
        source, target = normal.edge_index
        assert normal.weight is not None
        dense = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.float64)
        dense.index_put_((target, source), normal.weight.double(), accumulate=True)
        same = parts.assignment[:, None] == parts.assignment
        self.own, self.far = dense * same, dense * ~same
        self.w, self.b = [w.clone() for w in weights], [b.clone() for b in biases]
        self.before: tuple[Tensor, Tensor] | None = None

    def step(self, x: Tensor, y: Tensor, train: Tensor, rate: float) -> float:
        w, b = self.w, self.b
        xs = (self.own + self.far) @ x
        z1 = xs @ w[0] + b[0]
        h1 = torch.tanh(z1)
        far_h1 = h1 if self.before is None else self.before[0]
        hs = self.own @ h1 + self.far @ far_h1
        logits = hs @ w[1] + b[1]
        log_p = logits - logits.logsumexp(1, keepdim=True)
        loss = -log_p[train, y[train]].mean()
        dz2 = log_p.exp()
        dz2[torch.arange(len(y)), y] -= 1
        dz2 = dz2 * train[:, None] / train.sum()
        far_now = self.far.t() @ (dz2 @ w[1].t())
        dh1 = self.own.t() @ (dz2 @ w[1].t()) + (far_now if self.before is None else self.before[1])
        dz1 = dh1 * (1 - h1**2)
        gradients = [xs.t() @ dz1, hs.t() @ dz2], [dz1.sum(0), dz2.sum(0)]
        self.before = h1, far_now
        for values, found in zip((w, b), gradients, strict=True):
            for k in range(2):
                values[k] = values[k] - rate * found[k]
        return float(loss)


def test_pipegcn_is_the_one_written_by_hand() -> None:
    data = blocks()
    parts = partition(data.graph, 3)
    torch.manual_seed(0)
    stages = Stages([Layer(GCNConv(16, 5), nn.Tanh()), Layer(GCNConv(5, 4))]).double()
    convs = [stages[1].conv, stages[2].conv]
    assert all(isinstance(c, GCNConv) for c in convs)
    by_hand = PipeGcnByHand(
        data.graph,
        parts,
        [c.lin.weight.detach().t() for c in convs],  # type: ignore[union-attr]
        [c.bias.detach() for c in convs],  # type: ignore[union-attr]
    )
    net = InParts(stages, data.graph, parts, Staleness.pipegcn())
    sgd = torch.optim.SGD(stages.parameters(), lr=2.0)
    x = data.x.double()  # type: ignore[union-attr]
    for _ in range(8):
        sgd.zero_grad()
        loss = share_of_loss(data, net(x), EVERYONE)
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        expected = by_hand.step(x, data.y, data.train, 2.0)
        # The normalised weights of a graph without weights are float32: both read the same ones.
        assert float(loss.detach()) == pytest.approx(expected, abs=1e-7)
    for k, conv in enumerate(convs):
        torch.testing.assert_close(conv.lin.weight.detach().t(), by_hand.w[k], rtol=0, atol=1e-6)  # type: ignore[union-attr]


def test_stale_gradients_arrive_one_step_late() -> None:
    """One remote edge 0 -> 1, T^R_psi = 1: node 0 hears in step t what node 1 said in step t - 1."""
    graph = Graph.from_edge_index(torch.tensor([[0], [1]]), 2, weight=torch.ones(1))
    conv = GCNConv(1, 1, normalize=False, bias=False)
    nn.init.ones_(conv.lin.weight)
    net = InParts(Stages([Layer(conv)]), graph, Partition(torch.tensor([0, 1]), 2), Staleness.pipegcn())
    heard = []
    for said in (1.0, 10.0, 100.0):
        x = torch.full((2, 1), said, requires_grad=True)
        out = net(x)
        (gradient,) = torch.autograd.grad(out, x, torch.tensor([[0.0], [said]]))
        heard.append((float(out[1].detach()), float(gradient[0])))
    assert heard == [(1.0, 1.0), (1.0, 1.0), (10.0, 10.0)]


@settings(max_examples=25, deadline=None)
@given(
    layers=st.tuples(*[st.integers(1, 4)] * 3),
    delays=st.tuples(*[st.integers(0, 3)] * 3),
    parts=st.integers(1, 6),
    kind=st.sampled_from(["gcn", "sage", "gat"]),
)
def test_versions_reach_every_bound_and_pass_none(
    layers: tuple[int, int, int], delays: tuple[int, int, int], parts: int, kind: str
) -> None:
    data, bounds, count = blocks(), Staleness(*layers, *delays), 3
    stages = network(kind, count)
    net = InParts(stages, data.graph, partition(data.graph, parts), bounds)
    assert all(loss == loss for loss in steps(net, stages, data, 5))
    kinds: tuple[Kind, ...] = ("self", "local", "remote")
    for kind_ in kinds:
        assert net.ledger.worst(kind_) == (min(bounds.layers(kind_), count), bounds.steps(kind_))
    assert net.ledger.reads == 5 * 3 * count


def test_evaluation_reads_nothing_old_and_leaves_no_trace() -> None:
    data = blocks()
    stages = network("gcn")
    net = InParts(stages, data.graph, partition(data.graph, 3), Staleness.pipegcn())
    steps(net, stages, data, 3)
    reads, x = net.ledger.reads, data.x.double()  # type: ignore[union-attr]
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(net(x), stages(x, data.graph))
    assert net.ledger.reads == reads


def test_a_version_past_its_bound_is_refused() -> None:
    ledger = Ledger(Staleness.pipegcn())
    ledger.note("remote", 2, 5, 1, 4)
    with pytest.raises(RuntimeError, match="layer 2 in step 5 read a remote value of layer 1 and step 3"):
        ledger.note("remote", 2, 5, 1, 3)
    with pytest.raises(RuntimeError, match="read a local value of layer 0"):
        ledger.note("local", 2, 5, 0, 5)
    with pytest.raises(RuntimeError):
        ledger.note("local", 2, 5, 1, 6)
    assert ledger.worst("remote") == (1, 1)


@given(delay=st.integers(0, 4), count=st.integers(1, 12))
def test_queues_give_back_what_went_in_before(delay: int, count: int) -> None:
    queue: Delayed[str] = Delayed(delay)
    for step in range(count):
        ready = queue.ready()
        queue.put(step, f"value {step}")
        expected = max(0, step - delay)
        assert queue.get() == (expected, f"value {expected}")
        assert ready == (None if expected == step else queue.get())


@pytest.mark.parametrize("bounds", ["synchronous", "pipegcn", "macro"])
@pytest.mark.parametrize("kind", ["gcn", "sage", "gat"])
def test_a_pipeline_of_one_process_is_the_parts(kind: str, bounds: str) -> None:
    data = blocks()
    chunks = partition(data.graph, 4)
    one, two = network(kind), network(kind)
    losses = steps(InParts(one, data.graph, chunks, BOUNDS[bounds]), one, data, 4)
    pipeline = MacroPipeline(two, data.graph, chunks, BOUNDS[bounds])
    step = optimizer(pipeline.owned)
    for expected in losses:
        step.zero_grad()
        loss = pipeline.step(data.x.double(), lambda out, nodes: share_of_loss(data, out, nodes))  # type: ignore[union-attr]
        step.step()
        assert loss == pytest.approx(expected, abs=1e-12)
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
    assert len(pipeline.spans) == 2 * 4 * 4


@settings(max_examples=25, deadline=None)
@given(nodes=st.integers(1, 40), edges=st.integers(0, 120), parts=st.integers(1, 5), seed=st.integers(0, 1000))
def test_plans_of_all_parts_fit_each_other(nodes: int, edges: int, parts: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    graph = Graph.from_edge_index(torch.randint(0, nodes, (2, edges), generator=generator), nodes)
    divided = Partition(torch.randint(0, parts, (nodes,), generator=generator), parts)
    plans = [HaloPlan.build(graph, divided, r) for r in range(parts)]
    x = torch.arange(nodes)
    for r, plan in enumerate(plans):
        # What arrives, in the order in which it arrives, is the halo.
        arriving = []
        for q, other in enumerate(plans):
            begin = sum(other.send_counts[:r])
            rows = x[other.own][other.send_index][begin : begin + other.send_counts[r]]
            assert rows.numel() == plan.receive_counts[q]
            arriving.append(rows)
        assert torch.equal(torch.cat(arriving), plan.halo)
        block = plan.block(graph)
        source, target = block.edge_index
        edges_in = sorted(zip(plan.columns[source].tolist(), plan.own[target].tolist(), strict=True))
        of = divided.assignment
        assert edges_in == sorted((s, t) for s, t in graph.edge_index.t().tolist() if of[t] == r)
    assert sum(p.rows_received for p in plans) == sum(divided.statistics(graph).halo)


def test_refusals() -> None:
    data = blocks()
    parts = partition(data.graph, 2)
    with pytest.raises(ValueError, match="layer_remote to be a whole number >= 1, got 0"):
        Staleness(layer_remote=0)
    with pytest.raises(ValueError, match="step_remote to be a whole number >= 0, got -1"):
        Staleness(step_remote=-1)
    unequal = Stages([Layer(GCNConv(16, 5)), Layer(GCNConv(5, 4))])
    with pytest.raises(ValueError, match=r"layer 2 would read h\(0\) of width 16 and expects 5"):
        InParts(unequal, data.graph, parts, Staleness.macro_pipeline())(data.dense())
    with pytest.raises(ValueError, match=r"layer 2 would read h\(0\) of width 16 and expects 5"):
        MacroPipeline(unequal, data.graph, parts, Staleness.macro_pipeline()).step(
            data.dense(), lambda out, nodes: out.sum()
        )
    with pytest.raises(ValueError, match="chunk's own features pass from layer to layer"):
        MacroPipeline(unequal, data.graph, parts, Staleness(step_self=1))
    with pytest.raises(ValueError, match="normalises over the nodes of a batch"):
        InParts(Stages.of(create_model("gin", in_features=16, num_classes=4)), data.graph, parts)
    with pytest.raises(TypeError, match="convolution over direct neighbours"):
        Layer(SGConv(3, 3, K=2))
    with pytest.raises(TypeError, match="model with convs"):
        Stages.of(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="partition of 100 nodes, got 3"):
        InParts(unequal, data.graph, Partition(torch.tensor([0, 1, 1]), 2))
    with pytest.raises(ValueError, match="at least one layer"):
        Stages([])


def test_pipegcn_is_as_accurate_on_blocks() -> None:
    """Means over seeds of graphs and networks: within half a point of synchronous training."""
    found = {"synchronous": 0.0, "pipegcn": 0.0}
    for seed in range(3):
        data = stochastic_blocks(nodes=1200, signal=0.3, seed=seed)
        parts = partition(data.graph, 4, "random", seed=seed)
        for name in found:
            torch.manual_seed(seed)
            model = create_model("gcn", in_features=16, num_classes=4)
            result = training.partition_parallel(model, data, parts, BOUNDS[name], training.Settings(epochs=60))
            found[name] += result.accuracy["test"] / 3
    assert found["synchronous"] > 0.8
    assert abs(found["pipegcn"] - found["synchronous"]) < 0.005


def test_pipegcn_is_as_accurate_on_cora(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOIETY_DATA", str(data))
    cora = load_graph("cora")
    parts = partition(cora.graph, 4)
    found = {}
    for name in ("synchronous", "pipegcn"):
        torch.manual_seed(0)
        model = create_model("gcn", in_features=cora.num_features, num_classes=7)
        found[name] = training.partition_parallel(
            model, cora, parts, BOUNDS[name], training.Settings(epochs=20, learning_rate=0.05)
        ).accuracy["test"]
    assert found["synchronous"] > 0.74
    assert abs(found["pipegcn"] - found["synchronous"]) < 0.01


@pytest.mark.parametrize("kind", ["gcn", "sage", "gin", "gat", "edge"])
def test_a_part_may_be_empty(kind: str) -> None:
    data = blocks()
    parts = Partition(torch.zeros(100, dtype=torch.int64), 2)
    one, two = network(kind), network(kind)
    losses = steps(InParts(one, data.graph, parts, Staleness.pipegcn()), one, data, 2)
    pipeline = MacroPipeline(two, data.graph, parts, Staleness.macro_pipeline())
    first = pipeline.step(data.x.double(), lambda out, nodes: share_of_loss(data, out, nodes))  # type: ignore[union-attr]
    assert first == pytest.approx(losses[0], abs=1e-12)
    assert HaloPlan.build(data.graph, parts, 1).bytes_forward(7) == 0
