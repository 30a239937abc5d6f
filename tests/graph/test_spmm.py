"""moiety.ops.spmm against SciPy and torch's scatter, at every ISA level."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety import ring
from moiety.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import CudaModuleMissing, spmm
from moiety.ops.graph_common import refuse_device
from random_graphs import dense, edge_lists, random_graph, scatter

WIDTHS = [1, 3, 8, 16, 17, 40, 64, 100, 128, 200, 260]
REDUCES = ["sum", "mean", "max", "min"]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14, torch.bfloat16: 2.0**-8}


def messages(graph: Graph, x: Tensor, weight: Tensor | None) -> Tensor:
    gathered = x[graph.indices]
    if weight is None:
        return gathered
    return weight.view(*weight.shape, *(1,) * (x.ndim - weight.ndim)) * gathered


def compare(graph: Graph, x: Tensor, weight: Tensor | None, reduce: str) -> None:
    got = spmm(graph, x, weight, reduce)  # type: ignore[arg-type]
    assert got.dtype is x.dtype
    exact = messages(graph, x.double(), None if weight is None else weight.double())
    size = scatter(graph, exact.abs(), "sum" if reduce == "sum" else "max").abs()
    error = (got.double() - scatter(graph, exact, reduce)).abs()
    terms = math.sqrt(max(1, int(graph.in_degrees().max()))) if reduce in ("sum", "mean") else 1
    assert (error <= TOLERANCE[x.dtype] * (terms * size + (got.abs() if x.dtype is torch.bfloat16 else 0))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("reduce", REDUCES)
def test_widths(isa: str, reduce: str, dtype: torch.dtype) -> None:
    graph = random_graph()
    weights = torch.float32 if dtype is torch.bfloat16 else dtype
    for width in WIDTHS:
        x = torch.randn(graph.num_cols, width, generator=torch.Generator().manual_seed(width)).to(dtype)
        compare(graph, x, graph.weight_as(weights), reduce)
        compare(graph.with_weight(None), x, None, reduce)


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("shape", [(4, 16), (3, 5), (8, 8), (20, 3), (2, 64), (5, 40), (1, 7)], ids=str)
def test_one_weight_a_head(isa: str, shape: tuple[int, int], reduce: str) -> None:
    graph = random_graph()
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(graph.num_cols, *shape, dtype=dtype)
        compare(graph, x, torch.randn(graph.num_edges, shape[0], dtype=dtype), reduce)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edge_lists(), st.integers(0, 70), st.sampled_from(REDUCES), st.booleans())
def test_any_graph(case: tuple[int, int, Tensor], width: int, reduce: str, weighted: bool) -> None:
    rows, cols, edge_index = case
    weight = torch.randn(edge_index.shape[1]) if weighted else None
    graph = Graph.from_edge_index(edge_index, rows, weight, cols)
    x = torch.randn(cols, width)
    compare(graph, x, graph.weight, reduce)
    if weighted and reduce == "sum":
        a = scipy.sparse.coo_matrix((weight.numpy(), edge_index.flip(0).numpy()), (rows, cols)).tocsr()  # type: ignore[union-attr]
        torch.testing.assert_close(spmm(Graph.from_scipy(a), x), torch.from_numpy(a @ x.numpy()))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_rings_wrap_and_are_exact(isa: str, dtype: torch.dtype) -> None:
    graph = random_graph(weighted=False)
    rng = np.random.default_rng(0)
    info = np.iinfo(np.int32 if dtype is torch.int32 else np.int64)
    for width in WIDTHS:
        weight = rng.integers(info.min, info.max, graph.num_edges, dtype=info.dtype)
        x = rng.integers(info.min, info.max, (graph.num_cols, width), dtype=info.dtype)
        wanted = np.zeros((graph.num_rows, width), info.dtype)
        with np.errstate(over="ignore"):
            np.add.at(wanted, graph.edge_index[1].numpy(), weight[:, None] * x[graph.indices.numpy()])
        got = spmm(graph, torch.from_numpy(x), torch.from_numpy(weight))
        np.testing.assert_array_equal(got.numpy(), wanted)
        unsigned = f"uint{info.bits}"
        same = ring.csr_matmul(graph.indptr.numpy(), graph.indices.numpy(), weight.view(unsigned), x.view(unsigned))
        np.testing.assert_array_equal(same.view(info.dtype), wanted)


def test_every_level_gives_the_scalar_result_in_a_ring() -> None:
    from moiety import _core

    before, graph = _core.isa(), random_graph(weighted=False)
    x = torch.randint(-(2**62), 2**62, (graph.num_cols, 37))
    weight = torch.randint(-(2**62), 2**62, (graph.num_edges,))
    found = []
    for level in ("scalar", "avx2", "avx512"):
        if level == "scalar" or _core.cpu_features()[level]:
            _core.set_isa(level)
            found.append(spmm(graph, x, weight))
    _core.set_isa(before)
    assert all(torch.equal(found[0], other) for other in found)


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_argument_names_the_edge(isa: str, reduce: str) -> None:
    graph = random_graph()
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        for width in (1, 5, 16, 70):
            x = torch.randn(graph.num_cols, width).to(dtype)
            weight = graph.weight_as(torch.float32 if dtype is torch.bfloat16 else dtype)
            y, argument = spmm(graph, x, weight, reduce, return_argument=True)  # type: ignore[arg-type]
            assert argument.dtype is torch.int32
            empty = graph.in_degrees() == 0
            assert (argument[empty] == -1).all()
            assert (y[empty] == 0).all()
            chosen = argument[~empty].long()
            assert torch.equal(graph.edge_index[1][chosen], (~empty).nonzero().expand(-1, width))
            values = messages(graph, x, weight).to(dtype).gather(0, chosen)
            assert torch.equal(values, y[~empty])
    ties, argument = spmm(graph.with_weight(None), torch.ones(graph.num_cols, 3), None, reduce, True)  # type: ignore[arg-type]
    assert torch.equal(argument[~empty].long(), graph.indptr[:-1][~empty].unsqueeze(1).expand(-1, 3))
    assert (ties[~empty] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_nan_and_infinity_stay_visible(isa: str, dtype: torch.dtype) -> None:
    graph = Graph.from_edge_index(torch.tensor([[0, 1, 2, 0, 2], [0, 0, 0, 1, 1]]), 3)
    x = torch.tensor([[1.0], [math.nan], [math.inf]]).to(dtype)
    for reduce in REDUCES:
        y = spmm(graph, x, reduce=reduce)  # type: ignore[arg-type]
        assert torch.isnan(y[0]).all()
        assert (y[1] == (1 if reduce == "min" else math.inf)).all()
        assert y[2] == 0


def test_results_do_not_depend_on_the_number_of_threads(isa: str, threads: None) -> None:
    graph = random_graph(3000, 2500, 60000, 15000)
    x = torch.randn(2500, 2, 17)
    weight = torch.randn(graph.num_edges, 2)
    found = []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        a, w = x.clone().requires_grad_(), weight.clone().requires_grad_()
        results = [spmm(graph, a, w, reduce) for reduce in REDUCES]  # type: ignore[arg-type]
        gradients = [torch.autograd.grad(y.sin().sum(), (a, w)) for y in results]
        found.append([*results, *(g for pair in gradients for g in pair)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients(reduce: str) -> None:
    graph = random_graph(9, 7, 20, 8)
    for shape, heads in (((7, 3), None), ((7, 2, 3), None), ((7, 2, 3), 2)):
        x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(graph.num_edges, *(() if heads is None else (heads,)), dtype=torch.float64)
        for inputs in (
            (x, weight.clone().requires_grad_()),
            (x, weight),
            (x.detach(), weight.clone().requires_grad_()),
        ):
            assert torch.autograd.gradcheck(lambda a, w: spmm(graph, a, w, reduce), inputs)  # type: ignore[arg-type]
            assert torch.autograd.gradgradcheck(lambda a, w: spmm(graph, a, w, reduce), inputs, fast_mode=True)  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(lambda a: spmm(graph, a, None, reduce), (x,))  # type: ignore[arg-type]
        assert torch.autograd.gradgradcheck(
            lambda a: spmm(graph.with_weight(None), a, None, reduce), (x,), fast_mode=True
        )  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("reduce", REDUCES)
def test_kernel_gradients_are_those_of_double(isa: str, reduce: str, dtype: torch.dtype) -> None:
    graph = random_graph()
    x = torch.randn(graph.num_cols, 33).to(dtype).requires_grad_()
    weight = torch.randn(graph.num_edges, requires_grad=True)
    dy = torch.randn(graph.num_rows, 33).to(dtype)
    got = torch.autograd.grad(spmm(graph, x, weight, reduce), (x, weight), dy)  # type: ignore[arg-type]
    exact = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    wanted = torch.autograd.grad(spmm(graph, *exact, reduce), exact, dy.double())  # type: ignore[arg-type]
    rounding = 2.0**-6 if dtype is torch.bfloat16 else 1e-5
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=rounding, atol=rounding * 10)


@pytest.mark.parametrize("order", ["degree", "rcm"])
def test_orders_change_nothing_but_the_way_through_memory(isa: str, order: str) -> None:
    plain = random_graph(41, 41)
    edge_index, weight = plain.edge_index, plain.weight
    graph = Graph.from_edge_index(edge_index, 41, weight, order=order)  # type: ignore[arg-type]
    assert graph.order == order
    for reduce in REDUCES:
        x = torch.randn(41, 70, dtype=torch.float64, requires_grad=True)
        y, same = spmm(graph, x, reduce=reduce), spmm(plain, x, reduce=reduce)  # type: ignore[arg-type]
        assert torch.equal(y, same)
        dy = torch.randn(y.shape, dtype=torch.float64)
        assert torch.equal(*(torch.autograd.grad(v, x, dy)[0] for v in (y, same)))
    with pytest.raises(ValueError, match="expected order None, 'degree' or 'rcm', got 'hilbert'"):
        Graph.from_edge_index(edge_index, 41, order="hilbert")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'rcm' is of square graphs, got 3 by 41"):
        Graph.from_edge_index(edge_index.clamp(max=2), 3, num_sources=41, order="rcm")


def test_layouts_that_are_not_contiguous() -> None:
    graph = random_graph()
    x = torch.randn(33, graph.num_cols, dtype=torch.float64).t()[:, ::2]
    torch.testing.assert_close(spmm(graph, x), dense(graph) @ x)
    y = spmm(graph.with_weight(graph.weight), x.clone().requires_grad_())
    y.sum().backward()  # an expanded gradient


def test_names_what_is_wrong() -> None:
    graph = random_graph()
    x = torch.randn(29, 4)
    with pytest.raises(ValueError, match=r"expected x \(29, ...\), a row a source, got \(37, 4\)"):
        spmm(graph, torch.randn(37, 4))
    with pytest.raises(ValueError, match=r"expected weights \(240,\), got \(239,\)"):
        spmm(graph, x, torch.ones(239))
    with pytest.raises(ValueError, match=r"expected weights \(240,\) or \(240, 2\), got \(240, 3\)"):
        spmm(graph, torch.randn(29, 2, 2), torch.ones(240, 3))
    with pytest.raises(TypeError, match=r"of torch\.float32 beside x of torch\.float32, got torch\.float64"):
        spmm(graph, x, torch.ones(240, dtype=torch.float64))
    with pytest.raises(TypeError, match="expected x of float32"):
        spmm(graph, x.half())
    with pytest.raises(TypeError, match=r"expected weights of torch\.int64"):
        spmm(graph, torch.ones(29, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="expected reduce sum, mean, max or min, got 'median'"):
        spmm(graph, x, reduce="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a ring has no order"):
        spmm(graph.with_weight(None), torch.ones(29, 2, dtype=torch.int64), reduce="max")
    with pytest.raises(ValueError, match="only max and min come from one edge"):
        spmm(graph, x, return_argument=True)
    with pytest.raises(ValueError, match="expected tensors on the CPU, got one on meta"):
        spmm(graph, x.to("meta"))


def test_cuda_tensors_are_refused_by_name() -> None:
    with torch._subclasses.FakeTensorMode():  # a tensor that says it is on a GPU, where there is none
        x = torch.empty(29, 4, device="cuda")
    with pytest.raises(CudaModuleMissing, match=r"on cuda:0, and moiety's CUDA module is not installed.*\.cpu\(\)"):
        spmm(random_graph(weighted=False), x)
    with pytest.raises(CudaModuleMissing):
        refuse_device("sddmm", x)


def test_registered_operators_look_indices_through() -> None:
    indptr, indices, x = torch.tensor([0, 1]), torch.tensor([5], dtype=torch.int32), torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"expected columns in \[0, 2\), got 5"):
        torch.ops.moiety.spmm(indptr, indices, x, None, False)
    with pytest.raises(TypeError, match="indptr int64"):
        Structure(indptr.int(), indices, 2)
