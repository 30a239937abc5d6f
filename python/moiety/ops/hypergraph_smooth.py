"""`hypergraph_smooth`: the product with a hypergraph's non-linear Laplacian, which is never built."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety._core import hypergraph as _core
from moiety.graph.hypergraph import Hypergraph, Weighting
from moiety.graph.hypergraph_matrices import check_pairs, uses_code
from moiety.ops import graph_common as common

__all__ = ["RING_BITS", "hypergraph_smooth"]

# In the ring three numbers of so many fraction bits meet in every product: with 16 bits of a value and 30 of them there
# is room for values up to 2^17.
RING_BITS = 10

_SMOOTH = {torch.float32: _core.smooth_f32, torch.float64: _core.smooth_f64, torch.int64: _core.smooth_u64}


def hypergraph_smooth(
    hypergraph: Hypergraph,
    x: Tensor,
    s: Tensor,
    i: Tensor,
    mediators: bool = True,
    weighting: Weighting = "paper",
    fraction_bits: int = RING_BITS,
    check: bool = True,
) -> Tensor:
    """``L x`` of the pairs (s, i): ``hypergraph.laplacian_from_pairs(s, i, ...)`` times x, hyperedge by hyperedge.

    x (num_nodes, ...) is float32, float64, or int64, the ring Z_2^64: there D^-1/2 and the weights of edges are rounded
    to `fraction_bits` bits and the result, exact modulo 2^64, carries ``3 * fraction_bits`` fraction bits more than x.
    Differentiable in x as often as asked (not in the ring); the pairs are constants. `check` refuses pairs whose nodes
    are not in their hyperedge. Results do not depend on the number of threads.
    """
    code = uses_code(weighting)
    _check(hypergraph, x, s, i, fraction_bits)
    if not common.plain(x):
        other = hypergraph.incidence.structure.transposed[0]
        sides = hypergraph.indptr, hypergraph.indices, other.indptr, other.indices
        result: Tensor = torch.ops.moiety.hypergraph_smooth(
            x, s, i, *sides, hypergraph.weight, mediators, code, fraction_bits
        )
        return result
    if common.needs_gradient(x):
        result = _Smooth.apply(x, s, i, hypergraph, mediators, code, fraction_bits, check)  # type: ignore[no-untyped-call]
        return result
    return product(hypergraph.native, x, s, i, mediators, code, fraction_bits, check)


def _check(hypergraph: Hypergraph, x: Tensor, s: Tensor, i: Tensor, fraction_bits: int) -> None:
    if x.device.type != "cpu":
        common.refuse_device("hypergraph_smooth", x)
    if x.dtype not in _SMOOTH:
        raise TypeError(f"hypergraph_smooth: expected x of float32, float64 or int64, got {x.dtype}")
    if x.ndim < 1 or x.shape[0] != hypergraph.num_nodes:
        raise ValueError(
            f"hypergraph_smooth: expected x ({hypergraph.num_nodes}, ...), a row a node, got {tuple(x.shape)}"
        )
    if not 0 < fraction_bits <= 20:
        raise ValueError(f"hypergraph_smooth: expected 1 to 20 fraction bits, got {fraction_bits}")
    check_pairs(hypergraph, s, i)


def product(
    native: _core.Hypergraph, x: Tensor, s: Tensor, i: Tensor, mediators: bool, code: bool, bits: int, check: bool
) -> Tensor:
    """The kernel on plain tensors that fit each other."""
    x, s, i = x.contiguous(), s.contiguous(), i.contiguous()
    y = torch.empty_like(x)
    _SMOOTH[x.dtype](
        native,
        mediators,
        code,
        s.data_ptr(),
        i.data_ptr(),
        check,
        bits,
        x.data_ptr(),
        y.data_ptr(),
        common.inner(x),
        torch.get_num_threads(),
    )
    return y


class _Smooth(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, s: Tensor, i: Tensor, hypergraph: Hypergraph, *rule: Any) -> Tensor:
        ctx.hypergraph, ctx.rule = hypergraph, rule
        ctx.save_for_backward(s, i)
        return product(hypergraph.native, x, s, i, *rule)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        s, i = ctx.saved_tensors
        mediators, code, bits, _ = ctx.rule
        weighting: Weighting = "code" if code else "paper"
        dx = hypergraph_smooth(ctx.hypergraph, dy, s, i, mediators, weighting, bits, check=False)  # L is symmetric
        return dx, None, None, None, None, None, None, None


# --- registered operator ---------------------------------------------------------------------------------------------


@torch.library.custom_op("moiety::hypergraph_smooth", mutates_args=(), device_types="cpu")
def _smooth(
    x: Tensor,
    s: Tensor,
    i: Tensor,
    indptr: Tensor,
    indices: Tensor,
    node_indptr: Tensor,
    node_indices: Tensor,
    weight: Tensor | None,
    mediators: bool,
    code: bool,
    fraction_bits: int,
) -> Tensor:
    """Looks both sides of the incidence through each time."""
    double = None if weight is None else weight.to(torch.float64).contiguous()
    native = _core.Hypergraph(
        x.shape[0],
        indptr.numel() - 1,
        indices.numel(),
        indptr.data_ptr(),
        indices.data_ptr(),
        node_indptr.data_ptr(),
        node_indices.data_ptr(),
        common.address(double),
    )
    return product(native, x, s, i, mediators, code, fraction_bits, True)


@_smooth.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, *tensors, ctx.mediators, ctx.code, ctx.bits = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    dx = torch.ops.moiety.hypergraph_smooth(dy, *ctx.saved_tensors, ctx.mediators, ctx.code, ctx.bits)
    return dx, *(None,) * 10


_smooth.register_autograd(_differentiate, setup_context=_save)
