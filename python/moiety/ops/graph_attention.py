"""`edge_softmax` and `gat_aggregate`: attention over the edges that enter a node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from moiety.graph.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import graph_common as common
from moiety.ops import memory
from moiety.ops.graph_spmm import other_side, spmm, tensors, turned_structure

__all__ = ["edge_softmax", "gat_aggregate"]

FLOATS = (torch.float32, torch.float64, torch.bfloat16)
Saved = tuple[Tensor, Tensor, Tensor]  # L, p and q of csrc/graph/gat.hpp


def edge_softmax(graph: Graph, scores: Tensor) -> Tensor:
    """Softmax of scores (num_edges,) or (num_edges, H), in CSR order, over the edges that enter each node.

    float32, float64, or bfloat16, computed in float32. Differentiable, twice where asked.
    """
    if scores.device.type != "cpu":
        common.refuse_device("edge_softmax", scores)
    if scores.dtype not in FLOATS:
        raise TypeError(f"edge_softmax: expected float32, float64 or bfloat16, got {scores.dtype}")
    if scores.ndim not in (1, 2) or scores.shape[0] != graph.num_edges:
        edges = graph.num_edges
        raise ValueError(f"edge_softmax: expected scores ({edges},) or ({edges}, H), got {tuple(scores.shape)}")
    if scores.dtype is torch.bfloat16:
        return edge_softmax(graph, scores.float()).bfloat16()
    structure = graph.structure
    alpha: Tensor
    if not common.plain(scores):
        alpha = torch.ops.moiety.edge_softmax(*tensors(structure), structure.num_cols, scores)
    elif common.needs_gradient(scores):
        alpha = _Softmax.apply(scores, structure)  # type: ignore[no-untyped-call]
    else:
        alpha = _softmax(structure, scores)
    return alpha


def gat_aggregate(
    graph: Graph, x: Tensor, score_source: Tensor, score_target: Tensor, negative_slope: float = 0.2
) -> Tensor:
    """``y[i] = sum_j softmax_j(leaky_relu(score_source[j] + score_target[i])) x[j]``, head by head (arXiv 1710.10903).

    x is (num_cols, H, D), score_source (num_cols, H), score_target (num_rows, H); y is (num_rows, H, D), zero where no
    edge enters. float32, float64, or bfloat16 beside float32 scores. Nothing of the size of edges x heads is kept, let
    alone edges x features: the gradient forms the coefficients again. Differentiable, twice where asked.
    """
    _check(graph, x, score_source, score_target, negative_slope)
    structure = graph.structure
    if not common.plain(x, score_source, score_target):
        arguments = (x, score_source, score_target, negative_slope)
        y: Tensor = torch.ops.moiety.gat(*tensors(structure), *arguments, *other_side(structure))[0]
    elif common.needs_gradient(x, score_source, score_target):
        y = _Gat.apply(x, score_source, score_target, structure, negative_slope)  # type: ignore[no-untyped-call]
    else:
        y = _gat(structure, x, score_source, score_target, negative_slope, False)[0]
    return y


def _check(graph: Graph, x: Tensor, score_source: Tensor, score_target: Tensor, slope: float) -> None:
    if x.device.type != "cpu":
        common.refuse_device("gat_aggregate", x)
    if x.dtype not in FLOATS:
        raise TypeError(f"gat_aggregate: expected x of float32, float64 or bfloat16, got {x.dtype}")
    if x.ndim != 3 or x.shape[0] != graph.num_cols or 0 in x.shape[1:]:
        raise ValueError(f"gat_aggregate: expected x ({graph.num_cols}, H, D), got {tuple(x.shape)}")
    dtype = common.weight_dtype(x.dtype)
    for name, score, nodes in (
        ("score_source", score_source, graph.num_cols),
        ("score_target", score_target, graph.num_rows),
    ):
        if score.shape != (nodes, x.shape[1]) or score.dtype is not dtype:
            raise ValueError(
                f"gat_aggregate: expected {name} ({nodes}, {x.shape[1]}) of {dtype}, "
                f"got {tuple(score.shape)} of {score.dtype}"
            )
    if not slope >= 0:
        raise ValueError(f"gat_aggregate: expected negative_slope >= 0, got {slope}")


# --- kernels ---------------------------------------------------------------------------------------------------------


def _softmax(structure: Structure, scores: Tensor) -> Tensor:
    scores = scores.contiguous()
    alpha = memory.empty_like(scores)
    heads = scores.shape[1] if scores.ndim == 2 else 1
    if heads:
        common.kernel("edge_softmax", scores.dtype)(
            structure.native, heads, scores.data_ptr(), alpha.data_ptr(), torch.get_num_threads()
        )
    return alpha


def _softmax_backward(structure: Structure, alpha: Tensor, dalpha: Tensor) -> Tensor:
    alpha, dalpha = alpha.contiguous(), dalpha.contiguous()
    dscores = memory.empty_like(alpha)
    heads = alpha.shape[1] if alpha.ndim == 2 else 1
    if heads:
        common.kernel("edge_softmax_backward", alpha.dtype)(
            structure.native,
            heads,
            alpha.data_ptr(),
            dalpha.data_ptr(),
            dscores.data_ptr(),
            torch.get_num_threads(),
        )
    return dscores


def _gat(
    structure: Structure, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y and what its gradient needs, of no elements unless it is to be kept."""
    x, source, target = x.contiguous(), source.contiguous(), target.contiguous()
    rows, heads, features = structure.num_rows, x.shape[1], x.shape[2]
    y = memory.empty((rows, heads, features), x.dtype)
    log_sum = memory.empty((rows, heads) if keep else (0,), source.dtype)
    share = memory.empty_like(log_sum)
    positive = memory.empty((rows, heads, features) if keep else (0,), source.dtype)
    common.kernel("gat_forward", x.dtype)(
        structure.native,
        heads,
        features,
        slope,
        x.data_ptr(),
        source.data_ptr(),
        target.data_ptr(),
        y.data_ptr(),
        (log_sum.data_ptr(), positive.data_ptr(), share.data_ptr()) if keep else (0, 0, 0),
        torch.get_num_threads(),
    )
    return y, log_sum, positive, share


def _gat_backward(
    by_source: Structure,
    x: Tensor,
    source: Tensor,
    target: Tensor,
    slope: float,
    y: Tensor,
    saved: Saved,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x and of both scores; `by_source` is the transpose of the graph."""
    x, source, target, dy = x.contiguous(), source.contiguous(), target.contiguous(), dy.contiguous()
    dx, dsource, dtarget = memory.empty_like(x), memory.empty_like(source), memory.empty_like(target)
    common.kernel("gat_backward", x.dtype)(
        by_source.native,
        x.shape[1],
        x.shape[2],
        slope,
        x.data_ptr(),
        source.data_ptr(),
        target.data_ptr(),
        y.data_ptr(),
        tuple(v.data_ptr() for v in saved),
        dy.data_ptr(),
        dx.data_ptr(),
        dsource.data_ptr(),
        dtarget.data_ptr(),
        torch.get_num_threads(),
    )
    return dx, dsource, dtarget


# --- autograd in eager mode ------------------------------------------------------------------------------------------


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, structure: Structure) -> Tensor:
        alpha = _softmax(structure, scores)
        ctx.structure = structure
        ctx.save_for_backward(alpha)
        return alpha

    @staticmethod
    def backward(ctx: Any, dalpha: Tensor) -> tuple[Tensor | None, ...]:
        (alpha,) = ctx.saved_tensors
        structure = ctx.structure
        if torch.is_grad_enabled():  # a second derivative is asked for
            product = alpha * dalpha
            shape = (structure.num_rows, *alpha.shape[1:])
            total = torch.zeros(shape, dtype=alpha.dtype).index_add(0, structure.rows, product)
            return product - alpha * total[structure.rows], None
        return _softmax_backward(structure, alpha, dalpha), None


def composed_gat(graph: Graph, x: Tensor, source: Tensor, target: Tensor, slope: float) -> Tensor:
    """`gat_aggregate` from the other operators, with a score for every edge and head."""
    scores = leaky_relu(source[graph.indices] + target[graph.structure.rows], slope)
    result: Tensor = spmm(graph, x, edge_softmax(graph, scores))
    return result


class _Gat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, target: Tensor, structure: Structure, slope: float) -> Tensor:
        y, *saved = _gat(structure, x, source, target, slope, True)
        ctx.structure, ctx.slope = structure, slope
        ctx.save_for_backward(x, source, target, y, *saved)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, source, target, y, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for
            again = composed_gat(Graph(ctx.structure), x, source, target, ctx.slope)
            wanted = [v for v, needed in zip((x, source, target), ctx.needs_input_grad, strict=False) if needed]
            found = iter(torch.autograd.grad(again, wanted, dy, create_graph=True))
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:3]), None, None
        by_source = ctx.structure.transposed[0]
        return *_gat_backward(by_source, x, source, target, ctx.slope, y, tuple(saved), dy), None, None


# --- registered operators --------------------------------------------------------------------------------------------


@torch.library.custom_op("moiety::edge_softmax", mutates_args=(), device_types="cpu")
def _softmax_operator(indptr: Tensor, indices: Tensor, num_cols: int, scores: Tensor) -> Tensor:
    return _softmax(Structure(indptr, indices, num_cols), scores)


@_softmax_operator.register_fake
def _(indptr: Tensor, indices: Tensor, num_cols: int, scores: Tensor) -> Tensor:
    return torch.empty_like(scores, memory_format=torch.contiguous_format)


@torch.library.custom_op("moiety::edge_softmax_backward", mutates_args=(), device_types="cpu")
def _softmax_backward_operator(dalpha: Tensor, indptr: Tensor, indices: Tensor, num_cols: int, alpha: Tensor) -> Tensor:
    return _softmax_backward(Structure(indptr, indices, num_cols), alpha, dalpha)


@_softmax_backward_operator.register_fake
def _(dalpha: Tensor, indptr: Tensor, indices: Tensor, num_cols: int, alpha: Tensor) -> Tensor:
    return torch.empty_like(alpha, memory_format=torch.contiguous_format)


def _softmax_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    indptr, indices, ctx.num_cols, _ = inputs
    ctx.save_for_backward(indptr, indices, output)


def _softmax_differentiate(ctx: Any, dalpha: Tensor) -> tuple[Tensor | None, ...]:
    indptr, indices, alpha = ctx.saved_tensors
    return None, None, None, torch.ops.moiety.edge_softmax_backward(dalpha, indptr, indices, ctx.num_cols, alpha)


_softmax_operator.register_autograd(_softmax_differentiate, setup_context=_softmax_save)


@torch.library.custom_op("moiety::gat", mutates_args=(), device_types="cpu")
def _gat_operator(
    indptr: Tensor,
    indices: Tensor,
    x: Tensor,
    score_source: Tensor,
    score_target: Tensor,
    negative_slope: float,
    turned_indptr: Tensor | None = None,
    turned_indices: Tensor | None = None,
    turned_position: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y, and L, p and q for its gradient (csrc/graph/gat.hpp)."""
    structure = Structure(indptr, indices, x.shape[0])
    return _gat(structure, x, score_source, score_target, negative_slope, True)


@_gat_operator.register_fake
def _(
    indptr: Tensor, indices: Tensor, x: Tensor, score_source: Tensor, score_target: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows, heads, features = indptr.shape[0] - 1, x.shape[1], x.shape[2]
    return (
        x.new_empty((rows, heads, features)),
        score_source.new_empty((rows, heads)),
        score_source.new_empty((rows, heads, features)),
        score_source.new_empty((rows, heads)),
    )


@torch.library.custom_op("moiety::gat_backward", mutates_args=(), device_types="cpu")
def _gat_backward_operator(
    dy: Tensor,
    indptr: Tensor,
    indices: Tensor,
    x: Tensor,
    score_source: Tensor,
    score_target: Tensor,
    negative_slope: float,
    y: Tensor,
    log_sum: Tensor,
    positive: Tensor,
    share: Tensor,
    turned_indptr: Tensor | None,
    turned_indices: Tensor | None,
    turned_position: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    structure = Structure(indptr, indices, x.shape[0])
    by_source = turned_structure(structure, turned_indptr, turned_indices, turned_position)[0]
    saved = log_sum, positive, share
    return _gat_backward(by_source, x, score_source, score_target, negative_slope, y, saved, dy)


@_gat_backward_operator.register_fake
def _(
    dy: Tensor, indptr: Tensor, indices: Tensor, x: Tensor, score_source: Tensor, score_target: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    like = torch.contiguous_format
    return (
        torch.empty_like(x, memory_format=like),
        torch.empty_like(score_source, memory_format=like),
        torch.empty_like(score_target, memory_format=like),
    )


def _gat_save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    indptr, indices, x, source, target, ctx.slope, *other = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(indptr, indices, x, source, target, *output, *other)


def _gat_differentiate(ctx: Any, dy: Tensor | None, *rest: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 9
    indptr, indices, x, source, target, y, log_sum, positive, share, *other = ctx.saved_tensors
    found = torch.ops.moiety.gat_backward(
        dy, indptr, indices, x, source, target, ctx.slope, y, log_sum, positive, share, *other
    )
    return None, None, *found, None, None, None, None


_gat_operator.register_autograd(_gat_differentiate, setup_context=_gat_save)
