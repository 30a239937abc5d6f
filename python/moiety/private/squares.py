"""Completes the square: c2 x^2 + c1 x + c0 with server-held coefficients becomes the square of a shared value.

    c2 x^2 + c1 x + c0 = r (z^2 + k),   z = a x + b,   r a^2 = c2,   b = a c1 / (2 c2),   k = (c0 - c1^2 / (4 c2)) / r

with one value of each a channel. `square` costs a fraction of `x2` on the wire, and what is left over costs nothing:
b goes into a bias, k is added by the server to its own share (so a zero-padded convolution behind still sees zeros at
its borders), and the factors go into weights that the server holds anyway:

    a = sqrt|c2|, r = sign c2    where the layers before take a: linear layers, through sums, averages, sparse products
                                 and concatenations that nothing else reads; if some c2 is negative, the readers take r
    a = 1, r = c2                where only all readers take a factor: linear layers, through averages, reshapes, ...

A value that has other readers, one of them a linear layer (a shortcut), is opened for that one in any case: a factor
for the others is one more server-held layer on the opened value, without a message. Otherwise the node stays `x2`.
"""

from __future__ import annotations

import math

import numpy as np

from moiety.private.graph import Floats, Graph, Node, per_channel
from moiety.private.passes import add_bias, carry, flat, scale_inputs, scale_outputs

__all__ = ["GUARD_BITS", "complete_squares"]

# Fraction bits that the squared value, and the weights that took a factor, keep beyond the others.
GUARD_BITS = 2
# An error of z counts 1/a times what the same error of x counts in x2 (and the weights' rounding r^-1 times), so a
# layer stays x2 if that exceeds 2^GUARD_BITS even with the guard bits: its certificate would hold a b and a k that
# cancel, the wider the smaller c2 is.
LEAST_FACTOR = 2.0 ** -(2 * GUARD_BITS)

Users = dict[Node, list[Node]]


def complete_squares(graph: Graph) -> None:
    """Every `x2` whose factors find a place, from the output to the input: a later one's factor may end in an earlier
    one's coefficients or be read by it."""
    for node in reversed(graph.nodes()):
        if node.kind == "x2":
            complete(graph, node)


def complete(graph: Graph, node: Node) -> None:
    users = graph.consumers()
    (x,) = node.inputs
    c2, c1, c0 = (np.broadcast_to(node.attrs[key].reshape(-1), node.shape[:1]) for key in ("c2", "c1", "c0"))
    constant = (c2 == 0) & (c1 == 0)
    before = np.sqrt(np.abs(c2))
    after = np.where(c2 < 0, -1.0, 1.0)
    readable = absorbs(graph, node, np.ones((*c2.shape, *[1] * (len(node.shape) - 1))), users)
    if not scales(graph, x, users) or not (readable or np.all(after > 0)):
        if not readable:
            return
        before, after, constant = np.ones_like(c2), c2, np.zeros_like(constant)
    if np.any((np.abs(before * after) < LEAST_FACTOR) & ~constant):
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        b = np.where(constant, 0.0, before * c1 / (2 * c2))
        k = np.where(constant, c0, c0 - c1 * c1 / (4 * c2)) / after
    ranked = [c.reshape(-1, *[1] * (len(node.shape) - 1)) for c in (before, b, k, after)]
    before, b, k, after = ranked
    z = scaled(x, before, b, users) if np.any(before != 1) else shifted(x, b, node)
    square = Node("square", [z], node.shape, {}, node.source, node.where, node.paths)
    square.rescaled = (1 / after, -k)
    whole = shifted(square, k, node)
    if whole is not square:
        whole.paths, whole.rescaled = node.paths, (1 / after, np.zeros_like(k))
    graph.replace(node, whole)
    if np.any(after != 1):
        spread(whole, after, graph.consumers(), 0 if np.all(np.abs(after) == 1) else GUARD_BITS)


def is_layer(node: Node) -> bool:
    """Does it multiply its opened input by something that the server holds?"""
    return node.kind == "linear" or (node.kind == "affine" and node.attrs.get("a") is not None)


def shifted(x: Node, b: Floats, like: Node) -> Node:
    """x + b; the server adds it to its share."""
    return Node("affine", [x], x.shape, {"a": None, "b": b}, like.source, like.where) if np.any(b) else x


def note(node: Node, a: Floats, b: Floats) -> None:
    """The node's value v became a * v + b: bounds measured for its modules have to follow."""
    gain, offset = node.rescaled or (np.ones_like(a), np.zeros_like(a))
    node.rescaled = (a * gain, a * offset + b)


# ---- towards the input ----------------------------------------------------------------------------------------------


def scales(graph: Graph, node: Node, users: Users) -> bool:
    """Can this value be had with a factor a channel for one of its readers, at no message?"""
    if len(users[node]) > 1:
        return any(is_layer(user) for user in users[node])
    if node is graph.output:
        return False
    if node.kind == "linear":
        return bool(node.attrs["conv"]["out_channels"] == node.shape[0])
    if is_layer(node):
        return per_channel(node.attrs["a"])
    if node.kind == "x2":
        return True
    if node.kind in ("affine", "sumpool", "spmm", "add", "subtract") or (
        node.kind == "concat" and node.attrs["axis"] == 0
    ):
        return all(scales(graph, x, users) for x in node.inputs)
    return False


def scaled(node: Node, a: Floats, b: Floats, users: Users) -> Node:
    """a * node + b, a and b of shape (channels, 1, ...), for one reader of the node; changes what only it reads."""
    attrs = node.attrs
    if len(users[node]) > 1:
        return Node("affine", [node], node.shape, {"a": a, "b": b, "extra_bits": GUARD_BITS}, node.source, node.where)
    if node.kind in ("sumpool", "spmm"):
        node.inputs = [scaled(node.inputs[0], a, np.zeros_like(b), users)]
        note(node, a, np.zeros_like(b))
        return shifted(node, b, node)
    note(node, a, b)
    if node.kind == "linear":
        channels = node.shape[0]
        one, bias = flat(a, channels), attrs["bias"]
        if bias is not None:
            bias = bias * (one if bias.ndim == 1 else a)
        node.attrs = {
            **attrs,
            "weight": scale_outputs(attrs["weight"], one, attrs["conv"]),
            "bias": add_bias(bias, flat(b, channels), node.shape) if np.any(b) else bias,
            "extra_bits": attrs["extra_bits"] + GUARD_BITS,
        }
    elif node.kind == "affine":
        if "divisor" in attrs:
            node.inputs = [scaled(node.inputs[0], a, b * attrs["divisor"], users)]
        else:
            shift = b if attrs["b"] is None else a * attrs["b"] + b
            if attrs["a"] is None:
                node.inputs = [scaled(node.inputs[0], a, np.zeros_like(b), users)]
                node.attrs = {**attrs, "b": shift}
            else:
                bits = int(attrs.get("extra_bits", 0)) + GUARD_BITS
                node.attrs = {**attrs, "a": a * attrs["a"], "b": shift, "extra_bits": bits}
    elif node.kind == "x2":
        node.attrs = {"c2": a * attrs["c2"], "c1": a * attrs["c1"], "c0": a * attrs["c0"] + b}
    elif node.kind == "concat":
        ends = np.cumsum([x.shape[0] for x in node.inputs])[:-1]
        parts = zip(node.inputs, np.split(a, ends), np.split(b, ends), strict=True)
        node.inputs = [scaled(x, a_part, b_part, users) for x, a_part, b_part in parts]
    else:  # add, subtract: the shift goes into the first
        first, second = node.inputs
        node.inputs = [scaled(first, a, b, users), scaled(second, a, np.zeros_like(b), users)]
    return node


# ---- towards the output ---------------------------------------------------------------------------------------------


def absorbs(graph: Graph, node: Node, factor: Floats, users: Users) -> bool:
    """Can every reader of this value make up for such a factor (its shape counts), at no message?"""
    if node is graph.output:
        return False
    readers = users[node]
    taken = [takes(reader, node, factor) for reader in readers]
    return any(taken) or all(
        carries(reader, factor) and absorbs(graph, reader, carried(factor, reader, node), users) for reader in readers
    )


def takes(reader: Node, node: Node, factor: Floats) -> bool:
    """Does a factor on this value go into what the server multiplies it by?"""
    if reader.kind != "linear":
        return is_layer(reader)
    conv = reader.attrs["conv"]
    if conv["in"] == [1, 1, 1] and conv["in_channels"] == math.prod(node.shape):
        return True
    return per_channel(factor) and bool(conv["in_channels"] == node.shape[0])


def carries(reader: Node, factor: Floats) -> bool:
    """Does a factor on what it reads stay a factor on what it gives?"""
    if reader.kind == "spmm":  # a sum over nodes
        return bool(factor.shape[-1] == 1)
    if reader.kind == "concat":
        return bool(reader.attrs["axis"] == 0)
    return reader.kind in ("reshape", "permute", "upsample", "sumpool") or "divisor" in reader.attrs


def carried(factor: Floats, reader: Node, node: Node) -> Floats:
    """The factor on the reader's output that stands for `factor` on the value it reads."""
    if reader.kind == "concat":
        parts = [factor if x is node else np.ones(1) for x in reader.inputs]
        shapes = [(x.shape[0], *factor.shape[1:]) for x in reader.inputs]
        return np.concatenate([np.broadcast_to(p, s) for p, s in zip(parts, shapes, strict=True)])
    if reader.kind in ("sumpool", "spmm", "affine"):
        return factor
    return carry(factor, reader, node.shape)


def spread(node: Node, factor: Floats, users: Users, bits: int) -> None:
    """Makes the readers of this value multiply it by `factor`, which broadcasts to it; for what `absorbs` allows."""
    taken = {reader: takes(reader, node, factor) for reader in users[node]}
    for reader, here in taken.items():
        attrs = reader.attrs
        more = int(attrs.get("extra_bits", 0)) + bits
        if here and reader.kind == "linear":
            channels = attrs["conv"]["in_channels"]
            array = factor if channels == node.shape[0] else np.broadcast_to(factor, node.shape).reshape(-1)
            weight = scale_inputs(attrs["weight"], flat(array, channels), attrs["conv"])
            reader.attrs = {**attrs, "weight": weight, "extra_bits": more}
        elif here:
            reader.attrs = {**attrs, "a": attrs["a"] * factor, "extra_bits": more}
        elif any(taken.values()):
            layer = {"a": factor, "b": None, "extra_bits": bits}
            own = Node("affine", [node], node.shape, layer, node.source, node.where)
            reader.inputs = [own if x is node else x for x in reader.inputs]
        else:
            moved = carried(factor, reader, node)
            note(reader, 1 / moved, np.zeros_like(moved))
            spread(reader, moved, users, bits)
