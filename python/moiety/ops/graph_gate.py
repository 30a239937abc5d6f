"""`gated_sum`: sums over neighbours through a gate of each edge and feature."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety.graph.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import graph_common as common
from moiety.ops import memory
from moiety.ops.graph_spmm import other_side, tensors, turned_structure

__all__ = ["gated_sum"]


def gated_sum(graph: Graph, key: Tensor, query: Tensor, value: Tensor) -> Tensor:
    """``y[i] = sum of sigmoid(key[i] + query[j]) * value[j]`` over the edges i <- j, feature by feature.

    key is (num_rows, ...), query and value (num_cols, ...), all float32 or all float64; y is (num_rows, ...). Nothing
    of the size edges x features is made, forward or backward (csrc/graph/gate.hpp). Differentiable once. The graph's
    weights play no part; a node that no edge enters gets zero.
    """
    _check(graph, key, query, value)
    structure = graph.structure
    if not common.plain(key, query, value):
        y: Tensor = torch.ops.moiety.gated_sum(*tensors(structure), key, query, value, *other_side(structure))[0]
        return y
    if common.needs_gradient(key, query, value):
        return _Gated.apply(key, query, value, structure)  # type: ignore[no-untyped-call, no-any-return]
    return sums(structure, key, query, value)[0]


def _check(graph: Graph, key: Tensor, query: Tensor, value: Tensor) -> None:
    for name, x, rows in (
        ("key", key, graph.num_rows),
        ("query", query, graph.num_cols),
        ("value", value, graph.num_cols),
    ):
        if x.device.type != "cpu":
            common.refuse_device("gated_sum", x)
        if x.ndim < 1 or x.shape[0] != rows or x.shape[1:] != key.shape[1:]:
            wanted = ", ".join(map(str, (rows, *key.shape[1:])))
            raise ValueError(f"gated_sum: expected {name} ({wanted}), got {tuple(x.shape)}")
        if x.dtype is not key.dtype or x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"gated_sum: expected all float32 or all float64, got {name} of {x.dtype}")


def sums(structure: Structure, own: Tensor, other: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel: sums with the gate and with its derivative."""
    own, other, values = own.contiguous(), other.contiguous(), values.contiguous()
    found = memory.empty_like(own), memory.empty_like(own)
    common.kernel("gated_sum", own.dtype)(
        structure.native,
        *(x.data_ptr() for x in (own, other, values, *found)),
        common.inner(own),
        torch.get_num_threads(),
    )
    return found


def gradients(
    other: Structure, key: Tensor, query: Tensor, value: Tensor, rise: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of key, query and value, from what the forward pass kept; `other` has the edges by source."""
    dvalue, slope = sums(other, query, key, dy)
    return dy * rise, value * slope, dvalue


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, key: Tensor, query: Tensor, value: Tensor, structure: Structure) -> Tensor:
        y, rise = sums(structure, key, query, value)
        ctx.structure = structure
        ctx.save_for_backward(key, query, value, rise)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        key, query, value, rise = ctx.saved_tensors
        if not any(ctx.needs_input_grad[1:3]):
            return dy * rise, None, None, None
        return *gradients(ctx.structure.transposed[0], key, query, value, rise, dy), None


@torch.library.custom_op("moiety::gated_sum", mutates_args=(), device_types="cpu")
def _gated_sum(
    indptr: Tensor,
    indices: Tensor,
    key: Tensor,
    query: Tensor,
    value: Tensor,
    turned_indptr: Tensor | None = None,
    turned_indices: Tensor | None = None,
    turned_position: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    return sums(Structure(indptr, indices, query.shape[0]), key, query, value)


@_gated_sum.register_fake
def _(indptr: Tensor, indices: Tensor, key: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(key), torch.empty_like(key)


@torch.library.custom_op("moiety::gated_sum_backward", mutates_args=(), device_types="cpu")
def _gated_sum_backward(
    indptr: Tensor,
    indices: Tensor,
    key: Tensor,
    query: Tensor,
    value: Tensor,
    rise: Tensor,
    dy: Tensor,
    turned_indptr: Tensor | None,
    turned_indices: Tensor | None,
    turned_position: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    structure = Structure(indptr, indices, query.shape[0])
    other, _ = turned_structure(structure, turned_indptr, turned_indices, turned_position)
    return gradients(other, key, query, value, rise, dy)


@_gated_sum_backward.register_fake
def _(indptr: Tensor, indices: Tensor, key: Tensor, query: Tensor, value: Tensor, *rest: Any) -> Any:
    return torch.empty_like(key), torch.empty_like(query), torch.empty_like(value)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    indptr, indices, key, query, value, *other = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(indptr, indices, key, query, value, output[1], *other)


def _differentiate(ctx: Any, dy: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 8
    *saved, turned_indptr, turned_indices, turned_position = ctx.saved_tensors
    turned = turned_indptr, turned_indices, turned_position
    return None, None, *torch.ops.moiety.gated_sum_backward(*saved, dy, *turned), None, None, None


_gated_sum.register_autograd(_differentiate, setup_context=_save)
