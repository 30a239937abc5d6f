"""moiety.ops.edge_softmax against torch.softmax of every row, at every ISA level."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph
from moiety.ops import edge_softmax
from random_graphs import edge_lists, random_graph


def exact(graph: Graph, scores: Tensor) -> Tensor:
    bounds = graph.indptr.tolist()
    rows = [scores[a:b].double().softmax(0) for a, b in pairwise(bounds)]
    return torch.cat(rows) if rows else scores.double()


@pytest.mark.parametrize("heads", [None, 1, 2, 3, 4, 6, 8, 16, 20])
def test_heads(isa: str, heads: int | None) -> None:
    graph = random_graph()
    scores = 20 * torch.randn(graph.num_edges, *(() if heads is None else (heads,)))
    for dtype, error in ((torch.float32, 1e-6), (torch.float64, 1e-14), (torch.bfloat16, 2.0**-8)):
        given_scores = scores.to(dtype)
        got = edge_softmax(graph, given_scores)
        assert got.dtype is dtype
        torch.testing.assert_close(got.double(), exact(graph, given_scores), rtol=4 * error, atol=error)
        upstream = torch.randn(scores.shape)
        leaf, same = given_scores.clone().requires_grad_(), given_scores.double().requires_grad_()
        (found,) = torch.autograd.grad(edge_softmax(graph, leaf), leaf, upstream.to(dtype))
        (wanted,) = torch.autograd.grad(exact(graph, same), same, upstream.to(dtype).double())
        torch.testing.assert_close(found.double(), wanted, rtol=20 * error, atol=20 * error)


@settings(max_examples=40, deadline=None)
@given(edge_lists(), st.integers(1, 9), st.floats(0, 200))
def test_any_graph(case: tuple[int, int, Tensor], heads: int, scale: float) -> None:
    rows, cols, edge_index = case
    graph = Graph.from_edge_index(edge_index, rows, None, cols)
    scores = scale * torch.randn(graph.num_edges, heads)
    torch.testing.assert_close(edge_softmax(graph, scores).double(), exact(graph, scores), rtol=1e-5, atol=1e-6)


def test_extreme_scores(isa: str) -> None:
    graph = Graph.from_csr([0, 3, 6, 8], [0, 1, 2, 0, 1, 2, 0, 1], num_cols=3)
    scores = torch.tensor([-math.inf, 0.0, 1.0, 3e38, -3e38, 3e38, math.nan, 0.0])
    got = edge_softmax(graph, scores)
    torch.testing.assert_close(got[:6].double(), exact(graph, scores)[:6], rtol=1e-6, atol=1e-7)
    assert torch.isnan(got[6:]).all()


def test_gradients() -> None:
    graph = random_graph(9, 7, 20, 8)
    for shape in ((), (3,)):
        scores = torch.randn(graph.num_edges, *shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda s: edge_softmax(graph, s), (scores,))
        assert torch.autograd.gradgradcheck(lambda s: edge_softmax(graph, s), (scores,))


def test_names_what_is_wrong() -> None:
    graph = random_graph()
    with pytest.raises(ValueError, match=r"expected scores \(240,\) or \(240, H\), got \(3,\)"):
        edge_softmax(graph, torch.ones(3))
    with pytest.raises(TypeError, match=r"expected float32, float64 or bfloat16, got torch\.int64"):
        edge_softmax(graph, torch.ones(240, dtype=torch.int64))
