"""`sddmm`: products of the features at both ends of every edge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety.graph.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import graph_common as common
from moiety.ops import memory

__all__ = ["sddmm"]


def sddmm(graph: Graph, x: Tensor, y: Tensor) -> Tensor:
    """``<x[i], y[j]>`` for every edge i <- j, in CSR order.

    x is (num_rows, F) and y (num_cols, F), which gives (num_edges,); or (num_rows, H, D) and (num_cols, H, D), which
    gives (num_edges, H). float32, float64, or bfloat16, whose products are float32. Differentiable, twice where asked.
    """
    _check(graph, x, y)
    heads = x.shape[1] if x.ndim == 3 else 1
    structure = graph.structure
    flat: Tensor
    if not common.plain(x, y):
        flat = torch.ops.moiety.sddmm(structure.indptr, structure.indices, x, y, heads)
    elif common.needs_gradient(x, y):
        flat = dots_again(structure, x, y, heads)
    else:
        flat = dots(structure, x, y, heads)
    return flat.squeeze(1) if x.ndim == 2 else flat


def _check(graph: Graph, x: Tensor, y: Tensor) -> None:
    for name, value, rows in (("x", x, graph.num_rows), ("y", y, graph.num_cols)):
        if value.device.type != "cpu":
            common.refuse_device("sddmm", value)
        if value.ndim not in (2, 3) or value.shape[0] != rows:
            raise ValueError(f"sddmm: expected {name} ({rows}, F) or ({rows}, H, D), got {tuple(value.shape)}")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"sddmm: expected x and y of the same features, got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.dtype is not y.dtype or x.dtype not in (torch.float32, torch.float64, torch.bfloat16):
        raise TypeError(f"sddmm: expected x and y both float32, float64 or bfloat16, got {x.dtype} and {y.dtype}")


def dots(structure: Structure, x: Tensor, y: Tensor, heads: int) -> Tensor:
    """The kernel: (num_edges, heads), float32 for bfloat16; x (num_rows, ...) and y (num_cols, ...)."""
    x, y = x.contiguous(), y.contiguous()
    result = memory.empty((structure.num_edges, heads), common.weight_dtype(x.dtype))
    common.kernel("sddmm", x.dtype)(
        structure.native,
        x.data_ptr(),
        y.data_ptr(),
        result.data_ptr(),
        heads,
        common.inner(x) // heads,
        torch.get_num_threads(),
    )
    return result


def dots_again(structure: Structure, x: Tensor, y: Tensor, heads: int) -> Tensor:
    """`dots` under autograd."""
    result: Tensor = _Sddmm.apply(x, y, structure, heads)  # type: ignore[no-untyped-call]
    return result


class _Sddmm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, structure: Structure, heads: int) -> Tensor:
        ctx.structure, ctx.heads = structure, heads
        ctx.save_for_backward(x, y)
        return dots(structure, x, y, heads)

    @staticmethod
    def backward(ctx: Any, ds: Tensor) -> tuple[Tensor | None, ...]:
        from moiety.ops.graph_spmm import spmm  # which needs this module for the gradients of weights

        x, y = ctx.saved_tensors
        structure = ctx.structure
        dx = dy = None
        if ctx.needs_input_grad[0]:
            dx = spmm(Graph(structure), _by_head(y, ctx.heads), ds).view(x.shape)
        if ctx.needs_input_grad[1]:
            other, position = structure.transposed
            dy = spmm(Graph(other), _by_head(x, ctx.heads), ds[position]).view(y.shape)
        return dx, dy, None, None


def _by_head(x: Tensor, heads: int) -> Tensor:
    return x.reshape(x.shape[0], heads, -1)


# --- registered operators --------------------------------------------------------------------------------------------


@torch.library.custom_op("moiety::sddmm", mutates_args=(), device_types="cpu")
def _sddmm(indptr: Tensor, indices: Tensor, x: Tensor, y: Tensor, heads: int) -> Tensor:
    return dots(Structure(indptr, indices, y.shape[0]), x, y, heads)


@_sddmm.register_fake
def _(indptr: Tensor, indices: Tensor, x: Tensor, y: Tensor, heads: int) -> Tensor:
    return x.new_empty((indices.shape[0], heads), dtype=common.weight_dtype(x.dtype))


@torch.library.custom_op("moiety::sddmm_backward", mutates_args=(), device_types="cpu")
def _sddmm_backward(ds: Tensor, indptr: Tensor, indices: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    from moiety.ops.graph_spmm import product

    structure = Structure(indptr, indices, y.shape[0])
    other, position = structure.transposed
    heads = ds.shape[1]
    dx = product(structure, _by_head(y, heads), ds, False).view(x.shape)
    return dx, product(other, _by_head(x, heads), ds[position], False).view(y.shape)


@_sddmm_backward.register_fake
def _(ds: Tensor, indptr: Tensor, indices: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(
        y, memory_format=torch.contiguous_format
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _differentiate(ctx: Any, ds: Tensor) -> tuple[Tensor | None, ...]:
    dx, dy = torch.ops.moiety.sddmm_backward(ds, *ctx.saved_tensors)
    return None, None, dx, dy, None


_sddmm.register_autograd(_differentiate, setup_context=_save)
