"""moiety.ops.gat_aggregate against attention written out edge by edge in float64, at every ISA level."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import leaky_relu

from moiety.graph import Graph
from moiety.ops import gat_aggregate
from random_graphs import edge_lists, random_graph, scatter

SHAPES = [(1, 7), (4, 16), (8, 8), (3, 5), (6, 4), (2, 100), (1, 64), (20, 3), (16, 2)]


def exact(graph: Graph, x: Tensor, source: Tensor, target: Tensor, slope: float = 0.2) -> Tensor:
    j, i = graph.edge_index
    scores = leaky_relu(source[j] + target[i], slope)
    raised = (scores - scatter(graph, scores, "max")[i].detach()).exp()
    alpha = raised / scatter(graph, raised, "sum")[i]
    return scatter(graph, alpha.unsqueeze(-1) * x[j], "sum")


def inputs(graph: Graph, heads: int, features: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = (graph.num_cols, heads, features), (graph.num_cols, heads), (graph.num_rows, heads)
    values = [2 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    scores = torch.float32 if dtype is torch.bfloat16 else dtype
    return [v.to(dtype if k == 0 else scores).requires_grad_() for k, v in enumerate(values)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_and_gradients(isa: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    graph = random_graph()
    error = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.02}[dtype]
    for slope in (0.2, 0.0, 1.0):
        values = inputs(graph, *shape, dtype)
        double = [v.detach().double().requires_grad_() for v in values]
        y, wanted = gat_aggregate(graph, *values, slope), exact(graph, *double, slope)
        assert y.dtype is dtype
        torch.testing.assert_close(y.double(), wanted, rtol=error, atol=error)
        with torch.no_grad():
            torch.testing.assert_close(gat_aggregate(graph, *values, slope), y)
        dy = torch.randn(y.shape).to(dtype)
        found = torch.autograd.grad(y, values, dy)
        for a, b in zip(found, torch.autograd.grad(wanted, double, dy.double()), strict=True):
            assert a.shape == b.shape
            torch.testing.assert_close(a.double(), b, rtol=4 * error, atol=40 * error * (1 + shape[1] ** 0.5))


@settings(max_examples=40, deadline=None)
@given(edge_lists(), st.integers(1, 9), st.integers(1, 20), st.integers(0, 100))
def test_any_graph(case: tuple[int, int, Tensor], heads: int, features: int, seed: int) -> None:
    rows, cols, edge_index = case
    graph = Graph.from_edge_index(edge_index, rows, None, cols)
    values = inputs(graph, heads, features, seed=seed)
    double = [v.detach().double().requires_grad_() for v in values]
    y, wanted = gat_aggregate(graph, *values), exact(graph, *double)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(y.square().sum(), values)
    for a, b in zip(found, torch.autograd.grad(wanted.square().sum(), double), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-3)


def test_gradients_against_finite_differences() -> None:
    graph = random_graph(9, 7, 20, 8)
    values = inputs(graph, 2, 3, torch.float64)
    assert torch.autograd.gradcheck(lambda *v: gat_aggregate(graph, *v), values)
    assert torch.autograd.gradgradcheck(lambda *v: gat_aggregate(graph, *v), values)
    for k in range(3):
        some = [v if n == k else v.detach() for n, v in enumerate(values)]
        assert torch.autograd.gradcheck(lambda *v: gat_aggregate(graph, *v), some)
        assert torch.autograd.gradgradcheck(lambda *v: gat_aggregate(graph, *v), some)


def test_large_scores_do_not_overflow(isa: str) -> None:
    graph = random_graph()
    x, source, target = (v.detach() for v in inputs(graph, 4, 6))
    y = gat_aggregate(graph, x, 1e4 * source, 1e4 * target)
    torch.testing.assert_close(y, exact(graph, x, 1e4 * source, 1e4 * target), rtol=1e-3, atol=1e-3)


def test_results_do_not_depend_on_the_number_of_threads(isa: str, threads: None) -> None:
    graph = random_graph(3000, 2500, 60000, 15000)
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        values = inputs(graph, 4, 5)
        y = gat_aggregate(graph, *values)
        found.append([y, *torch.autograd.grad(y.sin().sum(), values)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_memory_of_a_pass_does_not_grow_with_edges_times_features() -> None:
    """Every tensor that autograd keeps has the size of nodes."""
    graph = random_graph(50, 50, 5000, 3000)
    kept: list[int] = []

    def pack(value: Tensor) -> Tensor:
        kept.append(value.numel())
        return value

    values = inputs(graph, 4, 8)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        gat_aggregate(graph, *values).sum().backward()
    assert kept
    assert max(kept) <= 50 * 4 * 8 < graph.num_edges


def test_names_what_is_wrong() -> None:
    graph = random_graph()
    x, source, target = (v.detach() for v in inputs(graph, 2, 3))
    with pytest.raises(ValueError, match=r"expected x \(29, H, D\), got \(37, 2, 3\)"):
        gat_aggregate(graph, torch.ones(37, 2, 3), source, target)
    with pytest.raises(ValueError, match=r"expected score_source \(29, 2\) of torch.float32, got \(37, 2\)"):
        gat_aggregate(graph, x, target, source)
    with pytest.raises(ValueError, match=r"expected score_target \(37, 2\) of torch.float32.*of torch.float64"):
        gat_aggregate(graph, x, source, target.double())
    with pytest.raises(ValueError, match="expected negative_slope >= 0, got -1"):
        gat_aggregate(graph, x, source, target, -1.0)
    with pytest.raises(TypeError, match="expected x of float32"):
        gat_aggregate(graph, x.half(), source, target)
