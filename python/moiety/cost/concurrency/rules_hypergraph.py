"""Rules for the operators on hypergraphs: HyperGCN's pairs and the product with its Laplacian, which is never built.

Both are sums over the incidence, so that they are said in the kernels of graphs (csrc/hypergraph/smooth.hpp has the
formulas). For n nodes, m hyperedges, sums over e of |e| = E and F features, with mediators:

| pass | kernel | entries |
|---|---|---|
| projection | gemm n x h x 1 | |
| ends of a hyperedge | spmm, max and min of one number | E each |
| degrees | spmm of one number, node by hyperedge, and n inverse square roots | E |
| a node's own weight | spmm of one number over the ends | 2 m |
| messages | spmm with weights, two rows a hyperedge | E + 2 m |
| nodes | spmm, node by message | E |

where a product with the matrix itself has n + 2 sum(2 |e| - 3) entries before those that meet are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .kernels import Pattern, Spmm
from .translate import Call, Patterns, array, mapped, product, rule

__all__ = ["WITH_INTEGER_RESULTS"]

# Operators that are counted although they give no numbers but nodes.
WITH_INTEGER_RESULTS = {"moiety::hypergraph_pairs"}


def _pattern(counts: Tensor, columns: Tensor, num_cols: int) -> Pattern:
    """Of so many columns a row."""
    indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Pattern(array(indptr), array(columns), num_cols)


def _sum(pattern: Pattern, x: Tensor, weight: Tensor | None = None) -> tuple[Call, Tensor]:
    """The product of a pattern with x (columns, F), and its result."""
    rows = torch.repeat_interleave(torch.arange(pattern.rows), torch.from_numpy(pattern.degrees))
    terms = x[torch.from_numpy(pattern.indices)]
    terms = terms if weight is None else terms * weight.unsqueeze(1)
    out = x.new_zeros(pattern.rows, x.shape[1]).index_add(0, rows, terms)
    kernel = Spmm(pattern, 1, x.shape[1], int(weight is not None), "sum", x.element_size())
    return Call(kernel, (x,) if weight is None else (x, weight), (), out), out


@rule("moiety::hypergraph_pairs")
def _pairs(patterns: Patterns, args: Sequence[Any], named: dict[str, Any], out: Any) -> list[Call] | None:
    signal, direction, indptr, indices = args[:4]
    if direction is None:  # how many distances bounds leave out depends on the numbers
        return None
    line = direction.to(signal.dtype).unsqueeze(1)
    places = signal @ line
    pattern = patterns.of(indptr, indices, signal.shape[0])
    calls = [product(signal, line, places)]
    for reduce, end in (("max", out[0]), ("min", out[1])):
        calls.append(Call(Spmm(pattern, 1, 1, 0, reduce, signal.element_size()), (places,), (), places[end.long()]))
    return calls


@rule("moiety::hypergraph_smooth")
def _smooth(patterns: Patterns, args: Sequence[Any], named: dict[str, Any], out: Tensor) -> list[Call]:
    x, s, i, indptr, indices, node_indptr, node_indices, own_weight, mediators, code = args[:10]
    sizes, loop = indptr.diff(), s == i
    hyperedge, ends = node_indices.long(), torch.stack([s, i], 1).long()
    node = torch.repeat_interleave(torch.arange(len(x)), node_indptr.diff())
    at_end = (ends[hyperedge] == node.unsqueeze(1)).any(1).long()

    weight = torch.ones(len(sizes), dtype=torch.float64) if own_weight is None else own_weight.double()
    if mediators:
        weight = weight / (2 * sizes - 3)
    elif code:
        weight = weight / sizes
    weight = torch.where((sizes < 2) | (loop & (not code)), 0, weight)
    reach = weight * torch.where(loop, 2 * sizes, sizes - 1) if mediators else weight * (1 + loop.long())
    shares = torch.stack([2 * weight if mediators else 0 * weight, reach], 1).reshape(-1, 1).to(x.dtype)

    degrees, found = _sum(_pattern(node_indptr.diff(), 2 * hyperedge + at_end, 2 * len(sizes)), shares)
    degree = found + 1
    scale = degree.rsqrt()
    single = at_end.bool() & ~loop[hyperedge]
    counts = torch.zeros(len(x), dtype=torch.long).index_add(0, node[single], single[single].long())
    weights, lost = _sum(_pattern(counts, hyperedge[single], len(sizes)), weight.unsqueeze(1).to(x.dtype))
    own = 1 - lost

    flat, wanted = x.flatten(1), out.flatten(1)
    if mediators:  # two rows a hyperedge: from the ends to mediators, from everybody to the ends
        lengths = torch.stack([torch.full_like(sizes, 2), sizes], 1).flatten()
        order = torch.argsort(
            torch.cat([2 * torch.arange(len(sizes)).repeat_interleave(2), _rows(sizes) * 2 + 1]), stable=True
        )
        columns = torch.cat([ends.flatten(), indices.long()])[order]
        rows = torch.stack([weight, torch.where(loop, 2 * weight, weight)], 1).flatten()
        messages = _pattern(lengths, columns, len(x))
        spread = _pattern(node_indptr.diff(), 2 * hyperedge + at_end, 2 * len(sizes))
    else:
        lengths, columns, rows = torch.full_like(sizes, 2), ends.flatten(), weight
        messages = _pattern(lengths, columns, len(x))
        chosen = at_end.bool()
        counts = torch.zeros(len(x), dtype=torch.long).index_add(0, node[chosen], at_end[chosen])
        spread = _pattern(counts, hyperedge[chosen], len(sizes))
    factors = (rows[_rows(lengths)] * scale[columns, 0]).to(x.dtype)
    gather, message = _sum(messages, flat, factors)
    to_nodes, total = _sum(spread, message)
    alone = own * scale
    kept = alone * flat
    both = total + kept
    return [
        degrees,
        mapped("add_scalar", (found,), degree, 1.0),
        mapped("rsqrt", (degree,), scale),
        weights,
        mapped("subtract_from", (lost,), own, 1.0),
        Call(gather.kernel, gather.operands, (), message, x),
        to_nodes,
        mapped("multiply", (own, scale), alone),
        mapped("multiply", (alone, flat), kept),
        mapped("add", (total, kept), both),
        mapped("multiply", (scale, both), wanted),
    ]


def _rows(counts: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), counts)
