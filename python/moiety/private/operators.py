"""What each ATen operator becomes in the float graph. `HANDLERS` maps an operator's name to a function of the builder.

A handler gets the builder and the call's arguments, in which data are `Node`s, parameters and constants torch
tensors, and everything else Python values. It returns a `Node` (or a tuple, for operators with several results) or
raises `Refused`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from moiety.private.graph import Floats, Node, matrix_conv
from moiety.private.validate import conv_output

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["HANDLERS", "HINTS", "Refused"]

F = TypeVar("F", bound=Callable[..., Any])
HANDLERS: dict[str, Callable[..., Any]] = {}
HINTS = {
    "softmax": "return the logits: the client can apply softmax to them",
    "log_softmax": "return the logits: the client can apply softmax to them",
    "_softmax": "return the logits: the client can apply softmax to them",
    "_log_softmax": "return the logits: the client can apply softmax to them",
    "gelu": "use ReLU, ReLU6, Hardtanh or an x^2 activation",
    "silu": "use ReLU, ReLU6, Hardtanh or an x^2 activation",
    "hardswish": "use ReLU, ReLU6, Hardtanh or an x^2 activation",
    "leaky_relu": "use ReLU, ReLU6, Hardtanh or an x^2 activation",
    "elu": "use ReLU, ReLU6, Hardtanh or an x^2 activation",
    "layer_norm": "its statistics depend on the private input: use BatchNorm",
    "group_norm": "its statistics depend on the private input: use BatchNorm",
    "instance_norm": "its statistics depend on the private input: use BatchNorm",
    "_native_batch_norm_legit": "its statistics depend on the private batch: keep track_running_stats=True",
}


class Refused(Exception):
    """An operator that is known in general but not with these arguments; the text is the reason."""


def handles(*names: str) -> Callable[[F], F]:
    """Registers a handler under the names of operators, without namespace and overload."""

    def register(handler: F) -> F:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


def is_data(*values: Any) -> bool:
    return all(isinstance(v, Node) for v in values)


def need_data(x: Any) -> Node:
    if not isinstance(x, Node):
        raise Refused("expected an input that depends on the network's input")
    return x


def constant(value: Any, what: str) -> Floats:
    """A parameter as float64."""
    if isinstance(value, Node):
        raise Refused(f"its {what} depends on the network's input")
    if hasattr(value, "detach"):
        value = value.detach().double().cpu().numpy()
    array = np.asarray(value, dtype=np.float64)
    if not np.isfinite(array).all():
        raise Refused(f"its {what} holds values that are not finite")
    return array


def triple(values: Any, rank: int, fill: int) -> list[int]:
    """A spatial argument as three entries, unused ones leading."""
    items = [int(values)] * rank if isinstance(values, int) else [int(v) for v in values]
    if len(items) == 1:
        items *= rank
    if len(items) != rank:
        raise Refused(f"expected {rank} spatial entries, found {items}")
    return [fill] * (3 - rank) + items


def spatial(x: Node) -> list[int]:
    """Spatial extents of (channels, *space) as three entries."""
    rank = len(x.shape) - 1
    if not 1 <= rank <= 3:
        raise Refused(f"expected channels and 1 to 3 spatial axes, found shape {x.shape}")
    return [1] * (3 - rank) + list(x.shape[1:])


def convolution(
    b: Builder,
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Node:
    x, weight = need_data(x), constant(w, "weight")
    rank = weight.ndim - 2
    if len(x.shape) != rank + 1:
        raise Refused(f"expected a batched input of rank {rank + 2}, found sample shape {x.shape}")
    conv: dict[str, Any] = {
        "in_channels": x.shape[0],
        "out_channels": weight.shape[1] * groups if transposed else weight.shape[0],
        "groups": int(groups),
        "in": spatial(x),
        "kernel": [1] * (3 - rank) + list(weight.shape[2:]),
        "stride": triple(stride, rank, 1),
        "dilation": triple(dilation, rank, 1),
        "output_padding": triple(output_padding, rank, 0),
        "transposed": bool(transposed),
    }
    if isinstance(padding, str):
        pads = [(0, 0)] * len(x.shape)
        if padding == "same":
            reach = [d * (k - 1) for d, k in zip(conv["dilation"], conv["kernel"], strict=True)]
            if any(r % 2 for r in reach):
                pads = [(0, 0)] + [(r // 2, r - r // 2) for r in reach[3 - rank :]]
                x = pad(b, x, pads)
                conv["in"] = spatial(x)
                reach = [0, 0, 0]
            conv["padding"] = [r // 2 for r in reach]
        else:
            conv["padding"] = [0, 0, 0]
    else:
        conv["padding"] = triple(padding, rank, 0)
    shape = (conv["out_channels"], *conv_output(conv)[3 - rank :])
    return b.node(
        "linear",
        [x],
        shape,
        conv=conv,
        weight=weight,
        bias=None if bias is None else constant(bias, "bias"),
        extra_bits=0,
    )


@handles("convolution", "_convolution")
def _(
    b: Builder,
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> Node:
    return convolution(b, x, w, bias, stride, padding, dilation, transposed, output_padding, groups)


@handles("conv1d", "conv2d", "conv3d")
def _(
    b: Builder,
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Node:
    return convolution(b, x, w, bias, stride, padding, dilation, False, 0, groups)


@handles("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _(
    b: Builder,
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Node:
    return convolution(b, x, w, bias, stride, padding, dilation, True, output_padding, groups)


@handles("linear")
def linear(b: Builder, x: Any, w: Any, bias: Any = None) -> Node:
    """y = x W^T + bias along the last axis: a 1x1 convolution with that axis as channels."""
    x, weight = need_data(x), constant(w, "weight")
    if b.single:
        from moiety.private.operators_product import contract

        letters = ascii_lowercase[: len(x.shape)]
        y = contract(b, x, weight, letters, "Z" + letters[-1], letters[:-1] + "Z")
        return y if bias is None else b.node("affine", [y], y.shape, a=None, b=along_last(y, constant(bias, "bias")))
    if b.whole and len(x.shape) > 1:  # the nodes come last, behind the features
        x = permute(b, x, [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2])
    rest = x.shape[:-1]
    if rest:
        x = permute(b, x, [len(rest), *range(len(rest))])
    conv = matrix_conv(weight.shape[1], weight.shape[0], math.prod(rest))
    y = b.node(
        "linear",
        [x],
        (weight.shape[0], *rest),
        conv=conv,
        weight=weight.reshape(*weight.shape, 1, 1, 1),
        bias=None if bias is None else constant(bias, "bias"),
        extra_bits=0,
    )
    y = permute(b, y, [*range(1, len(rest) + 1), 0]) if rest else y
    return permute(b, y, [*range(len(rest) - 1), len(rest), len(rest) - 1]) if b.whole and rest else y


@handles("addmm")
def _(b: Builder, bias: Any, x: Any, w: Any, beta: float = 1, alpha: float = 1) -> Node:
    weight = constant(w, "weight").T * alpha
    if not is_data(bias):
        return linear(b, x, weight, constant(bias, "bias") * beta)
    y = linear(b, x, weight)
    if beta != 1 or bias.shape != y.shape:
        raise Refused(f"expected a private addend of shape {y.shape} and beta 1, found {bias.shape} and beta {beta}")
    return b.node("add", [bias, y], y.shape)


def along_last(x: Node, vector: Floats) -> Floats:
    return vector.reshape(*[1] * (len(x.shape) - 1), -1)


def along_channels(x: Node, vector: Floats) -> Floats:
    return vector.reshape(-1, *[1] * (len(x.shape) - 1))


def normalise(b: Builder, x: Any, w: Any, bias: Any, mean: Any, var: Any, eps: float) -> Node:
    x = need_data(x)
    if mean is None or var is None:
        raise Refused(HINTS["_native_batch_norm_legit"])
    a = 1 / np.sqrt(constant(var, "variance") + eps)
    if w is not None:
        a = a * constant(w, "weight")
    shift = -constant(mean, "mean") * a
    if bias is not None:
        shift = shift + constant(bias, "bias")
    return b.node("affine", [x], x.shape, a=along_channels(x, a), b=along_channels(x, shift))


@handles("batch_norm", "cudnn_batch_norm")
def _(
    b: Builder, x: Any, w: Any, bias: Any, mean: Any, var: Any, training: bool, _m: float, eps: float, *_: Any
) -> Node:
    if training:
        raise Refused("it is in training mode: call model.eval()")
    return normalise(b, x, w, bias, mean, var, eps)


@handles("_native_batch_norm_legit_no_training")
def _(b: Builder, x: Any, w: Any, bias: Any, mean: Any, var: Any, _m: float, eps: float) -> tuple[Node, None, None]:
    return normalise(b, x, w, bias, mean, var, eps), None, None


@handles("relu")
def relu(b: Builder, x: Any) -> Node:
    x = need_data(x)
    return b.node("relu", [x], x.shape)


@handles("sigmoid", "tanh")
def gate(b: Builder, x: Any) -> Node:
    x = need_data(x)
    return b.node(b.operator, [x], x.shape)


@handles("clamp")
def clamp(b: Builder, x: Any, min: Any = None, max: Any = None) -> Node:
    low, high = min, max  # torch's names
    x = need_data(x)
    if not all(v is None or isinstance(v, (int, float)) for v in (low, high)):
        raise Refused("expected constant limits")
    if low is not None and high is not None:
        if not low < high:
            raise Refused(f"expected low < high, found {low} and {high}")
        return b.node("hardtanh", [x], x.shape, low=float(low), high=float(high))
    if low is not None:  # low + relu(x - low)
        return relu(b, x) if low == 0 else shift(b, relu(b, shift(b, x, -low)), low)
    if high is None:
        return need_data(x)
    return b.node("subtract", [x, relu(b, x if high == 0 else shift(b, x, -high))], x.shape)  # x - relu(x - high)


@handles("hardtanh")
def _(b: Builder, x: Any, low: float = -1.0, high: float = 1.0) -> Node:
    return clamp(b, x, low, high)


@handles("clamp_min")
def _(b: Builder, x: Any, low: Any) -> Node:
    return clamp(b, x, low, None)


@handles("clamp_max")
def _(b: Builder, x: Any, high: Any) -> Node:
    return clamp(b, x, None, high)


@handles("relu6")
def _(b: Builder, x: Any) -> Node:
    return clamp(b, x, 0.0, 6.0)


def shift(b: Builder, x: Node, value: float) -> Node:
    return b.node("affine", [x], x.shape, a=None, b=np.full([1] * len(x.shape), float(value)))


def upsample(b: Builder, x: Node, factors: Sequence[int]) -> Node:
    """Repeats every element along the spatial axes."""
    if all(f == 1 for f in factors):
        return x
    shape = (x.shape[0], *(n * f for n, f in zip(x.shape[1:], factors, strict=True)))
    return b.node("upsample", [x], shape, factors=[1] * (4 - len(x.shape)) + [int(f) for f in factors])


def pad(b: Builder, x: Node, padding: Sequence[tuple[int, int]]) -> Node:
    if any(n < 0 for pair in padding for n in pair):
        raise Refused("negative padding: use a slice")
    shape = tuple(n + p + q for n, (p, q) in zip(x.shape, padding, strict=True))
    return x if shape == x.shape else b.node("pad", [x], shape, padding=[[int(p), int(q)] for p, q in padding])


def permute(b: Builder, x: Node, axes: Sequence[int]) -> Node:
    """Axes of the sample, without the batch."""
    if (b.whole or b.single) and x.kind == "permute":  # of a permutation: one, or none
        axes, x = [x.attrs["axes"][i] for i in axes], x.inputs[0]
    if list(axes) == list(range(len(x.shape))):
        return x
    moved = [i for i in axes if x.shape[i] > 1]
    if b.single and moved == sorted(moved):  # nothing moves
        return reshape(b, x, [x.shape[i] for i in axes])
    if b.whole or b.single:
        key = x, tuple(axes)
        if key not in b.permuted:
            b.permuted[key] = b.node("permute", [x], tuple(x.shape[i] for i in axes), axes=list(axes))
        return b.permuted[key]
    return b.node("permute", [x], tuple(x.shape[i] for i in axes), axes=list(axes))


def reshape(b: Builder, x: Node, shape: Sequence[int]) -> Node:
    if (b.whole or b.single) and x.kind == "reshape":
        x = x.inputs[0]
    if tuple(shape) == x.shape:
        return x
    if b.single:
        key = x, tuple(shape)
        if key not in b.reshaped:
            b.reshaped[key] = b.node("reshape", [x], shape)
        return b.reshaped[key]
    return b.node("reshape", [x], tuple(shape))
