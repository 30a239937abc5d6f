"""ATen operators, continued from operators.py: elementwise arithmetic, reductions, shapes, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Floats, Node
from moiety.private.operators import (
    Refused,
    constant,
    handles,
    is_data,
    need_data,
    pad,
    permute,
    reshape,
    spatial,
    upsample,
)
from moiety.private.operators_parts import concatenate, parts_of
from moiety.private.operators_pool import divide

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__: list[str] = []


def broadcast(b: Builder, x: Node, value: Any) -> Floats:
    """A constant operand with as many axes as the sample has; its batch axis, if any, must have extent 1."""
    array = constant(value, "operand")
    rank = len(x.shape)
    if array.ndim == rank + 1 and b.free:
        if array.shape[0] != 1:
            raise Refused(f"a constant of shape {array.shape} differs between the samples of a batch")
        array = array[0]
    if array.ndim > rank:
        raise Refused(f"a constant of shape {array.shape} does not fit a sample of shape {x.shape}")
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    if b.whole and rank:
        array = np.moveaxis(array, 0, -1)
    if any(n not in (1, m) for n, m in zip(array.shape, x.shape, strict=True)):
        raise Refused(f"a constant of shape {array.shape} would enlarge a sample of shape {x.shape}")
    return array


def align(b: Builder, x: Node, y: Node) -> tuple[Node, Node]:
    """Two data operands broadcast to one shape by repetition."""
    if b.single and len(x.shape) != len(y.shape):
        rank = max(len(x.shape), len(y.shape))
        x, y = (reshape(b, v, (*[1] * (rank - len(v.shape)), *v.shape)) for v in (x, y))
    if len(x.shape) != len(y.shape) or any(1 != n != m != 1 for n, m in zip(x.shape, y.shape, strict=True)):
        raise Refused(f"operands of shapes {x.shape} and {y.shape} (without the batch) do not match")
    for axis, (n, m) in enumerate(zip(x.shape, y.shape, strict=True)):
        if n < m:
            x = repeat(b, x, axis, m)
        elif m < n:
            y = repeat(b, y, axis, n)
    return x, y


def repeat(b: Builder, x: Node, axis: int, count: int) -> Node:
    """Repeats a tensor along an axis of extent 1."""
    if b.single:
        key = x, axis, count
        if key not in b.repeated:
            b.repeated[key] = repeated(b, x, axis, count)
        return b.repeated[key]
    return repeated(b, x, axis, count)


def repeated(b: Builder, x: Node, axis: int, count: int) -> Node:
    rank = len(x.shape)
    if 2 <= rank <= 4 and axis > 0:
        return upsample(b, x, [count if i == axis else 1 for i in range(1, rank)])
    y = upsample(b, reshape(b, x, (math.prod(x.shape), 1)), [count])
    others = [n for i, n in enumerate(x.shape) if i != axis]
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return permute(b, reshape(b, y, (*others, count)), order)


def add(b: Builder, x: Any, y: Any, alpha: float = 1) -> Node:
    for known, other in ((x, y), (y, x)):
        if b.is_zero(known) and is_data(other) and tuple(b.result_shape()) == other.shape:
            return other if other is x or alpha == 1 else multiply(b, other, alpha)
    if is_data(x, y):
        if alpha == -1:
            x, y = align(b, x, y)
            return b.node("subtract", [x, y], x.shape)
        x, y = align(b, x, y if alpha == 1 else multiply(b, y, alpha))
        return b.node("add", [x, y], x.shape)
    if is_data(y):
        return add(b, multiply(b, y, alpha), x)
    return b.node("affine", [x], x.shape, a=None, b=broadcast(b, x, y) * alpha)


def multiply(b: Builder, x: Any, y: Any) -> Node:
    if is_data(x, y):
        x, y = align(b, x, y)
        return b.node("multiply", [x, y], x.shape)
    if is_data(y):
        x, y = y, x
    if isinstance(y, (int, float)) and y == 1:
        return need_data(x)
    if b.single and isinstance(y, (int, float)):
        return b.node("factor", [x], x.shape, factor=float(y))
    # Of a graph's model a number of the code is public, and may go into a public matrix.
    public = {"public": True} if b.whole and isinstance(y, (int, float)) else {}
    return b.node("affine", [x], x.shape, a=broadcast(b, x, y), b=None, **public)


@handles("add")
def _(b: Builder, x: Any, y: Any, alpha: float = 1) -> Node:
    return add(b, x, y, alpha)


@handles("sub")
def _(b: Builder, x: Any, y: Any, alpha: float = 1) -> Node:
    return add(b, x, y, -alpha)


@handles("rsub")
def _(b: Builder, x: Any, y: Any, alpha: float = 1) -> Node:
    return add(b, y, x, -alpha)


@handles("mul")
def _(b: Builder, x: Any, y: Any) -> Any:
    if b.is_zero(x) or b.is_zero(y):
        return b.zeros()
    return multiply(b, x, y)


@handles("div")
def _(b: Builder, x: Any, y: Any, rounding_mode: str | None = None) -> Node:
    if rounding_mode is not None or isinstance(y, Node):
        raise Refused("division by a value that depends on the network's input, or a rounded one")
    if isinstance(y, (int, float)) and float(y).is_integer() and y >= 1:
        return divide(b, need_data(x), int(y))
    if b.whole and isinstance(y, (int, float)) and y != 0:
        return multiply(b, x, 1 / y)
    return multiply(b, x, 1 / constant(y, "divisor"))


@handles("neg")
def _(b: Builder, x: Any) -> Node:
    return multiply(b, x, -1.0)


@handles("square")
def _(b: Builder, x: Any) -> Node:
    return multiply(b, x, x)


@handles("pow")
def _(b: Builder, x: Any, exponent: Any) -> Node:
    if not isinstance(exponent, (int, float)) or exponent not in (1, 2):
        raise Refused(f"expected exponent 1 or 2, found {exponent}")
    return need_data(x) if exponent == 1 else multiply(b, x, x)


@handles("lerp")
def _(b: Builder, x: Any, y: Any, weight: Any) -> Node:
    if not isinstance(weight, (int, float)):
        raise Refused("expected a weight that is a number")
    return add(b, multiply(b, x, 1 - weight), multiply(b, y, weight))


@handles("addcmul")
def _(b: Builder, x: Any, y: Any, z: Any, value: float = 1) -> Node:
    return add(b, x, multiply(b, y, z), value)


def drops_nodes(b: Builder, x: Node) -> None:
    """Refuses to drop the first axis of a whole graph's tensor where another one would take its place."""
    if b.whole and len(x.shape) > 2:
        raise Refused(f"it drops the axis of the nodes of a tensor with {len(x.shape)} axes: reshape it to two first")


@handles("mean", "sum")
def _(b: Builder, x: Any, axes: Any = None, keepdim: bool = False, **_: Any) -> Node:
    x = need_data(x)
    rank = len(x.shape)
    if axes is None:
        raise Refused("a reduction over all axes mixes the samples of a batch")
    reduced = sorted({b.axis(x, axis) for axis in ([axes] if isinstance(axes, int) else axes)})
    kept = [i for i in range(rank) if i not in reduced]
    if rank - 1 in reduced and not keepdim:
        drops_nodes(b, x)
    count = math.prod(x.shape[i] for i in reduced)
    rows = math.prod(x.shape[i] for i in kept)
    # Kept axes first, reduced ones last, then one sum over rows.
    y = reshape(b, permute(b, x, kept + reduced), (rows, count))
    y = b.node("sumpool", [y], (rows, 1), kernel=[1, 1, count], stride=[1, 1, count], padding=[0, 0, 0], count=count)
    if b.operator == "mean":
        y = divide(b, y, count)
    shape = [1 if i in reduced else n for i, n in enumerate(x.shape)] if keepdim else [x.shape[i] for i in kept]
    return reshape(b, y, shape)


@handles("cat", "concat", "concatenate")
def _(b: Builder, parts: Sequence[Any], axis: int = 0) -> Node:
    if any(map(b.is_zero, parts)):
        axis = b.axis(next(filter(is_data, parts)), axis)
        behind = 1 if b.free else 0  # the batch
        return concatenate(
            b, [(p, p.shape[axis]) if is_data(p) else (None, p.shape[axis + behind]) for p in parts], axis
        )
    parts = [need_data(p) for p in parts]
    axis = b.axis(parts[0], axis)
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return parts[0] if len(parts) == 1 else b.node("concat", list(parts), tuple(shape), axis=axis)


@handles("stack")
def _(b: Builder, parts: Sequence[Any], axis: int = 0) -> Node:
    if b.whole:
        raise Refused("stacked tensors of nodes: use cat along the features")
    shape = b.result_shape()
    axis %= len(shape) + (1 if b.free else 0)
    if b.free and axis == 0:
        raise Refused("it works along the batch axis")
    axis -= 1 if b.free else 0
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    return concatenate(b, [(None if b.is_zero(p) else reshape(b, need_data(p), one), 1) for p in parts], axis)


@handles("unbind")
def _(b: Builder, x: Any, axis: int = 0) -> tuple[Node, ...]:
    x = need_data(x)
    axis = b.axis(x, axis)
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    return tuple(reshape(b, cut(b, x, axis, i, i + 1), rest) for i in range(x.shape[axis]))


@handles("new_zeros", "zeros_like")
def _(b: Builder, *_: Any, **__: Any) -> Any:
    return b.zeros()


@handles("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")
def _(b: Builder, x: Any, *_: Any) -> Node:
    x, shape = need_data(x), b.result_shape()
    if not b.whole or x.shape[-1:] == shape[-1:]:
        return reshape(b, x, shape)
    rank, new = len(x.shape), len(shape)
    y = permute(b, x, [rank - 1, *range(rank - 1)]) if rank else x
    y = reshape(b, y, (*shape[-1:], *shape[:-1]))
    return permute(b, y, [*range(1, new), 0]) if new else y


@handles("permute")
def _(b: Builder, x: Any, axes: Sequence[int]) -> Node:
    x = need_data(x)
    if b.single:
        return permute(b, x, [axis % len(x.shape) for axis in axes])
    if b.whole:
        rank = len(x.shape)
        return permute(b, x, [(axes[(p + 1) % rank] - 1) % rank for p in range(rank)])
    rank = len(x.shape) + 1
    order = [axis % rank for axis in axes]
    if order[0] != 0:
        raise Refused("a permutation that moves the batch axis")
    return permute(b, x, [axis - 1 for axis in order[1:]])


@handles("transpose", "swapaxes")
def _(b: Builder, x: Any, first: int, second: int) -> Node:
    x = need_data(x)
    i, j = b.axis(x, first), b.axis(x, second)
    order = list(range(len(x.shape)))
    order[i], order[j] = j, i
    return permute(b, x, order)


def chosen_parts(b: Builder, x: Node, axis: int, start: int, stop: int) -> Node | None:
    """The slice, if it is some of the parts that the tensor was made of."""
    found = parts_of(b, x, axis)
    if found is None:
        return None
    ends = np.cumsum([0, *(size for _, size in found)])
    inside = [
        part for part, begin, end in zip(found, ends[:-1], ends[1:], strict=True) if start <= begin and end <= stop
    ]
    fits = sum(size for _, size in inside) == stop - start and any(part is not None for part, _ in inside)
    return concatenate(b, inside, axis) if fits else None


def cut(b: Builder, x: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    n = x.shape[axis]
    start, stop, step = slice(start, stop, step).indices(n)
    if step < 1 or stop <= start:
        raise Refused(f"an empty or reversed slice {start}:{stop}:{step}")
    if (start, stop, step) == (0, n, 1):
        return x
    chosen = chosen_parts(b, x, axis, start, stop) if b.single and step == 1 else None
    if chosen is not None:
        return chosen
    shape = (*x.shape[:axis], len(range(start, stop, step)), *x.shape[axis + 1 :])
    return b.node("slice", [x], shape, axis=axis, start=start, stop=stop, step=step)


@handles("slice")
def _(b: Builder, x: Any, axis: int = 0, start: Any = None, stop: Any = None, step: int = 1) -> Node:
    x = need_data(x)
    if b.free and axis % (len(x.shape) + 1) == 0:
        # x[:, ...] slices the whole batch; anything else would drop samples, which the result's batch axis shows.
        if start in (None, 0) and step == 1 and b.keeps_batch():
            return need_data(x)
        raise Refused("a slice of the batch axis")
    axis = b.axis(x, axis)
    return cut(b, x, axis, 0 if start is None else start, x.shape[axis] if stop is None else stop, step)


@handles("narrow")
def _(b: Builder, x: Any, axis: int, start: int, length: int) -> Node:
    x = need_data(x)
    return cut(b, x, b.axis(x, axis), start, start + length)


@handles("select")
def _(b: Builder, x: Any, axis: int, index: int) -> Node:
    x = need_data(x)
    axis = b.axis(x, axis)
    if axis == len(x.shape) - 1:
        drops_nodes(b, x)
    index %= x.shape[axis]
    y = cut(b, x, axis, index, index + 1)
    return reshape(b, y, x.shape[:axis] + x.shape[axis + 1 :])


@handles("split", "split_with_sizes", "chunk", "tensor_split")
def _(b: Builder, x: Any, size: Any, axis: int = 0) -> tuple[Node, ...]:
    x = need_data(x)
    axis = b.axis(x, axis)
    n = x.shape[axis]
    if isinstance(size, int):
        step = size if b.operator == "split" else -(-n // size)
        sizes = [min(step, n - i) for i in range(0, n, step)]
        if b.operator == "tensor_split":
            sizes = [n // size + (i < n % size) for i in range(size)]
    else:
        sizes = list(size)
    starts = np.cumsum([0, *sizes])
    return tuple(cut(b, x, axis, int(s), int(s) + m) for s, m in zip(starts, sizes, strict=False))


@handles("constant_pad_nd", "pad")
def _(b: Builder, x: Any, amounts: Sequence[int], *rest: Any, **options: Any) -> Node:
    x = need_data(x)
    mode = options.get("mode", rest[0] if b.operator == "pad" and rest else "constant")
    value = options.get("value", rest[-1] if rest and not isinstance(rest[-1], str) else 0)
    if mode != "constant" or value not in (0, None):
        raise Refused(f"padding with mode {mode!r} and value {value}: only zeros are supported")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    if len(pairs) > len(x.shape):
        raise Refused("padding of the batch axis")
    padding = [(0, 0)] * (len(x.shape) - len(pairs)) + pairs[::-1]
    return pad(b, x, padding)


@handles("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def _(b: Builder, x: Any, *_: Any) -> Node:
    x = need_data(x)
    target = b.result_shape()
    if any(m % n for n, m in zip(x.shape[1:], target[1:], strict=True)):
        raise Refused(f"nearest resizing from {x.shape} to {target} is not by whole factors")
    return upsample(b, x, [m // n for n, m in zip(x.shape[1:], target[1:], strict=True)])


@handles("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
def _(b: Builder, x: Any, size: Any, align_corners: bool, *_: Any) -> Node:
    """Edges repeated, a transposed depthwise convolution with the triangle kernel, margins cut off."""
    x = need_data(x)
    target = b.result_shape()
    if align_corners or any(m % n for n, m in zip(x.shape[1:], target[1:], strict=True)):
        raise Refused("linear resizing is supported by whole factors and with align_corners=False")
    for axis in range(1, len(x.shape)):
        factor = target[axis] // x.shape[axis]
        if factor > 1:
            x = stretch(b, x, axis, factor)
    return need_data(x)


def stretch(b: Builder, x: Node, axis: int, factor: int) -> Node:
    """Linear interpolation by a whole factor along one axis, half-pixel centres (align_corners=False)."""
    n = x.shape[axis]
    edges = [cut(b, x, axis, 0, 1), x, cut(b, x, axis, n - 1, n)]
    wide = b.node("concat", edges, (*x.shape[:axis], n + 2, *x.shape[axis + 1 :]), axis=axis)
    # Output j lies at (j + 0.5) / factor - 0.5; tap t of input i reaches it with weight 1 - |distance|.
    size = 2 * factor - factor % 2
    taps = 1 - np.abs((np.arange(size) + 0.5) / factor - size / (2 * factor))
    rank, place = len(x.shape) - 1, 3 - len(x.shape) + axis
    kernel, stride = [1, 1, 1], [1, 1, 1]
    kernel[place], stride[place] = size, factor
    conv: dict[str, Any] = {
        "in_channels": x.shape[0],
        "out_channels": x.shape[0],
        "groups": x.shape[0],
        "in": spatial(wide),
        "kernel": kernel,
        "stride": stride,
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": True,
    }
    length = (n + 1) * factor + size
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    weight = np.broadcast_to(taps.reshape([1, 1, *kernel[3 - rank :]]), (x.shape[0], 1, *kernel[3 - rank :])).copy()
    y = b.node("linear", [wide], shape, conv=conv, weight=weight, bias=None, extra_bits=0)
    margin = factor + (size - factor) // 2
    return cut(b, y, axis, margin, margin + n * factor)


@handles("pixel_shuffle")
def _(b: Builder, x: Any, r: int) -> Node:
    x = need_data(x)
    c, h, w = x.shape
    y = reshape(b, x, (c // (r * r), r, r, h, w))
    return reshape(b, permute(b, y, [0, 3, 1, 4, 2]), (c // (r * r), h * r, w * r))


@handles("channel_shuffle", "native_channel_shuffle")
def _(b: Builder, x: Any, groups: int) -> Node:
    x = need_data(x)
    y = reshape(b, x, (groups, x.shape[0] // groups, *x.shape[1:]))
    return reshape(b, permute(b, y, [1, 0, *range(2, len(y.shape))]), x.shape)


@handles("dropout", "feature_dropout", "alpha_dropout", "native_dropout")
def _(b: Builder, x: Any, p: float = 0.5, training: bool = False) -> Any:
    if training and p:
        raise Refused("it is in training mode: call model.eval()")
    return (need_data(x), None) if b.operator == "native_dropout" else need_data(x)


@handles("alias", "detach", "contiguous", "clone", "lift_fresh_copy", "to", "_to_copy", "expand", "identity")
def _(b: Builder, x: Any, *_: Any, **__: Any) -> Node:
    x = need_data(x)
    if tuple(b.result_shape()) != x.shape:
        raise Refused("it enlarges a tensor")
    return need_data(x)


@handles("argmax")
def _(b: Builder, x: Any, axis: int | None = None, keepdim: bool = False) -> Node:
    x = need_data(x)
    if axis is None:
        raise Refused("argmax over the whole batch: give it a dim")
    axis = b.axis(x, axis)
    if axis == len(x.shape) - 1 and not keepdim:
        drops_nodes(b, x)
    y = b.node("argmax", [x], x.shape[:axis] + x.shape[axis + 1 :], axis=axis)
    return reshape(b, y, b.result_shape()) if keepdim else y
