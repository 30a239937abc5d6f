"""`spmm`: the product of a graph with features, and mean, maximum and minimum over neighbours."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from moiety.graph.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import graph_common as common
from moiety.ops import memory
from moiety.ops.graph_sddmm import dots, dots_again

__all__ = ["Reduce", "spmm"]

Reduce = Literal["sum", "mean", "max", "min"]
FLOATS = (torch.float32, torch.float64, torch.bfloat16)
INTEGERS = (torch.int32, torch.int64)


def spmm(
    graph: Graph, x: Tensor, weight: Tensor | None = None, reduce: Reduce = "sum", return_argument: bool = False
) -> Any:
    """``y[i] = reduce of weight[e] * x[j]`` over the edges e = (i <- j) that enter node i.

    x is (num_cols, ...), y (num_rows, ...) of its dtype: float32, float64, bfloat16 (sums are float32, rounded once),
    or int32 and int64, the rings, which wrap, know "sum" only and no gradient. `weight` is (num_edges,), or
    (num_edges, H) beside x (num_cols, H, D), in CSR order; by default the graph's own, and ones where it has none.
    "mean" divides by the number of edges, whatever their weights. A node that no edge enters gets zero.

    With ``return_argument``, for "max" and "min", the result is (y, argument): positions in CSR order, int32, of the
    edges that y came from, -1 where there is none. Of equals the first edge counts; NaN counts as the extreme.

    Gradients reach x and weight, twice where asked. Results do not depend on the number of threads.
    """
    if weight is None:
        weight = graph.weight_as(common.weight_dtype(x.dtype)) if x.is_floating_point() else graph.weight
    elif x.dtype is torch.bfloat16 and weight.dtype is torch.bfloat16:
        weight = weight.float()
    _check(graph, x, weight, reduce, return_argument)
    structure = graph.structure
    if reduce == "sum" or reduce == "mean":
        mean = reduce == "mean"
        if not common.plain(x, weight):
            return torch.ops.moiety.spmm(*tensors(structure), x, weight, mean, *other_side(structure))
        if common.needs_gradient(x, weight):
            return _Spmm.apply(x, weight, graph, mean)  # type: ignore[no-untyped-call]
        return product(structure, x, weight, mean)
    least = reduce == "min"
    if not common.plain(x, weight):
        y, argument = torch.ops.moiety.spmm_extreme(*tensors(structure), x, weight, least)
    elif common.needs_gradient(x, weight):
        y, argument = _Extreme.apply(x, weight, structure, least)  # type: ignore[no-untyped-call]
    else:
        y, argument = extreme(structure, x, weight, least, return_argument)
    return (y, argument) if return_argument else y


def _check(graph: Graph, x: Tensor, weight: Tensor | None, reduce: str, return_argument: bool) -> None:
    dtype = x.dtype
    if x.device.type != "cpu":
        common.refuse_device("spmm", x)
    if dtype not in FLOATS and dtype not in INTEGERS:
        raise TypeError(f"spmm: expected x of float32, float64, bfloat16, int32 or int64, got {dtype}")
    if x.ndim < 1 or x.shape[0] != graph.num_cols:
        raise ValueError(f"spmm: expected x ({graph.num_cols}, ...), a row a source, got {tuple(x.shape)}")
    if weight is not None:
        if weight.device.type != "cpu":
            common.refuse_device("spmm", weight)
        expected = common.weight_dtype(dtype)
        if weight.dtype is not expected:
            raise TypeError(f"spmm: expected weights of {expected} beside x of {dtype}, got {weight.dtype}")
        edges = graph.num_edges
        if weight.shape != (edges,) and not (x.ndim == 3 and weight.shape == (edges, x.shape[1])):
            heads = f" or ({edges}, {x.shape[1]})" if x.ndim == 3 else ""
            raise ValueError(f"spmm: expected weights ({edges},){heads}, got {tuple(weight.shape)}")
        if weight.ndim == 2 and dtype in INTEGERS:
            raise ValueError("spmm: integers take one weight an edge, not one a head")
    if reduce not in ("sum", "mean", "max", "min"):
        raise ValueError(f"spmm: expected reduce sum, mean, max or min, got {reduce!r}")
    if dtype in INTEGERS and reduce != "sum":
        raise ValueError(f"spmm: a ring has no order and no division: expected reduce sum for {dtype}, got {reduce!r}")
    if return_argument and reduce not in ("max", "min"):
        raise ValueError(f"spmm: only max and min come from one edge, got reduce {reduce!r} with return_argument")


# --- kernels ---------------------------------------------------------------------------------------------------------


def product(structure: Structure, x: Tensor, weight: Tensor | None, mean: bool) -> Tensor:
    """The kernel on plain tensors that fit each other."""
    if not x.is_contiguous():
        x = x.contiguous()
    if weight is not None and not weight.is_contiguous():
        weight = weight.contiguous()
    y = memory.empty((structure.num_rows, *x.shape[1:]), x.dtype)
    pattern, order = structure.gathered
    common.kernel("spmm", x.dtype)(
        pattern,
        x.data_ptr(),
        y.data_ptr(),
        common.inner(x),
        0 if weight is None else weight.data_ptr(),
        1 if weight is None or weight.ndim == 1 else weight.shape[1],
        common.address(order),
        mean,
        torch.get_num_threads(),
    )
    return y


def extreme(
    structure: Structure, x: Tensor, weight: Tensor | None, least: bool, with_argument: bool
) -> tuple[Tensor, Tensor]:
    """Maximum or minimum, and positions of edges (num_rows, ...), int32, of no elements when nobody asks."""
    x = x.contiguous()
    weight = None if weight is None else weight.contiguous()
    shape = (structure.num_rows, *x.shape[1:])
    y = memory.empty(shape, x.dtype)
    argument = memory.empty(shape if with_argument else (0,), torch.int32)
    pattern, order = structure.gathered
    common.kernel("spmm_extreme", x.dtype)(
        pattern,
        x.data_ptr(),
        y.data_ptr(),
        argument.data_ptr() if with_argument else 0,
        common.inner(x),
        common.address(weight),
        1 if weight is None or weight.ndim == 1 else weight.shape[1],
        common.address(order),
        least,
        torch.get_num_threads(),
    )
    return y, argument


def extreme_backward(
    structure: Structure, x: Tensor, weight: Tensor | None, dy: Tensor, argument: Tensor, weight_too: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, when asked, of the weight."""
    x, dy = x.contiguous(), dy.contiguous()
    weight = None if weight is None else weight.contiguous()
    dx = memory.empty(x.shape, common.weight_dtype(x.dtype)).zero_()
    dweight = torch.zeros_like(weight) if weight_too and weight is not None else None
    common.kernel("spmm_extreme_backward", x.dtype)(
        structure.native,
        x.data_ptr(),
        dy.data_ptr(),
        argument.data_ptr(),
        dx.data_ptr(),
        common.address(dweight),
        common.inner(x),
        common.address(weight),
        1 if weight is None or weight.ndim == 1 else weight.shape[1],
        torch.get_num_threads(),
    )
    return dx.to(x.dtype), dweight


# --- autograd in eager mode ------------------------------------------------------------------------------------------


def _turned_weight(graph: Graph, weight: Tensor | None, mean: bool, dtype: torch.dtype) -> Tensor | None:
    """The weights of the product that is the gradient of x, in the order of edges by source."""
    structure = graph.structure
    if weight is None and not mean:
        return None
    if weight is None or (weight is graph.weight_as(dtype) and not weight.requires_grad):
        return graph.turned_weight(dtype, mean)
    position = structure.transposed[1]
    return (weight * _share(structure, weight) if mean else weight)[position]


def _share(structure: Structure, like: Tensor) -> Tensor:
    """What one edge counts in a mean, in the shape of weights."""
    share = structure.shares.to(like.dtype)
    return share if like.ndim == 1 else share.unsqueeze(1)


class _Spmm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, graph: Graph, mean: bool) -> Tensor:
        ctx.graph, ctx.mean, ctx.dtype = graph, mean, x.dtype
        # The gradient of the weight needs x, that of x the weight, which comes from the graph where it is the graph's.
        ctx.fixed = weight is None or (not weight.requires_grad and weight is graph.weight_as(weight.dtype))
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, None if ctx.fixed else weight)
        return product(graph.structure, x, weight, mean)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        graph, mean = ctx.graph, ctx.mean
        structure = graph.structure
        dtype = common.weight_dtype(ctx.dtype)
        if ctx.fixed:
            weight = graph.weight_as(dtype)
        again = torch.is_grad_enabled()  # a second derivative is asked for
        dx = dweight = None
        if ctx.needs_input_grad[0]:
            other = structure.transposed[0]
            turned = _turned_weight(graph, weight, mean, dtype)
            dx = spmm(Graph(other), dy, turned) if again else product(other, dy, turned, False)
        if ctx.needs_input_grad[1]:
            run = dots_again if again else dots
            dweight = run(structure, dy, x, weight.shape[1] if weight.ndim == 2 else 1).view(weight.shape)
            if mean:
                dweight = dweight * _share(structure, dweight)
        return dx, dweight, None, None


class _Extreme(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, structure: Structure, least: bool) -> tuple[Tensor, Tensor]:
        y, argument = extreme(structure, x, weight, least, True)
        ctx.structure = structure
        ctx.mark_non_differentiable(argument)
        ctx.save_for_backward(x, weight, argument)
        return y, argument

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, argument = ctx.saved_tensors
        if torch.is_grad_enabled():
            dx, dweight = _extreme_again(ctx.structure, x, weight, dy, argument)
        else:
            dx, dweight = extreme_backward(ctx.structure, x, weight, dy, argument, ctx.needs_input_grad[1])
        return dx, dweight if ctx.needs_input_grad[1] else None, None, None


def _extreme_again(
    structure: Structure, x: Tensor, weight: Tensor | None, dy: Tensor, argument: Tensor
) -> tuple[Tensor, Tensor | None]:
    """The gradients from differentiable operators, for derivatives of a higher order."""
    width = common.inner(x)
    edge = argument.reshape(-1, width).to(torch.int64)
    some, edge = edge >= 0, edge.clamp(min=0)
    source = structure.indices.to(torch.int64)[edge] if structure.num_edges else edge  # (rows, width)
    flat = torch.where(some, dy.reshape(-1, width), 0)
    dweight: Tensor | None = None
    if weight is not None:
        heads = weight.shape[1] if weight.ndim == 2 else 1
        at = edge * heads + torch.arange(width) // (width // heads)
        values = torch.gather(x.reshape(-1, width), 0, source).to(weight.dtype)
        sums = torch.zeros(weight.numel(), dtype=weight.dtype).index_add(0, at.flatten(), (values * flat).flatten())
        dweight = sums.view(weight.shape)
        flat = weight.flatten()[at] * flat
    dx = torch.zeros(x.shape[0], width, dtype=flat.dtype).scatter_add(0, source, flat)
    return dx.view(x.shape).to(x.dtype), dweight


# --- registered operators --------------------------------------------------------------------------------------------


def tensors(structure: Structure) -> tuple[Tensor, Tensor]:
    """A graph as an operator takes it."""
    return structure.indptr, structure.indices


def other_side(structure: Structure) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Edges by source where they are known; the backward operator makes them where they are not."""
    if structure.known_transposed is None:
        return None, None, None
    other, position = structure.known_transposed
    return other.indptr, other.indices, position


def turned_structure(
    structure: Structure, indptr: Tensor | None, indices: Tensor | None, position: Tensor | None
) -> tuple[Structure, Tensor]:
    """Edges by source as `other_side` told them, or made."""
    if indptr is None or indices is None or position is None:
        return structure.transposed
    return Structure(indptr, indices, structure.num_rows), position


@torch.library.custom_op("moiety::spmm", mutates_args=(), device_types="cpu")
def _spmm(
    indptr: Tensor,
    indices: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: bool,
    turned_indptr: Tensor | None = None,
    turned_indices: Tensor | None = None,
    turned_position: Tensor | None = None,
) -> Tensor:
    return product(Structure(indptr, indices, x.shape[0]), x, weight, mean)


@_spmm.register_fake
def _(indptr: Tensor, indices: Tensor, x: Tensor, weight: Tensor | None, mean: bool, *other: Tensor | None) -> Tensor:
    return x.new_empty((indptr.shape[0] - 1, *x.shape[1:]))


@torch.library.custom_op("moiety::spmm_backward", mutates_args=(), device_types="cpu")
def _spmm_backward(
    dy: Tensor,
    indptr: Tensor,
    indices: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: bool,
    turned_indptr: Tensor | None,
    turned_indices: Tensor | None,
    turned_position: Tensor | None,
    x_too: bool,
    weight_too: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of the weight; a tensor of no elements stands for what nobody asked for."""
    structure = Structure(indptr, indices, x.shape[0])
    dx, dweight = x.new_empty(0), x.new_empty(0)
    if x_too:
        other, position = turned_structure(structure, turned_indptr, turned_indices, turned_position)
        turned = weight
        if mean:
            like = torch.empty(0, dtype=common.weight_dtype(x.dtype)) if weight is None else weight
            turned = _share(structure, like) if weight is None else weight * _share(structure, weight)
        dx = product(other, dy, None if turned is None else turned[position], False)
    if weight_too and weight is not None:
        dweight = dots(structure, dy, x, weight.shape[1] if weight.ndim == 2 else 1).view(weight.shape)
        if mean:
            dweight = dweight * _share(structure, dweight)
    return dx, dweight


@_spmm_backward.register_fake
def _(dy: Tensor, indptr: Tensor, indices: Tensor, x: Tensor, weight: Tensor | None, *rest: Any) -> Any:
    x_too, weight_too = rest[-2:]
    dweight = torch.empty_like(weight) if weight_too and weight is not None else x.new_empty(0)
    return torch.empty_like(x) if x_too else x.new_empty(0), dweight


def _spmm_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    indptr, indices, x, weight, ctx.mean, *other = inputs
    ctx.save_for_backward(indptr, indices, x, weight, *other)


def _spmm_differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    indptr, indices, x, weight, *other = ctx.saved_tensors
    wanted = ctx.needs_input_grad[2], ctx.needs_input_grad[3]
    dx, dweight = torch.ops.moiety.spmm_backward(dy, indptr, indices, x, weight, ctx.mean, *other, *wanted)
    return None, None, dx if wanted[0] else None, dweight if wanted[1] else None, None, None, None, None


_spmm.register_autograd(_spmm_differentiate, setup_context=_spmm_save)


@torch.library.custom_op("moiety::spmm_extreme", mutates_args=(), device_types="cpu")
def _spmm_extreme(
    indptr: Tensor, indices: Tensor, x: Tensor, weight: Tensor | None, least: bool
) -> tuple[Tensor, Tensor]:
    return extreme(Structure(indptr, indices, x.shape[0]), x, weight, least, True)


@_spmm_extreme.register_fake
def _(indptr: Tensor, indices: Tensor, x: Tensor, weight: Tensor | None, least: bool) -> tuple[Tensor, Tensor]:
    shape = (indptr.shape[0] - 1, *x.shape[1:])
    return x.new_empty(shape), x.new_empty(shape, dtype=torch.int32)


@torch.library.custom_op("moiety::spmm_extreme_backward", mutates_args=(), device_types="cpu")
def _spmm_extreme_backward(
    dy: Tensor,
    indptr: Tensor,
    indices: Tensor,
    x: Tensor,
    weight: Tensor | None,
    argument: Tensor,
    weight_too: bool,
) -> tuple[Tensor, Tensor]:
    structure = Structure(indptr, indices, x.shape[0])
    dx, dweight = extreme_backward(structure, x, weight, dy, argument, weight_too)
    return dx, x.new_empty(0) if dweight is None else dweight


@_spmm_extreme_backward.register_fake
def _(
    dy: Tensor, indptr: Tensor, indices: Tensor, x: Tensor, weight: Tensor | None, argument: Tensor, weight_too: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight) if weight is not None and weight_too else x.new_empty(0)


def _extreme_save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    indptr, indices, x, weight, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(indptr, indices, x, weight, output[1])


def _extreme_differentiate(ctx: Any, dy: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return None, None, None, None, None
    weight_too = ctx.needs_input_grad[3]
    dx, dweight = torch.ops.moiety.spmm_extreme_backward(dy, *ctx.saved_tensors, weight_too)
    return None, None, dx if ctx.needs_input_grad[2] else None, dweight if weight_too else None, None


_spmm_extreme.register_autograd(_extreme_differentiate, setup_context=_extreme_save)
