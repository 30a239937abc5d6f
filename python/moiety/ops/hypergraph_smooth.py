"""`hypergraph_smooth`: the product with a hypergraph's non-linear Laplacian, which is never built."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety._core import hypergraph as _core
from moiety.graph.hypergraph import Hypergraph, Weighting
from moiety.graph.hypergraph_matrices import check_pairs, uses_code
from moiety.ops import graph_common as common
from moiety.ops import memory

__all__ = ["RING_BITS", "hypergraph_smooth"]

# In the ring three numbers of so many fraction bits meet in every product: with 16 bits of a value and 30 of them there
# is room for values up to 2^17.
RING_BITS = 10

Stars = _core.Stars_f32 | _core.Stars_f64 | _core.Stars_u64

_STARS: dict[torch.dtype, Any] = {
    torch.float32: _core.Stars_f32,
    torch.float64: _core.Stars_f64,
    torch.int64: _core.Stars_u64,
}
_SMOOTH: dict[torch.dtype, Any] = {
    torch.float32: _core.smooth_f32,
    torch.float64: _core.smooth_f64,
    torch.int64: _core.smooth_u64,
}


def hypergraph_smooth(
    hypergraph: Hypergraph,
    x: Tensor,
    s: Tensor,
    i: Tensor,
    mediators: bool = True,
    weighting: Weighting = "paper",
    fraction_bits: int = RING_BITS,
) -> Tensor:
    """``L x`` of the pairs (s, i): ``hypergraph.laplacian_from_pairs(s, i, ...)`` times x, hyperedge by hyperedge.

    x (num_nodes, ...) is float32, float64, or int64, the ring Z_2^64: there D^-1/2 and the weights of edges are rounded
    to `fraction_bits` bits and the result, exact modulo 2^64, carries ``3 * fraction_bits`` fraction bits more than x.
    Differentiable in x as often as asked (not in the ring); the pairs are constants, each a node of its hyperedge
    (ValueError otherwise). Results do not depend on the number of threads.
    """
    code = uses_code(weighting)
    _check(hypergraph, x, s, i, fraction_bits)
    result: Tensor
    if not common.plain(x):
        other = hypergraph.incidence.structure.transposed[0]
        sides = hypergraph.indptr, hypergraph.indices, other.indptr, other.indices
        rule = mediators, code, fraction_bits
        result = torch.ops.moiety.hypergraph_smooth(x, s, i, *sides, hypergraph.weight, *rule, other.transposed[1])
        return result
    stars = make_stars(hypergraph.native, x.dtype, s, i, mediators, code, fraction_bits)
    if common.needs_gradient(x):
        result = _Smooth.apply(x, hypergraph, stars)  # type: ignore[no-untyped-call]
        return result
    return product(hypergraph.native, stars, x)


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


def make_stars(
    native: _core.Hypergraph, dtype: torch.dtype, s: Tensor, i: Tensor, mediators: bool, code: bool, bits: int
) -> Stars:
    """The pairs made ready for products of a dtype."""
    s, i = s.contiguous(), i.contiguous()
    stars: Stars = _STARS[dtype](native, mediators, code, s.data_ptr(), i.data_ptr(), bits, torch.get_num_threads())
    return stars


def product(native: _core.Hypergraph, stars: Stars, x: Tensor) -> Tensor:
    """The kernel on a plain tensor of the dtype that the stars are of."""
    x = x.contiguous()
    y = memory.empty_like(x)
    _SMOOTH[x.dtype](native, stars, x.data_ptr(), y.data_ptr(), common.inner(x), torch.get_num_threads())
    return y


class _Smooth(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, hypergraph: Hypergraph, stars: Stars) -> Tensor:
        ctx.hypergraph, ctx.stars = hypergraph, stars
        return product(hypergraph.native, stars, x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        if common.needs_gradient(dy):  # a second derivative is asked for
            return _Smooth.apply(dy, ctx.hypergraph, ctx.stars), None, None  # type: ignore[no-untyped-call]
        return product(ctx.hypergraph.native, ctx.stars, dy), None, None  # L is symmetric


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
    place: Tensor,
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
        place.data_ptr(),
        common.address(double),
    )
    return product(native, make_stars(native, x.dtype, s, i, mediators, code, fraction_bits), x)


@_smooth.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, *tensors, ctx.mediators, ctx.code, ctx.bits, place = inputs
    ctx.save_for_backward(*tensors, place)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, place = ctx.saved_tensors
    dx = torch.ops.moiety.hypergraph_smooth(dy, *tensors, ctx.mediators, ctx.code, ctx.bits, place)
    return dx, *(None,) * 11


_smooth.register_autograd(_differentiate, setup_context=_save)
