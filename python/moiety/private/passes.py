"""Exact rewritings of the float graph: each keeps the function and lowers the cost of the two-party program.

`simplify` runs all of them in the order that docs/compiler.md explains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from moiety.private.evaluate import convolve
from moiety.private.graph import Floats, Graph, Node, matrix_conv, per_channel
from moiety.private.passes_graph import gather_public, order_products
from moiety.private.polynomial import fuse_polynomials

__all__ = ["simplify"]

MONOTONE = ("relu", "hardtanh")
# What an affine on channels may be carried through on its way to the next layer.
CARRIERS = ("reshape", "permute", "upsample")


def simplify(graph: Graph) -> None:
    """All passes, in place."""
    gather_public(graph)
    pool_first(graph)
    merge_padding(graph)
    fold_back(graph, repeat=False)
    fuse_polynomials(graph)
    fold_back(graph, repeat=True)
    merge_affines(graph)
    fold_resampling(graph)
    sink_affines(graph)
    fold_forward(graph)
    order_products(graph)
    drop_idle_activations(graph)


def pool_first(graph: Graph) -> None:
    """maxpool(relu(x)) -> relu(maxpool(x)) where the pooling is the activation's sole consumer: fewer comparisons.

    Monotone activations only, so never x^2. A chain of activations moves as a whole.
    """
    changed = True
    while changed:
        changed = False
        users = graph.consumers()
        for node in graph.nodes():
            below = node.inputs[0] if node.inputs else None
            if node.kind != "maxpool" or below is None or below.kind not in MONOTONE or len(users[below]) != 1:
                continue
            pool = Node("maxpool", [below.inputs[0]], node.shape, node.attrs, node.source, node.where)
            act = Node(below.kind, [pool], node.shape, below.attrs, below.source, below.where, node.paths)
            graph.replace(node, act)
            changed = True
            break


def merge_padding(graph: Graph) -> None:
    """Symmetric zero padding in front of a convolution becomes the convolution's own."""
    for node in graph.nodes():
        if node.kind != "linear" or node.attrs["conv"]["transposed"] or node.inputs[0].kind != "pad":
            continue
        pad = node.inputs[0]
        pairs = pad.attrs["padding"]
        if pairs[0] != [0, 0] or any(p != q for p, q in pairs):
            continue
        conv = dict(node.attrs["conv"])
        rank = len(pad.shape) - 1
        extra = [0] * (3 - rank) + [p for p, _ in pairs[1:]]
        conv["padding"] = [p + q for p, q in zip(conv["padding"], extra, strict=True)]
        conv["in"] = [1] * (3 - rank) + list(pad.inputs[0].shape[1:])
        node.attrs = {**node.attrs, "conv": conv}
        node.inputs = [pad.inputs[0]]


def drop_idle_activations(graph: Graph) -> None:
    """Activations of activations that change nothing: relu(relu(x)), relu after a clamp to non-negative values."""
    for node in graph.nodes():
        below = node.inputs[0] if node.inputs else None
        if node.kind != "relu" or below is None:
            continue
        if below.kind == "relu" or (below.kind == "hardtanh" and below.attrs["low"] >= 0):
            below.paths += node.paths
            graph.replace(node, below)


def factors(node: Node) -> tuple[Floats | None, Floats | None, int]:
    """a, b and the extra weight bits of an affine node; a public division has a = 1/divisor."""
    if "divisor" in node.attrs:
        divisor = node.attrs["divisor"]
        return np.full([1] * len(node.shape), 1 / divisor), None, math.ceil(math.log2(divisor))
    return node.attrs["a"], node.attrs["b"], int(node.attrs.get("extra_bits", 0))


def flat(array: Floats, channels: int) -> Floats:
    """A per-channel array as (channels,)."""
    return np.broadcast_to(array.reshape(array.shape[0]), (channels,)).copy()


def scale_outputs(weight: Floats, a: Floats, conv: dict[str, Any]) -> Floats:
    """Weight of a * conv(x) for a of shape (out_channels,)."""
    ones = [1] * (weight.ndim - 2)
    if not conv["transposed"]:
        return weight * a.reshape(-1, 1, *ones)
    groups = conv["groups"]
    split = weight.reshape(groups, -1, *weight.shape[1:]) * a.reshape(groups, 1, -1, *ones)
    return np.asarray(split.reshape(weight.shape))


def scale_inputs(weight: Floats, a: Floats, conv: dict[str, Any]) -> Floats:
    """Weight of conv(a * x) for a of shape (in_channels,)."""
    ones = [1] * (weight.ndim - 2)
    if conv["transposed"]:
        return weight * a.reshape(-1, 1, *ones)
    groups = conv["groups"]
    split = weight.reshape(groups, -1, *weight.shape[1:]) * a.reshape(groups, 1, -1, *ones)
    return np.asarray(split.reshape(weight.shape))


def fold_back(graph: Graph, repeat: bool) -> None:
    """a * linear(x) + b -> linear: batch norm after a convolution.

    With `repeat`, a linear node with several readers is repeated for this one: its input is opened once anyway. That
    comes after the search for polynomials, whose terms must keep their common base.
    """
    users = graph.consumers()
    for node in graph.nodes():
        below = node.inputs[0] if node.inputs else None
        if node.kind != "affine" or below is None or below.kind != "linear":
            continue
        if len(users[below]) > 1 and not repeat:
            continue
        a, b, bits = factors(node)
        if a is not None and not per_channel(a):
            continue
        channels = node.shape[0]
        weight, bias = below.attrs["weight"], below.attrs["bias"]
        if a is not None:
            a = flat(a, channels)
            weight = scale_outputs(weight, a, below.attrs["conv"])
            if bias is not None:
                bias = bias * (a if bias.ndim == 1 else a.reshape(-1, *[1] * (bias.ndim - 1)))
        if b is not None:
            bias = add_bias(bias, flat(b, channels) if per_channel(b) else np.broadcast_to(b, node.shape), node.shape)
        attrs = {**below.attrs, "weight": weight, "bias": bias, "extra_bits": below.attrs["extra_bits"] + bits}
        folded = node.like("linear", list(below.inputs), **attrs)
        users[folded] = users[node]
        graph.replace(node, folded)


def add_bias(bias: Floats | None, more: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum of two biases, each (channels,) or of the whole output's shape."""
    if bias is None:
        return np.array(more)
    if bias.ndim == more.ndim == 1:
        return np.asarray(bias + more)
    spread = [x.reshape(-1, *[1] * (len(shape) - 1)) if x.ndim == 1 else x for x in (bias, more)]
    return np.array(np.broadcast_to(spread[0] + spread[1], shape))


def all_take(readers: list[Node]) -> bool:
    """Do all readers multiply by something held by the server, so that a local operation before them can go into it?

    If one does not, folding it into the others would open both what is before and what is after it.
    """
    return all(user.kind == "linear" or user.attrs.get("a") is not None for user in readers)


def merge_affines(graph: Graph) -> None:
    """affine(x / n) -> affine with a / n: one multiplication instead of two."""
    users = graph.consumers()
    for node in graph.nodes():
        below = node.inputs[0] if node.inputs else None
        if node.kind != "affine" or node.attrs.get("a") is None or below is None:
            continue
        if below.kind == "affine" and "divisor" in below.attrs and all_take(users[below]):
            a, _, bits = factors(below)
            assert a is not None
            attrs = {"a": node.attrs["a"] * a, "b": node.attrs["b"], "extra_bits": bits}
            graph.replace(node, node.like("affine", list(below.inputs), **attrs))


def fold_resampling(graph: Graph) -> None:
    """matrix(flatten(resample(x))) -> matrix'(flatten(x)): VGG's adaptive pooling of a small image costs nothing.

    The same for repetition. Left-over resampling becomes a linear layer with the positions as channels.
    """
    for node in graph.nodes():
        if node.kind != "linear" or node.attrs["conv"]["in"] != [1, 1, 1] or node.attrs["conv"]["groups"] != 1:
            continue
        flatten = node.inputs[0]
        if flatten.kind != "reshape" or len(flatten.shape) != 1:
            continue
        resize = flatten.inputs[0]
        if resize.kind not in ("upsample", "resample"):
            continue
        x, weight = resize.inputs[0], node.attrs["weight"]
        rows = weight.shape[0]
        if resize.kind == "upsample":
            split = [x.shape[0]]
            for n, f in zip(x.shape[1:], resize.attrs["factors"][4 - len(x.shape) :], strict=True):
                split += [n, f]
            folded = weight.reshape(rows, *split).sum(axis=tuple(range(3, 2 * len(x.shape), 2)))
        else:
            folded = weight.reshape(rows, x.shape[0], -1) @ resize.attrs["matrix"]
        size = math.prod(x.shape)
        conv = {**node.attrs["conv"], "in_channels": size}
        node.inputs = [Node("reshape", [x], (size,), {}, flatten.source, flatten.where)]
        node.attrs = {**node.attrs, "conv": conv, "weight": folded.reshape(rows, size, 1, 1, 1)}
    for node in graph.nodes():
        if node.kind == "resample":
            graph.replace(node, resampling_layer(node))


def resampling_layer(node: Node) -> Node:
    """(channels, positions in) -> (positions in, channels) -> matrix -> back."""
    x, matrix = node.inputs[0], node.attrs["matrix"]
    channels, (out, positions) = x.shape[0], matrix.shape
    weight = matrix.reshape(out, positions, 1, 1, 1)

    def step(kind: str, source: Node, shape: tuple[int, ...], **attrs: Any) -> Node:
        return Node(kind, [source], shape, attrs, node.source, node.where)

    y = step("permute", step("reshape", x, (channels, positions)), (positions, channels), axes=[1, 0])
    conv = matrix_conv(positions, out, channels)
    y = step("linear", y, (out, channels), conv=conv, weight=weight, bias=None, extra_bits=0)
    y = step("permute", y, (channels, out), axes=[1, 0])
    y = step("reshape", y, node.shape)
    y.paths = node.paths
    return y


def sink_affines(graph: Graph) -> None:
    """carrier(affine(x)) -> affine(carrier(x)) for reshapes, permutations, repetitions before a linear layer."""
    changed = True
    while changed:
        changed = False
        users = graph.consumers()
        for node in graph.nodes():
            if node.kind != "affine" or len(users[node]) != 1 or not leads_to_linear(node, users):
                continue
            carrier = users[node][0]
            if carrier.kind not in CARRIERS:
                continue
            below = carrier.like(carrier.kind, list(node.inputs), **carrier.attrs)
            below.paths = ()
            attrs = dict(node.attrs)
            for key in ("a", "b"):
                if attrs.get(key) is not None:
                    attrs[key] = carry(attrs[key], carrier, node.shape)
            graph.replace(carrier, carrier.like("affine", [below], **attrs))
            changed = True
            break


def leads_to_linear(node: Node, users: dict[Node, list[Node]]) -> bool:
    while len(users[node]) == 1:
        node = users[node][0]
        if node.kind == "linear":
            return True
        if node.kind not in CARRIERS:
            return False
    return bool(users[node]) and all(user.kind == "linear" for user in users[node])


def carry(array: Floats, carrier: Node, shape: tuple[int, ...]) -> Floats:
    """The array that broadcasts to the carrier's output as `array` did to its input of this shape."""
    if carrier.kind == "permute":
        return np.transpose(array, carrier.attrs["axes"])
    if array.size == 1:
        return array.reshape([1] * len(carrier.shape))
    if carrier.kind == "reshape":
        return np.broadcast_to(array, shape).reshape(carrier.shape)
    for axis, factor in enumerate(carrier.attrs["factors"][4 - len(shape) :], start=1):
        if array.shape[axis] > 1:
            array = np.repeat(array, factor, axis=axis)
    return array


def fold_forward(graph: Graph) -> None:
    """linear(a * x + b) -> linear': the weight takes a; b goes into the bias.

    Where a zero-padded (or transposed) convolution does not see every tap at its borders, the bias becomes a map of
    the whole output, right at the borders too. The affine stays for its other readers, if any.
    """
    changed = True
    while changed:
        changed = False
        users = graph.consumers()
        for node in graph.nodes():
            below = node.inputs[0] if node.inputs else None
            if node.kind != "linear" or below is None or below.kind != "affine":
                continue
            a, b, bits = factors(below)
            if below.attrs.get("a") is None and not all_take(users.get(below, [])):
                continue
            if a is not None and not per_channel(a):
                continue
            conv, weight, bias = node.attrs["conv"], node.attrs["weight"], node.attrs["bias"]
            if b is not None:
                bias = add_bias(bias, carried_bias(b, below.shape, weight, conv, node.shape), node.shape)
            if a is not None:
                weight = scale_inputs(weight, flat(a, conv["in_channels"]), conv)
            node.attrs = {
                **node.attrs,
                "weight": weight,
                "bias": bias,
                "extra_bits": node.attrs["extra_bits"] + bits,
            }
            node.inputs = list(below.inputs)
            changed = True


def carried_bias(
    b: Floats, shape: tuple[int, ...], weight: Floats, conv: dict[str, Any], out: tuple[int, ...]
) -> Floats:
    """conv(b): (out_channels,) where every output sees the same, else the output's whole shape."""
    regular = not conv["transposed"] and not any(conv["padding"])
    if regular and per_channel(b):
        channels = flat(b, conv["in_channels"]).reshape(conv["groups"], 1, -1)
        taps = weight.reshape(conv["out_channels"], weight.shape[1], -1).sum(axis=2)
        return np.asarray((taps.reshape(conv["groups"], -1, taps.shape[1]) * channels).sum(axis=2).reshape(-1))
    image = np.broadcast_to(b, shape).reshape(1, conv["in_channels"], *conv["in"])
    return np.asarray(convolve(image, weight, conv)[0].reshape(out))
