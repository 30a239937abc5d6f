"""The operators on graphs as registered operators: opcheck, torch.compile without a break, fake tensors, export."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from moiety.ops import edge_softmax, gat_aggregate, gated_sum, sddmm, spmm
from random_graphs import random_graph

GRAPH = random_graph(9, 7, 20, 8)
HEADS = 2


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def functions() -> dict[str, tuple[Callable[..., Tensor], list[Tensor]]]:
    edges = GRAPH.num_edges
    x, w = leaf(7, HEADS, 3), leaf(edges, HEADS, seed=1)
    found: dict[str, tuple[Callable[..., Tensor], list[Tensor]]] = {
        "sddmm": (lambda a, b: sddmm(GRAPH, a, b), [leaf(9, HEADS, 3), x]),
        "softmax": (lambda s: edge_softmax(GRAPH, s), [w]),
        "gated": (lambda k, q, v: gated_sum(GRAPH, k, q, v), [leaf(9, 5), leaf(7, 5, seed=2), leaf(7, 5, seed=3)]),
        "gat": (lambda a, s, t: gat_aggregate(GRAPH, a, s, t), [x, leaf(7, HEADS, seed=2), leaf(9, HEADS, seed=3)]),
    }
    for reduce in ("sum", "mean", "max", "min"):
        found[reduce] = (lambda a, v, r=reduce: spmm(GRAPH, a, v, r), [x, w])
    found["unweighted"] = (lambda a: spmm(GRAPH.with_weight(None), a, None, "mean"), [leaf(7, 5)])
    return found


@pytest.mark.parametrize("name", functions())
def test_compiles_whole(name: str) -> None:
    function, inputs = functions()[name]
    torch.compiler.reset()
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    y, wanted = compiled(*inputs), function(*inputs)
    torch.testing.assert_close(y, wanted)
    dy = torch.randn(y.shape)
    for a, b in zip(torch.autograd.grad(y, inputs, dy), torch.autograd.grad(wanted, inputs, dy), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_spmm_operator(turned: bool, weighted: bool) -> None:
    other = GRAPH.csc if turned else (None, None, None)
    w = leaf(GRAPH.num_edges) if weighted else None
    for mean in (False, True):
        arguments = (GRAPH.indptr, GRAPH.indices, leaf(7, 5), w, mean, *other)
        torch.library.opcheck(torch.ops.moiety.spmm.default, arguments)
    torch.library.opcheck(torch.ops.moiety.spmm_extreme.default, (GRAPH.indptr, GRAPH.indices, leaf(7, 5), w, True))


def test_the_other_operators() -> None:
    indptr, indices = GRAPH.indptr, GRAPH.indices
    w = leaf(GRAPH.num_edges, HEADS)
    torch.library.opcheck(torch.ops.moiety.sddmm.default, (indptr, indices, leaf(9, 6), leaf(7, 6), HEADS))
    torch.library.opcheck(torch.ops.moiety.edge_softmax.default, (indptr, indices, 7, w))
    gated = (indptr, indices, leaf(9, 5), leaf(7, 5), leaf(7, 5, seed=1), *GRAPH.csc)
    torch.library.opcheck(torch.ops.moiety.gated_sum.default, gated)
    gat = (indptr, indices, leaf(7, HEADS, 3), leaf(7, HEADS), leaf(9, HEADS), 0.2, *GRAPH.csc)
    torch.library.opcheck(torch.ops.moiety.gat.default, gat)


def test_traces_without_data() -> None:
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        for function, inputs in functions().values():
            fakes = [torch.empty(v.shape) for v in inputs]
            assert function(*fakes).shape == function(*fakes).shape
        assert spmm(GRAPH, torch.empty(7, 5, dtype=torch.float64)).shape == (9, 5)


def test_exports() -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return spmm(GRAPH.with_weight(None), x).relu()

    program = torch.export.export(Layer(), (torch.ones(7, 5),))
    assert "moiety.spmm" in program.graph_module.code
    torch.testing.assert_close(program.module()(torch.ones(7, 5)), Layer()(torch.ones(7, 5)))
