"""moiety.ops.gated_sum against the same with a tensor of edges x features, at every ISA level."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph
from moiety.nn import ResGatedGraphConv
from moiety.ops import gated_sum
from random_graphs import edge_lists, random_graph


def written_out(graph: Graph, key: Tensor, query: Tensor, value: Tensor) -> Tensor:
    source, target = graph.edge_index
    messages = torch.sigmoid(key[target] + query[source]) * value[source]
    return torch.zeros_like(key).index_add(0, target, messages)


def three(graph: Graph, *shape: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    sizes = (graph.num_rows, graph.num_cols, graph.num_cols)
    return [torch.randn(n, *shape, dtype=dtype).mul_(3).requires_grad_() for n in sizes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_values_and_gradients(isa: str, dtype: torch.dtype) -> None:
    graph = random_graph()
    for shape in [(1,), (7,), (16,), (33,), (64,), (130,), (2, 5)]:
        inputs = three(graph, *shape, dtype=dtype)
        dy = torch.randn(graph.num_rows, *shape, dtype=dtype)
        y, wanted = gated_sum(graph, *inputs), written_out(graph, *(x.double() for x in inputs))
        torch.testing.assert_close(y, wanted.to(dtype), rtol=1e-4, atol=1e-4)
        found = torch.autograd.grad(y, inputs, dy)
        for a, b in zip(found, torch.autograd.grad(wanted, inputs, dy.double()), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(edge_lists(), st.integers(0, 20))
def test_any_graph(case: tuple[int, int, Tensor], width: int) -> None:
    rows, cols, edge_index = case
    graph = Graph.from_edge_index(edge_index, rows, None, cols)
    inputs = [x.detach() for x in three(graph, width)]
    torch.testing.assert_close(gated_sum(graph, *inputs), written_out(graph, *inputs), rtol=1e-4, atol=1e-4)


def test_far_from_zero() -> None:
    """Gates that are all open or all closed, and NaN."""
    graph = Graph.from_edge_index(torch.tensor([[0, 0, 0], [0, 1, 2]]), 3)
    key = torch.tensor([[1e4], [-1e4], [float("nan")]], requires_grad=True)
    ones = torch.ones(3, 1)
    y = gated_sum(graph, key, torch.zeros(3, 1), ones)
    assert y.flatten()[:2].tolist() == [1, 0]
    assert y[2].isnan().all()
    assert torch.autograd.grad(y, key, ones)[0].flatten()[:2].tolist() == [0, 0]


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    graph = random_graph(3000, 2500, 60000, 15000)
    inputs = [x.detach() for x in three(graph, 20)]
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append(gated_sum(graph, *inputs))
    assert all(torch.equal(found[0], other) for other in found)


def test_the_layer_takes_it_and_its_parts_alike() -> None:
    graph = random_graph(40, 40, 200, 10)
    layer, x = ResGatedGraphConv(6, 5), torch.randn(40, 6)

    class Same(torch.nn.Sigmoid):
        """Not the type that the fused kernel is for."""

    other = ResGatedGraphConv(6, 5, act=Same())
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x, graph), other(x, graph))


def test_refusals() -> None:
    graph = random_graph(9, 7, 20, 8)
    key, query, value = (x.detach() for x in three(graph, 4))
    with pytest.raises(ValueError, match=r"expected query \(7, 4\), got \(9, 4\)"):
        gated_sum(graph, key, key, value)
    with pytest.raises(ValueError, match=r"expected value \(7, 4\), got \(7, 3\)"):
        gated_sum(graph, key, query, value[:, :3])
    with pytest.raises(TypeError, match="all float32 or all float64, got query"):
        gated_sum(graph, key, query.double(), value)
    with pytest.raises(TypeError, match="got key"):
        gated_sum(graph, key.bfloat16(), query.bfloat16(), value.bfloat16())
