"""Lowering, continued: the nodes that compute something, each from the form of its inputs that its protocol takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private import ranges
from moiety.private.graph import Node, matrix_conv, per_channel
from moiety.private.lower_gates import lower_gate
from moiety.private.lower_graph import lower_factor, lower_sparse
from moiety.private.lower_hypergraph import lower_extremes, lower_revealed, lower_sparse_multiply
from moiety.private.ranges import Interval, bits_for
from moiety.private.squares import GUARD_BITS

if TYPE_CHECKING:
    from moiety.private.lower import Lowering

__all__ = ["LAYERS"]


def channel_shaped(interval: Interval, shape: tuple[int, ...]) -> Interval:
    """(channels,) -> (channels, 1, ...), or the whole shape if every element is a channel."""
    if interval.lo.ndim != 1:
        return interval
    spread = shape if interval.lo.size != shape[0] else (-1, *[1] * (len(shape) - 1))
    return Interval(interval.lo.reshape(spread), interval.hi.reshape(spread), interval.how)


def lower_input(low: Lowering, node: Node) -> int:
    # The client rounds to the nearest multiple of 2^-f.
    largest = low.input_bounds[node]
    bound = ranges.symmetric(largest + 2.0 ** (-low.f - 1), len(node.shape), "input")
    attrs = {"bound": largest} if len(low.graph.inputs) > 1 else {}
    return low.out.emit("input", [], node.shape, low.f, low.ring, bound, node, attrs)


def emit_linear(low: Lowering, node: Node, conv: dict[str, Any], weight: Any, bias: Any, extra_bits: int) -> int:
    """`linear` on the opened input of `node`."""
    number = low.get("opened", node.inputs[0])
    x = low.out.tensors[number]
    weight_fraction = low.f + extra_bits
    name = str(len(low.out.tensors))
    w = low.out.array(f"{name}.weight", weight, weight_fraction, node)
    b = None if bias is None else low.out.array(f"{name}.bias", bias, x.fraction + weight_fraction, node)
    if b is not None and b.size == conv["out_channels"]:
        b = b.reshape(-1)
    interval = ranges.linear_interval(low.interval(number), x.shape, w, b, conv)
    interval = low.tighten(node, channel_shaped(interval, node.shape))
    attrs = {
        "conv": conv,
        "weight": f"{name}.weight",
        "bias": None if bias is None else f"{name}.bias",
        "weight_fraction": weight_fraction,
        "layer": -1,
    }
    return low.out.emit("linear", [number], node.shape, x.fraction + weight_fraction, low.ring, interval, node, attrs)


def lower_linear(low: Lowering, node: Node) -> int:
    a = node.attrs
    return emit_linear(low, node, a["conv"], a["weight"], a["bias"], a["extra_bits"])


def lower_map(low: Lowering, node: Node) -> int:
    """a * x + b with server-held a: a depthwise 1x1 convolution, over all elements if a varies in space."""
    a, b = node.attrs["a"], node.attrs["b"]
    uniform = per_channel(a)
    channels = node.shape[0] if uniform else math.prod(node.shape)
    values = np.broadcast_to(a, (channels, *a.shape[1:]) if uniform else node.shape)
    conv = matrix_conv(channels, channels, math.prod(node.shape) // channels, groups=channels)
    bias = None
    if b is not None:
        same = uniform and per_channel(b)
        bias = np.broadcast_to(b.reshape(-1), (channels,)) if same else np.broadcast_to(b, node.shape)
    weight = values.reshape(channels, 1, 1, 1, 1)
    return emit_linear(low, node, conv, weight, bias, int(node.attrs.get("extra_bits", 0)))


def lower_relu(low: Lowering, node: Node) -> int:
    def bits(x: Interval) -> int:
        return bits_for(x.bound, low.f)

    number, k = narrow_input(low, node, bits)
    x = low.interval(number)
    y = Interval(np.maximum(x.lo, 0), np.maximum(x.hi, 0), ranges.joint(x))
    return emit_narrow(low, node, "relu", number, k, y, {})


def lower_hardtanh(low: Lowering, node: Node) -> int:
    lowest, highest = (round(node.attrs[key] * 2**low.f) for key in ("low", "high"))
    ends = lowest / 2**low.f, highest / 2**low.f

    def bits(x: Interval) -> int:
        # x, x - low, x - high and the result fit; a signed result that is extended needs one bit more.
        largest = max([x.bound, *map(abs, ends), *(max(abs(x.hi.max() - e), abs(x.lo.min() - e)) for e in ends)])
        k = bits_for(float(largest), low.f)
        if lowest < 0 and low.needs_room(node):
            k = max(k, bits_for(max(map(abs, ends)), low.f) + 1)
        return k

    number, k = narrow_input(low, node, bits)
    x = low.interval(number)
    y = Interval(np.clip(x.lo, *ends), np.clip(x.hi, *ends), ranges.joint(x))
    return emit_narrow(low, node, "hardtanh", number, k, y, {"low": lowest, "high": highest})


def lower_maxpool(low: Lowering, node: Node) -> int:
    def bits(x: Interval) -> int:
        # Values of one channel and their differences fit.
        k = max(bits_for(x.bound, low.f), bits_for(ranges.collapse(x).spread, low.f))
        if not low.never_negative(node) and low.needs_room(node):
            k = max(k, bits_for(x.bound, low.f) + 1)
        return k

    number, k = narrow_input(low, node, bits)
    attrs = {key: node.attrs[key] for key in ("kernel", "stride", "padding", "dilation", "ceil_mode")}
    return emit_narrow(low, node, "maxpool", number, k, ranges.collapse(low.interval(number)), attrs)


def narrow_input(low: Lowering, node: Node, bits: Callable[[Interval], int]) -> tuple[int, int]:
    """The low form of the node's input with as many bits as the comparison needs, and that number of bits."""
    (x,) = node.inputs
    number = low.low(x)
    k = bits(low.interval(number))
    if low.out.tensors[number].bits < k:
        number = low.low(x, k)
        k = bits(low.interval(number))
    t = low.out.tensors[number]
    if t.bits < k:
        low.out.refuse(low.interval(number), t.fraction, t.bits, node, node.kind)
    return number, k


def emit_narrow(
    low: Lowering, node: Node, kind: str, number: int, bits: int, interval: Interval, attrs: dict[str, Any]
) -> int:
    t = low.out.tensors[number]
    return low.out.emit(kind, [number], node.shape, t.fraction, bits, interval, node, {"bits": bits, **attrs})


def lower_argmax(low: Lowering, node: Node) -> int:
    def bits(x: Interval) -> int:
        return max(bits_for(x.bound, low.f), bits_for(x.full_spread, low.f))

    number, k = narrow_input(low, node, bits)
    classes = node.inputs[0].shape[node.attrs["axis"]]
    attrs = {"bits": k, "axis": node.attrs["axis"]}
    rank = [1] * len(node.shape)
    index = Interval(np.zeros(rank), np.full(rank, classes - 1.0), "proved")
    return low.out.emit("argmax", [number], node.shape, 0, classes.bit_length() + 1, index, node, attrs)


def lower_x2(low: Lowering, node: Node) -> int:
    number = low.get("full", node.inputs[0])
    t, x = low.out.tensors[number], low.interval(number)
    fraction = low.f
    name = str(len(low.out.tensors))
    attrs: dict[str, Any] = {"coefficient_fraction": fraction}
    exact = []
    for key, scale in (("c2", fraction), ("c1", t.fraction + fraction), ("c0", 2 * t.fraction + fraction)):
        values = np.broadcast_to(node.attrs[key].reshape(-1), (node.shape[0],))
        quantised = low.out.array(f"{name}.{key}", values, scale, node)
        exact.append(quantised.reshape(-1, *[1] * (len(node.shape) - 1)))
        attrs[key] = f"{name}.{key}"
    interval = low.tighten(node, ranges.quadratic_interval(x, *exact))
    return low.out.emit("x2", [number], node.shape, 2 * t.fraction + fraction, low.ring, interval, node, attrs)


def lower_square(low: Lowering, node: Node) -> int:
    """x^2 of x at scale f + GUARD_BITS, or less where the square, or what its readers make of it, would not fit."""
    x = node.inputs[0]
    number = low.get("full" if low.has_full(x) else "raw", x)
    t, before = low.out.tensors[number], low.interval(number)
    scales = range(min(t.fraction, low.f + GUARD_BITS), low.f - 1, -1)
    squares = {scale: low.tighten(x, before.widen(2.0**-scale)).bound ** 2 for scale in scales}
    fitting = [scale for scale in scales if bits_for(squares[scale], 2 * scale) < low.ring] or [low.f]
    # A square that its readers can take as it is is truncated once less: that is worth the guard bits.
    fraction = next((s for s in fitting if low.untruncated(node, squares[s], 2 * s)), fitting[0])
    if t.fraction > fraction:
        number = low.truncate(x, number, exact=True, fraction=fraction)
    ones = np.ones([1] * len(node.shape))
    interval = low.tighten(node, ranges.quadratic_interval(low.interval(number), ones, 0 * ones, 0 * ones))
    return low.out.emit("square", [number], node.shape, 2 * fraction, low.ring, interval, node)


def lower_product(low: Lowering, node: Node) -> int:
    if node.inputs[0] is node.inputs[1]:
        return lower_square(low, node)
    numbers = [low.get("full", x) for x in node.inputs]
    x, y = low.interval(numbers[0]), low.interval(numbers[-1])
    fraction = sum(low.out.tensors[i].fraction for i in numbers)
    interval = low.tighten(node, ranges.product_interval(x, y))
    return low.out.emit("multiply", numbers, node.shape, fraction, low.ring, interval, node)


Layer = Callable[["Lowering", Node], int]
LAYERS: dict[str, Layer] = {
    "input": lower_input,
    "linear": lower_linear,
    "map": lower_map,
    "relu": lower_relu,
    "hardtanh": lower_hardtanh,
    "maxpool": lower_maxpool,
    "argmax": lower_argmax,
    "x2": lower_x2,
    "square": lower_square,
    "multiply": lower_product,
    "sigmoid": lower_gate,
    "tanh": lower_gate,
    "spmm": lower_sparse,
    "factor": lower_factor,
    "extremes": lower_extremes,
    "sparse_multiply": lower_sparse_multiply,
    "revealed": lower_revealed,
}
