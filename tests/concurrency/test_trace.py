"""Traced models: closed forms equal counters kernel by kernel; memory, slopes and depth are what they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from concurrency_helpers import GRAPH_MODELS, model_of, regular_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moiety import ops
from moiety.cost.concurrency.kernels import Count
from moiety.cost.concurrency.watch import trace
from moiety.cost.concurrency.zoo import ZOO
from moiety.graph import Graph

# Operators that have no closed form here.
ASSUMED = {"aten::native_batch_norm_backward"}


def random_graph(nodes: int, edges: int, seed: int) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    return Graph.from_edge_index(torch.randint(0, nodes, (2, edges), generator=generator), nodes)


def totals(steps) -> Count:
    return sum((s.kernel.count for s in steps), Count(barriers=0))


@pytest.mark.parametrize("training", [False, True], ids=["forward", "training"])
@pytest.mark.parametrize("name", [*GRAPH_MODELS, *ZOO])
def test_every_kernel_of_every_model_equals_its_counters(name: str, training: bool) -> None:
    """The counted kernels also give the operators' results, or `trace` refuses."""
    torch.manual_seed(1)
    graph, model = random_graph(23, 90, seed=5), model_of(name, 5, 3, hidden=4, layers=2, powers=3).eval()
    x = torch.randn(23, 5, requires_grad=training)
    model(x, graph)  # what a graph keeps
    made = trace(lambda: model(x, graph), backward=training, counting=True)
    assert {s.operator for s in made.steps if s.kernel.name == "other"} <= ASSUMED
    for step in made.steps:
        if step.kernel.name != "other":
            assert step.counted == step.kernel.count, (step.operator, step.kernel)
    known = [s for s in made.steps if s.counted is not None]
    assert sum((s.counted for s in known), Count(barriers=0)) == totals(known)
    assert max(s.kernel.count.depth for s in made.steps) <= made.depth <= totals(made.steps).depth


@given(st.integers(1, 14), st.integers(0, 40), st.integers(0, 10**6), st.sampled_from([*GRAPH_MODELS, *ZOO]))
@settings(max_examples=25, deadline=None)
def test_models_on_any_graph(nodes: int, edges: int, seed: int, name: str) -> None:
    graph, model = random_graph(nodes, edges, seed), model_of(name, 3, 2, hidden=3, layers=1, powers=2).eval()
    x = torch.randn(nodes, 3)
    model(x, graph)
    for step in trace(lambda: model(x, graph), counting=True).steps:
        assert step.kernel.name == "other" or step.counted == step.kernel.count, step.operator


def test_kernels_side_by_side_do_not_add_depth() -> None:
    """Two products of the same features wait for nothing but those; their sum waits for both."""
    x, a, b = torch.randn(6, 8), torch.randn(8, 3), torch.randn(8, 5)
    made = trace(lambda: (x @ a).sum() + (x @ b).sum())
    by_operator = {s.operator: s.stop for s in made.steps}
    assert by_operator["aten::mm"] == 1 + 3
    assert made.depth == 1 + 3 + 5 + 1  # the sum over 6 x 5 numbers is the longer one
    assert totals(made.steps).depth == 2 * (1 + 3) + 5 + 5 + 1


def test_memory_is_what_lives_at_once() -> None:
    """y and z live together, then z alone with w: 3 tensors of 4 kB at most."""
    x = torch.randn(1000)

    def run() -> torch.Tensor:
        y = x * 2
        z = y + 1
        del y
        w = z * 3
        return w + z

    assert trace(run).peak == 3 * 4000


def slope(sizes: list[int], works: list[int]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(works), 1)[0])


def counted(name: str, nodes: int, degree: int, width: int, layers: int = 1, powers: int = 2, counting: bool = False):
    graph = Graph.from_edge_index(torch.from_numpy(regular_edges(nodes, degree)), nodes)
    model = model_of(name, width, width, hidden=width, layers=layers, powers=powers).eval()
    x = torch.randn(nodes, width)
    model(x, graph)
    return trace(lambda: model(x, graph), counting=counting).steps


def of_kind(steps, *names: str) -> int:
    return sum(s.kernel.count.work for s in steps if s.kernel.name in names)


EDGES = ("spmm", "sddmm", "gat", "edge_softmax", "gather", "scatter")


@pytest.mark.parametrize("name", ["gcn", "gat", "gin", "attention", "edgeconv-1", "sage-pool"])
def test_slopes_of_work_on_regular_graphs(name: str) -> None:
    """Work on edges grows as m k, on vertices as n k^2, both as L (the executed, hoisted form of every row)."""
    nodes = [64, 128, 256, 512]
    assert slope(nodes, [of_kind(counted(name, n, 8, 8), *EDGES) for n in nodes]) == pytest.approx(1, abs=0.05)
    assert slope(nodes, [of_kind(counted(name, n, 8, 8), "gemm") for n in nodes]) == pytest.approx(1, abs=0.05)
    degrees = [32, 64, 128]  # n stays: the work follows m
    assert slope(degrees, [of_kind(counted(name, 160, d, 8), *EDGES) for d in degrees]) == pytest.approx(1, abs=0.05)
    widths = [32, 64, 128]
    assert slope(widths, [of_kind(counted(name, 40, 16, k), "gemm") for k in widths]) == pytest.approx(2, abs=0.05)
    layers = [1, 2, 4, 8]
    assert slope(layers, [of_kind(counted(name, 40, 4, 16, n), "gemm") for n in layers]) == pytest.approx(1, abs=0.05)
    works = [of_kind(counted(name, 40, 4, 16, n), *EDGES) for n in layers]
    assert slope(layers, works) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["gcn", "attention", "edgeconv-1"])
def test_slope_in_features_along_edges(name: str) -> None:
    widths = [32, 64, 128]
    assert slope(widths, [of_kind(counted(name, 40, 8, k), *EDGES) for k in widths]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["cheb", "deepwalk", "auto-regress"])
def test_powers_from_right_to_left_cost_one_product_each(name: str) -> None:
    """Work grows as s, not as n: nothing of the size n x n is made."""
    powers = [2, 4, 8, 16]
    works = [of_kind(counted(name, 60, 8, 8, powers=s), "spmm") for s in powers]
    assert slope(powers, works) == pytest.approx(1, abs=0.05)
    nodes = [64, 128, 256]
    assert slope(nodes, [of_kind(counted(name, n, 8, 8), "spmm") for n in nodes]) == pytest.approx(1, abs=0.05)


def test_perceptrons_of_more_layers() -> None:
    """GIN's K: the perceptron's work grows as K."""
    graph = Graph.from_edge_index(torch.from_numpy(regular_edges(50, 4)), 50)
    works = []
    for depth in (1, 2, 4, 8):
        network = nn.Sequential(*[nn.Linear(16, 16) for _ in range(depth)])
        x = torch.randn(50, 16)
        works.append(of_kind(trace(lambda n=network, x=x: n(x + ops.spmm(graph, x))).steps, "gemm"))
    assert slope([1, 2, 4, 8], works) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["gcn", "gat", "attention", "sage-pool", "g-gcn"])
def test_depth_is_affine_in_the_logarithms_of_degree_and_features(name: str) -> None:
    def depth(degree: int, width: int) -> int:
        return sum(s.kernel.count.depth for s in counted(name, 80, degree, width))

    # From one power of two to the next, the same step; and the same in between and at the next power (ceil).
    for along in (lambda v: depth(v, 16), lambda v: depth(4, v)):
        steps = np.diff([along(v) for v in (4, 8, 16, 32, 64)])
        assert len(set(steps)) == 1, steps
        assert steps[0] >= 1
    plus = 1 if name in ("gcn", "gat") else 0  # they add a loop to every vertex
    assert (
        depth(5 - plus, 16) == depth(8 - plus, 16) == depth(9 - plus, 16) - (depth(16 - plus, 16) - depth(8 - plus, 16))
    )


def test_an_operator_without_a_rule_is_said_to_be_assumed() -> None:
    made = trace(lambda: torch.cumsum(torch.ones(5, 3), 0))
    assert [s.kernel.name for s in made.steps] == ["map", "other"]
    assert made.steps[1].kernel.count.work == 15


def test_gradients_need_something_to_go_to() -> None:
    with pytest.raises(ValueError, match="backward"):
        trace(lambda: torch.ones(3) * 2, backward=True)


def test_layers_of_pytorch_geometric_are_seen_too() -> None:
    """They gather and scatter rows with torch's own operators; results under counters equal theirs."""
    geometric = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed")
    torch.manual_seed(2)
    edge_index, x = torch.randint(0, 30, (2, 100)), torch.randn(30, 8)
    for layer in (
        geometric.GCNConv(8, 4),
        geometric.SAGEConv(8, 4),
        geometric.GATConv(8, 4, heads=2),
        geometric.GINConv(nn.Linear(8, 4)),
        geometric.EdgeConv(nn.Linear(16, 4)),
    ):
        steps = trace(lambda layer=layer: layer(x, edge_index), counting=True).steps
        assert all(s.kernel.name != "other" and s.counted == s.kernel.count for s in steps), layer
        assert any(s.kernel.name == "scatter" for s in steps)
