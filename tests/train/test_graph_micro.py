"""The micro-pipeline: chunks change neither results nor gradients, in whatever sizes."""

import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.nn.graph import GATConv, GCNConv, GINConv, SAGEConv
from moiety.train.graph import Layer, MicroPipeline
from moiety.train.graph.micro import row_chunks


def graph_of(nodes: int, density: float, seed: int) -> Graph:
    return Graph.from_scipy(sp.random(nodes, nodes, density, format="csr", random_state=seed))


def layer_of(kind: str) -> Layer:
    torch.manual_seed(0)
    conv: nn.Module
    if kind == "gcn":
        conv = GCNConv(5, 4)
    elif kind == "gin":
        conv = GINConv(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)), train_eps=True)
    else:
        conv = SAGEConv(5, 4, aggr=kind)
    return Layer(conv, nn.Tanh(), normalize=kind == "mean").double()


def results(layer: nn.Module, weights: list[Tensor], x: Tensor, own: Tensor, block: Graph) -> list[Tensor]:
    """The output and the gradients of features and parameters."""
    x, own = x.clone().requires_grad_(), own.clone().requires_grad_()
    y = layer(x, own, block)
    dy = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(y, [x, own, *weights], dy, allow_unused=True)
    return [y.detach(), *(torch.zeros(1) if g is None else g for g in found)]


@settings(max_examples=40, deadline=None)
@given(
    nodes=st.integers(1, 40),
    density=st.floats(0, 0.4),
    chunks=st.integers(1, 9),
    kind=st.sampled_from(["gcn", "gin", "mean", "sum"]),
    seed=st.integers(0, 1000),
)
def test_chunks_change_nothing(nodes: int, density: float, chunks: int, kind: str, seed: int) -> None:
    layer = layer_of(kind)
    block = layer.operand(graph_of(nodes, density, seed))
    generator = torch.Generator().manual_seed(seed)
    x, own = torch.randn(2, nodes, 5, dtype=torch.float64, generator=generator)
    weights = list(layer.parameters())
    whole = results(layer, weights, x, own, block)
    piped = results(MicroPipeline(layer, chunks), weights, x, own, block)
    for k, (a, b) in enumerate(zip(whole, piped, strict=True)):
        if a.numel() == b.numel():
            torch.testing.assert_close(b, a, rtol=1e-6, atol=1e-9)
        else:  # a gradient that one side has as None and the other as zeros
            assert k == 2
            assert not a.any()
            assert not b.any()


def test_without_gradients() -> None:
    layer = layer_of("gcn")
    block = layer.operand(graph_of(30, 0.2, 0))
    x = torch.randn(30, 5, dtype=torch.float64)
    pipeline = MicroPipeline(layer, 4)
    with torch.no_grad():
        y = pipeline(x, x, block)
    assert not y.requires_grad
    torch.testing.assert_close(y, layer(x, x, block).detach(), rtol=1e-6, atol=1e-9)
    loss = pipeline(x, x, block).sum()  # inputs that need no gradient, parameters that do
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in layer.parameters())


@given(degrees=st.lists(st.integers(0, 30), min_size=1, max_size=40), chunks=st.integers(1, 12))
def test_chunks_cover_all_rows_and_share_the_work(degrees: list[int], chunks: int) -> None:
    indptr = torch.tensor([0, *degrees]).cumsum(0)
    graph = Graph.from_csr(indptr, torch.zeros(int(indptr[-1]), dtype=torch.int64))
    ranges = row_chunks(graph, chunks)
    assert [b for b, _ in ranges][1:] == [e for _, e in ranges][:-1]
    assert (ranges[0][0], ranges[-1][1]) == (0, len(degrees))
    assert len(ranges) <= chunks
    assert all(b < e for b, e in ranges)
    share = (sum(degrees) + len(degrees)) / chunks
    assert all(sum(degrees[b:e]) + e - b <= 2 * share + max(degrees) + 1 for b, e in ranges)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="a sum and then a map of nodes"):
        MicroPipeline(Layer(GATConv(5, 4)))
    with pytest.raises(ValueError, match="a sum and then a map of nodes"):
        MicroPipeline(Layer(SAGEConv(5, 4, aggr="max")))
    with pytest.raises(ValueError, match="normalises over all nodes at once"):
        MicroPipeline(Layer(GINConv(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)))))
    with pytest.raises(ValueError, match="chunks >= 1"):
        MicroPipeline(Layer(GCNConv(5, 4)), 0)
