"""Rules for this package's operators on graphs (`moiety.ops`), which hand over compressed rows as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .kernels import EdgeSoftmax, EdgeSoftmaxBackward, Gat, GatBackward, Index, Pattern, Scatter, Sddmm, Spmm
from .translate import Call, Patterns, array, mapped, rule

__all__ = ["WITHOUT_GRADIENTS"]

Args = Sequence[Any]
Named = dict[str, Any]
Calls = list[Call] | None


# How many results an operator has where no gradients are wanted: its eager form makes no others.
WITHOUT_GRADIENTS = {"moiety::gat": 1, "moiety::spmm_extreme": 1}


def heads_of(x: Tensor) -> tuple[int, int]:
    """Heads and features of one: (nodes, H, D), or any other shape as one head."""
    if x.ndim == 3:
        return x.shape[1], x.shape[2]
    return 1, x[0].numel() if len(x) else int(np.prod(x.shape[1:]))


def multiplied(pattern: Pattern, x: Tensor, weight: Tensor | None, out: Tensor | None, reduce: str = "sum") -> Call:
    """A product of the graph with x."""
    heads, width = heads_of(x)
    each = 0 if weight is None else weight.shape[1] if weight.ndim == 2 else 1
    kernel = Spmm(pattern, heads, width, each, reduce, x.element_size())
    return Call(kernel, (x,) if weight is None else (x, weight), (), out, x)


@rule("moiety::spmm")
def _spmm(patterns: Patterns, args: Args, named: Named, out: Tensor) -> list[Call]:
    indptr, indices, x, weight, mean = args[:5]
    return [multiplied(patterns.of(indptr, indices, x.shape[0]), x, weight, out, "mean" if mean else "sum")]


@rule("moiety::spmm_extreme")
def _spmm_extreme(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, Tensor]) -> list[Call]:
    indptr, indices, x, weight, least = args[:5]
    return [multiplied(patterns.of(indptr, indices, x.shape[0]), x, weight, out[0], "min" if least else "max")]


@rule("moiety::spmm_extreme_backward")
def _spmm_extreme_backward(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, Tensor]) -> Calls:
    """Each element of dy goes to the one element of x that it came from."""
    dy, _, indices, x, weight, argument, weight_too = args
    if weight_too or (weight is not None and weight.ndim == 2):
        return None
    width = math.prod(x.shape[1:])
    flat = argument.reshape(-1, width)
    row, feature = torch.nonzero(flat >= 0, as_tuple=True)
    edge = flat[row, feature].long()
    into = Index(array(indices[edge]) * width + array(feature), x.numel(), argument.element_size())
    zeros, sent = torch.zeros_like(out[0]), dy.reshape(-1, width)[row, feature]
    calls = [mapped("fill", (), zeros, 0.0)]
    if weight is not None:
        calls.append(mapped("multiply", (sent, weight[edge]), sent * weight[edge]))
        sent = sent * weight[edge]
    return [*calls, Call(Scatter(into, 1, word=x.element_size()), (sent, zeros), (), out[0])]


@rule("moiety::spmm_backward")
def _spmm_backward(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, Tensor]) -> list[Call]:
    """Of x: the product with the transpose, a mean's shares in its weights; of the weights: products along edges."""
    dy, indptr, indices, x, weight, mean = args[:6]
    x_too, weight_too = args[-2:]
    pattern = patterns.of(indptr, indices, x.shape[0])
    degrees = torch.from_numpy(np.repeat(pattern.degrees, pattern.degrees))
    share = (1.0 / degrees).to(dy.dtype) if mean else None
    calls = []
    if x_too:
        other, position = pattern.transposed
        turned = share if weight is None else weight if share is None else _by_edge(share, weight) * weight
        calls.append(multiplied(other, dy, None if turned is None else turned[torch.from_numpy(position)], out[0]))
    if weight_too and weight is not None:
        heads = weight.shape[1] if weight.ndim == 2 else 1
        kernel = Sddmm(pattern, heads, heads_of(x)[0] * heads_of(x)[1] // heads, x.element_size())
        calls.append(Call(kernel, (dy, x), (), None if mean else out[1], x))
    return calls


def _by_edge(share: Tensor, like: Tensor) -> Tensor:
    return share if like.ndim == 1 else share.unsqueeze(1)


@rule("moiety::sddmm")
def _sddmm(patterns: Patterns, args: Args, named: Named, out: Tensor) -> list[Call]:
    indptr, indices, x, y, heads = args[:5]
    pattern = patterns.of(indptr, indices, y.shape[0])
    return [Call(Sddmm(pattern, heads, y[0].numel() // heads if len(y) else 1, x.element_size()), (x, y), (), out, y)]


@rule("moiety::sddmm_backward")
def _sddmm_backward(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, Tensor]) -> list[Call]:
    ds, indptr, indices, x, y = args[:5]
    pattern = patterns.of(indptr, indices, y.shape[0])
    other, position = pattern.transposed
    heads = ds.shape[1]
    x, y = (t.reshape(len(t), heads, -1) for t in (x, y))
    return [multiplied(pattern, y, ds, out[0]), multiplied(other, x, ds[torch.from_numpy(position)], out[1])]


@rule("moiety::edge_softmax")
def _edge_softmax(patterns: Patterns, args: Args, named: Named, out: Tensor) -> list[Call]:
    indptr, indices, columns, scores = args
    heads = scores.shape[1] if scores.ndim == 2 else 1
    kernel = EdgeSoftmax(patterns.of(indptr, indices, columns), heads, scores.element_size())
    return [Call(kernel, (scores,), (), out)]


@rule("moiety::edge_softmax_backward")
def _edge_softmax_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> list[Call]:
    dalpha, indptr, indices, columns, alpha = args
    heads = alpha.shape[1] if alpha.ndim == 2 else 1
    kernel = EdgeSoftmaxBackward(patterns.of(indptr, indices, columns), heads, alpha.element_size())
    return [Call(kernel, (alpha, dalpha), (), out)]


@rule("moiety::gat")
def _gat(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, ...]) -> list[Call]:
    """What the gradient needs is kept where there will be one; the registered operator always makes it."""
    indptr, indices, x, source, target, slope = args[:6]
    keep = patterns.gradients and any(t.requires_grad for t in (x, source, target))
    kernel = Gat(patterns.of(indptr, indices, x.shape[0]), x.shape[1], x.shape[2], keep, x.element_size())
    results = [t.flatten() for t in out] if keep else [out[0].flatten()]
    return [Call(kernel, (x, source, target), (slope,), torch.cat(results), x)]


@rule("moiety::gat_backward")
def _gat_backward(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, ...]) -> list[Call]:
    dy, indptr, indices, x, source, target, slope, y, log_sum, positive, share = args[:11]
    by_source = patterns.of(indptr, indices, x.shape[0]).transposed[0]
    kernel = GatBackward(by_source, x.shape[1], x.shape[2], x.element_size())
    operands = (x, source, target, y, log_sum, positive, share, dy)
    return [Call(kernel, operands, (slope,), torch.cat([t.flatten() for t in out]), dy)]
