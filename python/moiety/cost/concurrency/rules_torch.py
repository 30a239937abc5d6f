"""Rules for torch's own operators: functions of elements, dense products, folds, and rows by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .translate import RULES, Call, Patterns, Rule, folded, gathered, mapped, product, rule, scattered

__all__: list[str] = []

Args = Sequence[Any]
Named = dict[str, Any]
Calls = list[Call] | None

# --- functions of elements -------------------------------------------------------------------------------------------

UNARY = {
    "relu": "relu", "exp": "exp", "log": "log", "sqrt": "sqrt", "rsqrt": "rsqrt", "tanh": "tanh", "sigmoid": "sigmoid",
    "neg": "negate", "abs": "absolute", "reciprocal": "reciprocal", "square": "square", "silu": "silu", "gelu": "gelu",
    "softplus": "softplus", "clone": "copy", "_to_copy": "copy", "contiguous": "copy",
}  # fmt: skip
BINARY = {
    "maximum": "maximum", "minimum": "minimum", "sigmoid_backward": "sigmoid_backward",
    "tanh_backward": "tanh_backward", "threshold_backward": "relu_backward",
}  # fmt: skip


def _direct(function: str, operands: int) -> Rule:
    return lambda patterns, args, named, out: [mapped(function, args[:operands], out)]


def _filled(value: float) -> Rule:
    return lambda patterns, args, named, out: [mapped("fill", (), out, value)]


RULES.update({f"aten::{name}": _direct(function, 1) for name, function in UNARY.items()})
RULES.update({f"aten::{name}": _direct(function, 2) for name, function in BINARY.items()})
RULES.update({f"aten::{name}": _filled(0.0) for name in ("zeros", "zeros_like", "zero", "new_zeros")})
RULES.update({f"aten::{name}": _filled(1.0) for name in ("ones", "ones_like", "new_ones")})


def _binary(both: str, one: str, args: Args, out: Tensor, sign: float = 1.0) -> list[Call]:
    """Of two tensors, or of one and a number on either side."""
    left, right = args[:2]
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return [mapped(both, (left, right), out)]
    return [mapped(one, (left,), out, sign * right) if isinstance(left, Tensor) else mapped(one, (right,), out, left)]


def _added(sign: float) -> Rule:
    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        alpha: Any = named.get("alpha", args[2] if len(args) > 2 else 1)
        factor = sign * float(alpha)
        if isinstance(args[1], Tensor) and factor not in (1.0, -1.0):
            return [mapped("add_scaled", args[:2], out, factor)]
        return _binary("add" if factor > 0 else "subtract", "add_scalar", args, out, factor)

    return made


def _clamped(low_at: int, high_at: int) -> Rule:
    """Bounds are positional arguments there, or named."""

    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        low: Any = named.get("min", args[low_at] if 0 < low_at < len(args) else None)
        high: Any = named.get("max", args[high_at] if 0 < high_at < len(args) else None)
        if low is not None and high is not None:
            low_first = torch.clamp(args[0], min=low)
            return [
                mapped("maximum_scalar", args[:1], low_first, low),
                mapped("minimum_scalar", (low_first,), out, high),
            ]
        return [
            mapped("minimum_scalar" if low is None else "maximum_scalar", args[:1], out, high if low is None else low)
        ]

    return made


RULES |= {"aten::add": _added(1.0), "aten::sub": _added(-1.0)}
RULES |= {"aten::clamp": _clamped(1, 2), "aten::clamp_min": _clamped(1, 0), "aten::clamp_max": _clamped(0, 1)}


@rule("aten::mul")
def _mul(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return _binary("multiply", "multiply_scalar", args, out)


@rule("aten::div")
def _div(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return None if named.get("rounding_mode") else _binary("divide", "divide_scalar", args, out)


@rule("aten::rsub")
def _rsub(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    if isinstance(args[1], Tensor):
        return [mapped("subtract", (args[1], args[0]), out)]
    return [mapped("subtract_from", args[:1], out, args[1])]


@rule("aten::pow")
def _pow(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    if not isinstance(args[0], Tensor) or isinstance(args[1], Tensor):
        return None
    plain = {1: "copy", 2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}.get(args[1])
    return [mapped(plain, args[:1], out) if plain else mapped("power", args[:1], out, float(args[1]))]


@rule("aten::lerp")
def _lerp(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return None if isinstance(args[2], Tensor) else [mapped("lerp", args[:2], out, float(args[2]))]


@rule("aten::leaky_relu")
def _leaky_relu(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("leaky_relu", args[:1], out, float(args[1]) if len(args) > 1 else 0.01)]


@rule("aten::leaky_relu_backward")
def _leaky_relu_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("leaky_relu_backward", args[:2], out, float(args[2]))]


@rule("aten::elu_backward")
def _elu_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    grad, alpha, scale, inner, is_result, x = args
    if is_result or scale != 1.0 or inner != 1.0:
        return None
    return [mapped("elu_backward", (grad, x), out, float(alpha))]


@rule("aten::eye")
def _eye(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("fill", (), torch.zeros_like(out), 0.0)]


@rule("aten::elu")
def _elu(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    alpha, scale, inner = (*map(float, args[1:4]), *(1.0,) * (4 - len(args)))
    return [mapped("elu", args[:1], out, alpha)] if scale == inner == 1.0 else None


@rule("aten::where")
def _where(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    values = [v if isinstance(v, Tensor) else torch.tensor(float(v)) for v in args[1:3]]
    return [mapped("select", (*values, args[0].to(out.dtype)), out)]


@rule("aten::masked_fill")
def _masked_fill(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    value = args[2] if isinstance(args[2], Tensor) else torch.tensor(float(args[2]))
    return [mapped("select", (value, args[0], args[1].to(out.dtype)), out)]


@rule("aten::slice_backward", "aten::select_backward")
def _cut_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("fill", (), torch.zeros_like(out), 0.0), mapped("copy", args[:1], args[0])]


@rule("aten::native_batch_norm")
def _batch_norm(patterns: Patterns, args: Args, named: Named, out: tuple[Tensor, ...]) -> Calls:
    """In evaluation: x s + t with s = w / sqrt(var + eps), t = b - mean s, a number a feature."""
    x, weight, bias, mean, variance, training, _, eps = args
    if training or weight is None or bias is None:
        return None
    shifted = variance + eps
    root, scale = shifted.rsqrt(), shifted.rsqrt() * weight
    offset = bias - mean * scale
    shape = (-1,) + (1,) * (x.ndim - 2)
    return [
        mapped("add_scalar", (variance,), shifted, eps),
        mapped("rsqrt", (shifted,), root),
        mapped("multiply", (root, weight), scale),
        mapped("multiply", (mean, scale), mean * scale),
        mapped("subtract", (bias, mean * scale), offset),
        mapped("multiply_add", (x, scale.view(shape), offset.view(shape)), out[0]),
    ]


@rule("aten::cat", "aten::stack", "aten::flip")
def _joined(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("copy", (out,), out)]


@rule("aten::copy")
def _copy(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("copy", (args[1],), out)]


@rule("aten::full", "aten::full_like", "aten::fill", "aten::new_full", "aten::scalar_tensor")
def _full(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [mapped("fill", (), out, float(out.flatten()[0]) if out.numel() else 0.0)]


@rule("aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided")
def _empty(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return []


# --- dense products and folds ----------------------------------------------------------------------------------------


@rule("aten::mm", "aten::bmm")
def _mm(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [product(args[0], args[1], out)]


@rule("aten::mv")
def _mv(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [product(args[0], args[1].unsqueeze(1), out)]


@rule("aten::dot")
def _dot(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return [product(args[0].unsqueeze(0), args[1].unsqueeze(1), out)]


@rule("aten::addmm")
def _addmm(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    if named.get("alpha", 1) != 1 or named.get("beta", 1) != 1:
        return None
    if args[0].ndim == 1:
        return [product(args[1], args[2], out, args[0])]
    plain = args[1] @ args[2]
    return [product(args[1], args[2], plain), mapped("add", (args[0], plain), out)]


def _fold(function: str) -> Rule:
    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        axes = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else named.get("dim")
        return [folded(function, args[0], axes, out)]

    return made


def _soft(function: str) -> Rule:
    return lambda patterns, args, named, out: [folded(function, args[0], (args[1],), out)]


@rule("aten::_softmax_backward_data")
def _softmax_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    """y (g - sum(g y))."""
    g, y, axis = args[:3]
    both = g * y
    total = both.sum(axis, keepdim=True)
    return [
        mapped("multiply", (g, y), both),
        folded("sum", both, (axis,), total),
        mapped("subtract", (g, total), g - total),
        mapped("multiply", (y, g - total), out),
    ]


@rule("aten::_log_softmax_backward_data")
def _log_softmax_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    """g - exp(y) sum(g)."""
    g, y, axis = args[:3]
    total, power = g.sum(axis, keepdim=True), y.exp()
    return [
        folded("sum", g, (axis,), total),
        mapped("exp", (y,), power),
        mapped("multiply", (power, total), power * total),
        mapped("subtract", (g, power * total), out),
    ]


RULES |= {f"aten::{n}": _fold(f) for n, f in {"sum": "sum", "mean": "mean", "amax": "max", "amin": "min"}.items()}
RULES |= {"aten::_softmax": _soft("softmax"), "aten::_log_softmax": _soft("log_softmax")}


@rule("aten::linalg_vector_norm")
def _norm(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    if (args[1] if len(args) > 1 else named.get("ord", 2)) != 2:
        return None
    squares, axes = args[0] * args[0], args[2] if len(args) > 2 else named.get("dim")
    total = out * out
    return [mapped("square", args[:1], squares), folded("sum", squares, axes, total), mapped("sqrt", (total,), out)]


# --- rows by number --------------------------------------------------------------------------------------------------


@rule("aten::index_select")
def _index_select(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return gathered(args[0], args[2], out) if args[1] % args[0].ndim == 0 else None


@rule("aten::index")
def _index(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    first = args[1][0] if len(args[1]) == 1 else None
    return gathered(args[0], first, out) if first is not None and first.dtype is not torch.bool else None


@rule("aten::embedding")
def _embedding(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    return gathered(args[0], args[1], out)


@rule("aten::embedding_dense_backward")
def _embedding_backward(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    zeros = torch.zeros_like(out)
    return [mapped("fill", (), zeros, 0.0), *scattered(zeros, args[1], args[0].reshape(-1, out.shape[1]), out)]


@rule("aten::gather")
def _gather(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
    x, axis, index = args[:3]
    whole = axis % max(1, x.ndim) == 0 and _whole_rows(index) and index.shape[1:] == x.shape[1:]
    return gathered(x, index.reshape(len(index), -1)[:, 0], out) if whole and len(index) else None


def _whole_rows(index: Tensor) -> bool:
    """Whether an index of elements is one of rows, repeated along them."""
    return all(stride == 0 or size == 1 for size, stride in zip(index.shape[1:], index.stride()[1:], strict=True))


def _index_add(copied: bool) -> Rule:
    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        if args[1] % args[0].ndim or named.get("alpha", 1) != 1:
            return None
        return scattered(args[0], args[2], args[3], out, copied=copied)

    return made


def _index_put(copied: bool) -> Rule:
    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        accumulate = args[3] if len(args) > 3 else named.get("accumulate", False)
        if not accumulate or len(args[1]) != 1:
            return None
        return scattered(args[0], args[1][0], args[2], out, copied=copied)

    return made


def _scatter(copied: bool) -> Rule:
    names = {"sum": "sum", "amax": "max", "amin": "min"}

    def made(patterns: Patterns, args: Args, named: Named, out: Tensor) -> Calls:
        into, axis, index, x = args[:4]
        reduce = names.get(str(args[4]) if len(args) > 4 else "sum")
        if axis % max(1, into.ndim) or not _whole_rows(index) or reduce is None:
            return None
        itself = bool(named.get("include_self", True))
        return scattered(into, index.reshape(len(index), -1)[:, 0], x, out, reduce, copied, itself)

    return made


for _name, _made in {
    "index_add": _index_add, "index_put": _index_put, "_index_put_impl": _index_put, "scatter_add": _scatter,
    "scatter_reduce": _scatter,
}.items():  # fmt: skip
    RULES[f"aten::{_name}"], RULES[f"aten::{_name}_"] = _made(True), _made(False)
