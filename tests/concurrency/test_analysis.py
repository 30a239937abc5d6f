"""Analyses: what they hold, partitions against sets, samples, pipelines, JSON, page, trace and refusals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
import torch
from concurrency_helpers import GRAPH_MODELS, model_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import nn

from moiety import ops
from moiety.cost.concurrency import Analysis, Plan, analyse, load_machine, parse_plan
from moiety.cost.concurrency.analysis import layers_of
from moiety.cost.concurrency.kernels import Gemm, Map, Pattern, Spmm
from moiety.cost.concurrency.partitioned import of_partition, of_sample
from moiety.cost.concurrency.roofline import FEATURES, default_machine, features
from moiety.cost.concurrency.taxonomy import of_kernels
from moiety.cost.concurrency.watch import trace
from moiety.cost.concurrency.zoo import ZOO
from moiety.graph import Graph, partition
from moiety.graph.partitioning import Partition


def random_graph(nodes: int, edges: int, seed: int = 0) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    return Graph.from_edge_index(torch.randint(0, nodes, (2, edges), generator=generator), nodes)


@pytest.fixture(scope="module")
def trained() -> Analysis:
    plan = parse_plan("parts=3,fanouts=4x3,batch=20,micro=async,macro=async,passes=2,training")
    return analyse(model_of("gcn", 12, 4, hidden=8, layers=2), random_graph(150, 900), plan, row="gcn")


@pytest.mark.parametrize("name", [*GRAPH_MODELS, *ZOO])
def test_every_model_can_be_analysed(name: str) -> None:
    made = analyse(model_of(name, 6, 3, hidden=4, layers=2), random_graph(30, 100), row=name)
    assert made.totals.count.work == sum(line.count.work for line in made.lines) > 0
    assert 0 < made.totals.depth <= made.totals.chain
    assert made.as_written
    assert all(row.work_value and row.depth_value for row in made.as_written)
    assert made.taxonomy.source == "the paper"
    training = analyse(model_of(name, 6, 3, hidden=4, layers=2), random_graph(30, 100), Plan(training=True), row=name)
    assert training.totals.forward.work >= made.totals.count.work
    assert training.totals.seconds > made.totals.seconds
    # What only formulas say, rational and polynomial rows, is marked; local formulations are all executed.
    assert all(row.executed or row.formulation == "global" for row in made.as_written)
    if name in ("sgc", "cheb", "appnp", "arma"):
        assert not made.as_written[-1].executed


def test_totals_follow_from_the_kernels(trained: Analysis) -> None:
    totals, lines = trained.totals, trained.lines
    assert {line.phase for line in lines} == {"forward", "backward"}
    assert totals.count.barriers == len(lines)
    assert totals.compulsory == sum(line.compulsory for line in lines)
    assert totals.modules == 1 + 2 * 3  # the network, and dropout, convolution and activation of two layers
    modules = totals.modules * default_machine().module
    assert totals.seconds == pytest.approx(sum(line.seconds for line in lines) + modules)
    assert totals.forward.work < totals.count.work
    assert totals.forward_depth < totals.depth
    for workers, low, high in totals.brent:
        assert low <= high
        assert low >= totals.depth
        assert high == totals.count.work / workers + totals.depth
    assert trained.assumed == ()
    assert [row.formulation for row in trained.as_written] == ["local", "global", "sampled"]
    assert trained.as_written[2].work_value > trained.as_written[0].work_value
    assert len(layers_of(lines)) == 2


@given(st.integers(2, 30), st.integers(0, 120), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_halo_bytes_are_those_of_sets_of_remote_sources(nodes: int, edges: int, parts: int, seed: int) -> None:
    graph = random_graph(nodes, edges, seed)
    owner = torch.randint(0, parts, (nodes,), generator=torch.Generator().manual_seed(seed))
    needed = {(int(owner[i]), int(j)) for j, i in graph.edge_index.T.tolist() if owner[i] != owner[j]}
    x, weight = torch.randn(nodes, 5), torch.randn(5, 3, requires_grad=True)
    steps = trace(lambda: ops.spmm(graph, torch.relu(ops.spmm(graph, x) @ weight)), backward=True).steps
    cost = of_partition(steps, graph, Partition(owner, parts), 4 * weight.numel())
    # Two products forward, of 5 and of 3 features; one backward, of 3: x has no gradient.
    assert [(e.phase, e.row_bytes) for e in cost.exchanges] == [("forward", 20), ("forward", 12), ("backward", 12)]
    assert cost.bytes_forward == len(needed) * (5 + 3) * 4
    assert cost.bytes_backward == len(needed) * 3 * 4
    assert cost.volume(7, 2) == len(needed) * 7 * 2
    assert cost.supersteps == (4 if parts > 1 else 3)
    assert cost.edge_cut == sum(owner[i] != owner[j] for j, i in graph.edge_index.T.tolist())
    assert sum(cost.edges) == graph.num_edges
    assert cost.edge_imbalance * graph.num_edges == pytest.approx(max(cost.edges) * parts if edges else 0, abs=1e-6)


def test_gathered_rows_cross_only_where_they_are_remote() -> None:
    """A gate reads its target's rows where they are and its sources' across; messages' sums stay with their target."""
    graph = random_graph(40, 150, seed=4)
    made = partition(graph, 3)
    model = model_of("g-gcn", 5, 2, hidden=4, layers=1)
    exchanges = analyse(model, graph, x=torch.randn(40, 5), partition=made).partition.exchanges
    assert {(e.rows, e.row_bytes) for e in exchanges} == {(sum(made.statistics(graph).halo), 20)}
    assert len(exchanges) == 2  # W2 h_j for the gate, h_j itself for the message


def test_halo_bytes_equal_what_the_plans_of_partition_parallel_training_send() -> None:
    from moiety.train.graph import HaloPlan

    graph = random_graph(80, 400, seed=3)
    made = partition(graph, 4)
    cost = of_partition([], graph, made)
    plans = [HaloPlan.build(graph, made, rank) for rank in range(4)]
    assert sum(p.bytes_forward(16) for p in plans) == cost.volume(16)
    assert sum(p.bytes_backward(16) for p in plans) == cost.volume(16)


def test_a_batch_s_support_set(trained: Analysis) -> None:
    graph = random_graph(150, 900)
    sample = of_sample(graph, 20, (4, 3))
    assert trained.sample == sample
    assert sample.support[0] == sample.batch == 20
    assert list(sample.support) == sorted(sample.support)
    assert all(s <= w for s, w in zip(sample.support, sample.whole, strict=True))
    assert all(s <= b for s, b in zip(sample.support, sample.bound, strict=True))
    most = of_sample(graph, 20, (1000, 1000))  # nothing is left out
    assert most.support == most.whole
    assert of_sample(graph, 1000, (2,)).support == (150, 150)


def test_a_module_of_one_s_own_is_classified_by_its_kernels() -> None:
    graph = random_graph(20, 60)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor, graph: Graph) -> torch.Tensor:
            return self.lin(ops.spmm(graph, ops.spmm(graph, x)))

    made = analyse(Twice(), graph)
    assert made.taxonomy.source == "its kernels"
    assert made.taxonomy.order == "polynomial"
    assert made.taxonomy.kind.startswith("C-GNN")
    assert made.as_written == ()
    kinds = {"attention": "A-GNN", "g-gcn": "MP-GNN", "commnet": "C-GNN"}
    for name, kind in kinds.items():
        lines = analyse(model_of(name, 6, 3, hidden=4, layers=1), graph, row=name).lines
        found = of_kernels([line.kernel for line in lines])
        assert found.kind.startswith(kind), name
        assert found.order == "linear"


def test_json_and_table(trained: Analysis) -> None:
    document = json.loads(trained.to_json())
    assert document["totals"]["work"] == trained.totals.count.work
    assert len(document["kernels"]) == len(trained.lines)
    assert [s["macro"] for s in document["schedules"]] == ["sync", "sync", "async", "async"]
    assert document["pipeline"]["max_staleness"] <= 1
    assert document["partition"]["supersteps"] == trained.partition.supersteps
    text = StringIO()
    Console(width=200, file=text).print(trained.table())
    for words in ("spmm", "O(L*k**2*n + L*k*m)", "supersteps", "Brent", "support", "staleness"):
        assert words in text.getvalue()


def test_the_page_is_whole_and_asks_for_nothing(trained: Analysis) -> None:
    page = trained.to_html()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<svg") == 2
    for tag in ("div", "table", "tr", "td", "svg", "main", "section"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag
    assert f"{trained.totals.count.work:,}" in page


def test_the_trace_has_kernels_and_pipeline(trained: Analysis) -> None:
    document = json.loads(json.dumps(trained.trace()))
    spans = [e for e in document["traceEvents"] if e["ph"] == "X"]
    assert len(spans) == len(trained.lines) + len(trained.schedule.tasks)
    alone = [e for e in spans if e["pid"] == 0]
    assert sum(e["dur"] for e in alone) == pytest.approx(1e6 * sum(line.seconds for line in trained.lines))


def test_a_model_is_left_as_it_was() -> None:
    model, graph = model_of("gcn", 4, 2, hidden=3, layers=2).train(), random_graph(10, 30)
    gradient = torch.ones(3, 4)
    model.convs[0].lin.weight.grad = gradient
    analyse(model, graph, Plan(training=True))
    assert model.training
    assert model.convs[0].lin.weight.grad is gradient
    assert model.convs[1].lin.weight.grad is None


def test_graphs_of_no_edges_and_modules_without_a_graph() -> None:
    graph = random_graph(4, 0)
    made = analyse(model_of("commnet", 6, 2, hidden=3, layers=1), graph, Plan(parts=2, fanouts=(2,), training=True))
    assert made.partition.bytes_forward == 0
    assert made.sample.support == (4, 4)
    assert made.to_html()

    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor, graph: Graph) -> torch.Tensor:
            return self.lin(x)

    assert analyse(Alone(), graph).taxonomy.kind == "no operation on the graph"
    for arguments, error, message in (
        ({"x": torch.ones(3, 6)}, ValueError, "expected x"),
        ({"graph": "karate"}, TypeError, "a Graph, got"),
        ({"model": nn.ReLU()}, ValueError, "give x="),
        ({"plan": Plan(parts=9)}, ValueError, "parts"),
    ):
        with pytest.raises(error, match=message):
            analyse(**{"model": Alone(), "graph": graph, **arguments})


def test_plans() -> None:
    assert parse_plan("") == Plan()
    assert parse_plan("parts=2, fanouts=10x5,training") == Plan(parts=2, fanouts=(10, 5), training=True)
    for words, message in (
        ("bogus=1", "words of"),
        ("parts", "words of"),
        ("parts=many", "expected parts"),
        ("parts=0", "parts >= 1"),
        ("micro=fast", "sync or async"),
        ("method=guess", "method"),
        ("fanouts=0", "fanouts"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_plan(words)


def test_machines(tmp_path) -> None:
    machine = default_machine()
    machine.save(tmp_path / "machine.json")
    assert load_machine(tmp_path / "machine.json") == machine
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="--calibrate"):
        load_machine(tmp_path / "other.json")
    with pytest.raises(ValueError, match="calibrate anew"):
        replace(machine, rates={}).seconds(Gemm(2, 2, 2))
    big = Map("add", 1 << 24, (1 << 24, 1 << 24))
    assert machine.roofline(big) == big.compulsory / machine.bandwidth[2]
    assert machine.roofline(Gemm(512, 512, 512)) == Gemm(512, 512, 512).count.work / machine.peak


def test_popular_rows_count_as_near() -> None:
    """100 bytes near hold one row of 64, the most popular one; 200 hold three."""
    pattern = Pattern(*(torch.tensor(v).numpy() for v in ([0, 4, 9], [0, 0, 0, 1, 0, 1, 2, 3, 3])), 4)
    found = dict(zip(FEATURES, features(Spmm(pattern, 1, 16), 100, 200), strict=True))
    assert found["gather near"] == 64 * 4
    assert found["gather middle"] == 64 * (2 + 2)
    assert found["gather far"] == 64
    assert found["rows"] == 2
    assert found["edges"] == 9


def test_the_command(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from moiety.cli import app

    run = CliRunner().invoke
    html, trace_file = tmp_path / "a.html", tmp_path / "a.json"
    done = run(
        app,
        ["analyse", "gat", "--graph", "powerlaw:60:4", "--plan", "parts=2", "--json", "--features", "8", "--hidden",
         "4", "--html", str(html), "--trace", str(trace_file)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["partition"]["parts"] == 2
    assert html.read_text().startswith("<!doctype html>")
    assert json.loads(trace_file.read_text())["traceEvents"]
    assert "spmm" in run(app, ["analyse", "sgc", "--graph", "regular:20:3"]).stdout
    random_graph(9, 20).save(tmp_path / "g.npz")
    for words, message in (
        (["analyse", "nothing"], "expected one of"),
        (["analyse", "gcn", "--graph", "lattice"], "--graph"),
        (["analyse", "gcn", "--plan", "parts=x"], "expected parts"),
        (["analyse"], "expected a MODEL"),
        (["analyse", "gcn", "--html", str(tmp_path / "no" / "a.html")], "a directory that is there"),
    ):
        refused = run(app, words)
        assert refused.exit_code == 1
        assert message in refused.output
