"""From torch's operators to kernels with closed forms: what one call of an operator does.

A rule takes a call's arguments and result and names the kernels, in their order, with operands for a run under
counters. Views do nothing. An operator without a rule becomes `Other`, which says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .kernels import Fold, Gather, Gemm, Index, Kernel, Map, Other, Pattern, Scatter

__all__ = [
    "RULES",
    "Call",
    "Patterns",
    "Rule",
    "array",
    "folded",
    "gathered",
    "mapped",
    "other",
    "product",
    "rule",
    "scattered",
    "tensors_in",
    "translate",
]


@dataclass(frozen=True)
class Call:
    """A kernel, its operands and the result that a run under counters must give (None: it is not kept).

    `source` is the tensor of which an edge's far end is read: what a partition has to exchange.
    """

    kernel: Kernel
    operands: tuple[Tensor, ...] = ()
    scalars: tuple[float, ...] = ()
    result: Tensor | None = None
    source: Tensor | None = None


class Patterns:
    """Patterns of the graphs that a trace meets, made once each. `gradients`: whether there will be any."""

    def __init__(self, gradients: bool = False) -> None:
        self.gradients = gradients
        self._known: dict[tuple[int, int, int], tuple[Pattern, tuple[Tensor, Tensor]]] = {}

    def of(self, indptr: Tensor, indices: Tensor, num_cols: int) -> Pattern:
        key = indptr.data_ptr(), indices.data_ptr(), num_cols
        if key not in self._known:
            pattern = Pattern(array(indptr), array(indices), num_cols, indices.element_size())
            self._known[key] = pattern, (indptr, indices)  # kept alive: the addresses are the key
        return self._known[key][0]


Rule = Callable[[Patterns, Sequence[Any], dict[str, Any], Any], list[Call] | None]  # None: it does not say
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule under operators' names, such as ``"aten::mm"``; ``aten::mm_`` has the rule of ``aten::mm``."""

    def register(made: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, made))
        return made

    return register


def translate(name: str, args: Sequence[Any], kwargs: dict[str, Any], out: Any, patterns: Patterns) -> list[Call]:
    """What the operator `name` did; arguments are those before the call where it writes in place."""
    from . import rules_graph, rules_hypergraph, rules_torch  # noqa: F401  registers

    found = RULES.get(name) or RULES.get(name.removesuffix("_"))
    calls = found(patterns, args, kwargs, out) if found is not None else None
    if calls is not None:
        return calls
    return other(name, [*args, *kwargs.values()], out)


def other(name: str, args: Sequence[Any], out: Any) -> list[Call]:
    """An operator without closed form."""
    results = [t for t in tensors_in(out) if t.is_floating_point()]
    read = sum(t.numel() * t.element_size() for t in tensors_in(list(args)))
    return [Call(Other(name, sum(t.numel() for t in results), read, results[0].element_size() if results else 4))]


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists and tuples."""
    if isinstance(value, Tensor):
        return [value]
    return [t for item in value for t in tensors_in(item)] if isinstance(value, (list, tuple)) else []


def array(value: Tensor) -> Any:
    """Integers as int64, numbers as float64."""
    plain = value.detach()
    return (plain.double() if plain.is_floating_point() else plain.to(torch.int64)).contiguous().numpy()


def distinct(value: Tensor) -> int:
    """Elements that lie apart in memory: expanded axes count once."""
    return math.prod(size for size, stride in zip(value.shape, value.stride(), strict=True) if stride or size == 0)


def mapped(function: str, operands: Sequence[Tensor], out: Tensor, *scalars: float) -> Call:
    """A function of elements, operands broadcast."""
    kernel = Map(function, out.numel(), tuple(map(distinct, operands)), out.element_size())
    return Call(kernel, tuple(o.expand(out.shape) for o in operands), scalars, out)


def product(a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None = None) -> Call:
    """Of (..., n, k) and (..., k, m)."""
    batch = math.prod(a.shape[:-2])
    kernel = Gemm(a.shape[-2], a.shape[-1], b.shape[-1], bias is not None, batch, out.element_size())
    return Call(kernel, (a, b) if bias is None else (a, b, bias), (), out)


def folded(function: str, x: Tensor, axes: Sequence[int] | None, out: Tensor) -> Call:
    """Over some axes of x, all of them for None or none."""
    reduced = sorted(i % max(1, x.ndim) for i in axes) if axes else list(range(x.ndim))
    if not reduced:  # of a single number
        return Call(Map("copy", 1, (1,), out.element_size()), (x,), (), out)
    kept = [i for i in range(x.ndim) if i not in reduced]
    if reduced == list(range(reduced[0], reduced[-1] + 1)):  # neighbours: an axis in the middle
        outer, inner = math.prod(x.shape[: reduced[0]]), math.prod(x.shape[reduced[-1] + 1 :])
        operand = x
    else:
        outer, inner = math.prod(x.shape[i] for i in kept), 1
        operand = x.permute(*kept, *reduced)
    length = math.prod(x.shape[i] for i in reduced)
    return Call(Fold(function, outer, length, inner, out.element_size()), (operand,), (), out)


def gathered(x: Tensor, index: Tensor, out: Tensor) -> list[Call]:
    """Rows of x."""
    kernel = Gather(
        Index(array(index).ravel(), x.shape[0], index.element_size()), math.prod(x.shape[1:]), out.element_size()
    )
    return [Call(kernel, (x,), (), out, x)]


def scattered(
    into: Tensor,
    index: Tensor,
    x: Tensor,
    out: Tensor,
    reduce: str = "sum",
    copied: bool = False,
    itself: bool = True,
) -> list[Call]:
    """Rows of x into rows of `into`, or of a copy of it; `itself`: what was there counts."""
    rows = Index(array(index).ravel(), into.shape[0], index.element_size())
    kernel = Scatter(rows, math.prod(x.shape[1:]), reduce, itself, out.element_size())
    first = [mapped("copy", (into,), into)] if copied else []
    return [*first, Call(kernel, (x, into), (), out)]
