"""moiety.ops.sddmm against products of gathered rows, at every ISA level."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph
from moiety.ops import sddmm
from random_graphs import edge_lists, random_graph


def compare(graph: Graph, x: Tensor, y: Tensor) -> None:
    source, target = graph.edge_index
    exact = (x.double()[target] * y.double()[source]).sum(-1)
    got = sddmm(graph, x, y)
    assert got.dtype is (torch.float32 if x.dtype is torch.bfloat16 else x.dtype)
    size = (x.double()[target] * y.double()[source]).abs().sum(-1)
    assert ((got.double() - exact).abs() <= (1e-14 if x.dtype is torch.float64 else 2e-6) * size).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_shapes(isa: str, dtype: torch.dtype) -> None:
    graph = random_graph()
    for shape in [(1,), (7,), (16,), (33,), (64,), (130,), (260,), (4, 16), (3, 5), (8, 8), (20, 3), (2, 300)]:
        compare(graph, torch.randn(37, *shape).to(dtype), torch.randn(29, *shape).to(dtype))


@settings(max_examples=40, deadline=None)
@given(edge_lists(), st.integers(1, 40), st.integers(0, 3))
def test_any_graph(case: tuple[int, int, Tensor], width: int, heads: int) -> None:
    rows, cols, edge_index = case
    graph = Graph.from_edge_index(edge_index, rows, None, cols)
    shape = (heads, width) if heads else (width,)
    compare(graph, torch.randn(rows, *shape), torch.randn(cols, *shape))


def test_gradients() -> None:
    graph = random_graph(9, 7, 20, 8)
    for shape in ((3,), (2, 3)):
        x = torch.randn(9, *shape, dtype=torch.float64, requires_grad=True)
        y = torch.randn(7, *shape, dtype=torch.float64, requires_grad=True)
        for inputs in ((x, y), (x, y.detach()), (x.detach(), y)):
            assert torch.autograd.gradcheck(lambda a, b: sddmm(graph, a, b), inputs)
            assert torch.autograd.gradgradcheck(lambda a, b: sddmm(graph, a, b), inputs, fast_mode=True)


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    graph = random_graph(3000, 2500, 60000, 15000)
    x, y = torch.randn(3000, 20), torch.randn(2500, 20)
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append(sddmm(graph, x, y))
    assert all(torch.equal(found[0], other) for other in found)


def test_names_what_is_wrong() -> None:
    graph = random_graph()
    with pytest.raises(ValueError, match=r"expected x \(37, F\) or \(37, H, D\), got \(29, 4\)"):
        sddmm(graph, torch.randn(29, 4), torch.randn(29, 4))
    with pytest.raises(ValueError, match="of the same features"):
        sddmm(graph, torch.randn(37, 4), torch.randn(29, 5))
    with pytest.raises(TypeError, match="both float32, float64 or bfloat16"):
        sddmm(graph, torch.randn(37, 4), torch.randn(29, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="on the CPU, got one on meta"):
        sddmm(graph, torch.randn(37, 4, device="meta"), torch.randn(29, 4))
