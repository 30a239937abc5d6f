"""Exact rewritings of graph models: public numbers go into public matrices, and products find their cheaper order.

`gather_public` comes first, while what the code says is still to be seen; `order_products` last, when all affine maps
have found their layers. In between every server-held matrix stands before the sparse product behind which it stood,
where batch norms and biases reach it as they do in networks without a graph.
"""

from __future__ import annotations

from itertools import product as pairs
from typing import Any

import numpy as np

from moiety.private.graph import Floats, Graph, Node, matrix_conv
from moiety.private.sparse import Sparse, identity

__all__ = ["gather_public", "order_products"]

# What a byte on the link costs, in multiply-adds: of the order of one for every second of a gigabit and a core.
BYTE = 8


def gather_public(graph: Graph) -> None:
    """All that goes before the other passes."""
    if not any(node.kind in ("spmm", "extremes") for node in graph.nodes()):
        return
    changed = True
    while changed:
        changed = any(
            rewrite(graph, node, users)
            for users in [graph.consumers()]
            for node in graph.nodes()
            for rewrite in REWRITINGS
        )
    made: dict[tuple[Node, float], Node] = {}
    for node, readers in graph.consumers().items():
        if is_number(node) and any(beside_matrix(user) for user in readers):
            (x,), factor = node.inputs, number_of(node)
            graph.replace(node, made.setdefault((x, factor), node.like("factor", [x], factor=factor)))


def commutes(node: Node) -> bool:
    """Is it a server-held matrix on the channels of every position apart, so that it commutes with sparse products?"""
    conv = node.attrs["conv"]
    plain = all(conv[key] == [1, 1, 1] for key in ("kernel", "stride")) and conv["groups"] == 1
    return bool(plain and not any(conv["padding"]) and conv["in"][:2] == [1, 1] and len(node.shape) == 2)


def is_number(node: Node) -> bool:
    """A product with a number of the code."""
    return node.kind == "affine" and bool(node.attrs.get("public")) and node.attrs.get("b") is None


def is_multiple(node: Node) -> bool:
    """A product with a number of the code, or a division by a whole one."""
    return is_number(node) or "divisor" in node.attrs


def number_of(node: Node) -> float:
    return 1 / node.attrs["divisor"] if "divisor" in node.attrs else float(node.attrs["a"].flat[0])


def beside_matrix(user: Node) -> bool:
    """A sum with something that a matrix made: no quadratic is written so."""
    return user.kind in ("add", "subtract") and any(x.kind in ("spmm", "factor") for x in user.inputs)


def alone(node: Node, users: dict[Node, list[Node]]) -> bool:
    return len(users[node]) == 1


def scale_matrix(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """c (S x + b) and S (c x) are (c S) x + c b and (c S) x."""
    if not node.inputs:
        return False
    below = node.inputs[0]
    shift = below if below.kind == "affine" and below.attrs.get("a") is None and "divisor" not in below.attrs else None
    product = below if shift is None else shift.inputs[0]
    if is_multiple(node) and product.kind == "spmm" and alone(product, users) and alone(below, users):
        factor = number_of(node)
        attrs = {"sparse": product.attrs["sparse"].scaled(factor)}
        if shift is None:
            graph.replace(node, node.like("spmm", list(product.inputs), **attrs))
        else:
            scaled = Node("spmm", list(product.inputs), product.shape, attrs, product.source, product.where)
            graph.replace(node, node.like("affine", [scaled], a=None, b=factor * shift.attrs["b"]))
        return True
    if node.kind == "spmm" and is_multiple(below):
        node.attrs = {"sparse": node.attrs["sparse"].scaled(number_of(below))}
        node.inputs = list(below.inputs)
        return True
    return False


def as_matrix(node: Node) -> list[tuple[Node, Sparse]]:
    """The node as a public matrix applied to something, in all ways: as a product or multiple of it, and of itself."""
    itself = (node, identity(node.shape[-1]))
    if node.kind == "spmm":
        return [(node.inputs[0], node.attrs["sparse"]), itself]
    if is_multiple(node):
        return [(node.inputs[0], identity(node.shape[-1], number_of(node))), itself]
    return [itself]


def add_matrices(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """S x + T x is (S + T) x, x + S x too: what is added is read by the sum alone, and one term is a matrix's."""
    if node.kind not in ("add", "subtract"):
        return False
    for (base, left), (other, right) in pairs(*map(as_matrix, node.inputs)):
        made = [x for x in node.inputs if x is not base]
        if base is other and any(x.kind == "spmm" for x in made) and all(alone(x, users) for x in made):
            total = left.plus(right if node.kind == "add" else right.scaled(-1.0))
            graph.replace(node, node.like("spmm", [base], sparse=total))
            return True
    return False


def foldable(node: Node, users: dict[Node, list[Node]]) -> bool:
    """Does a factor of channels on it end in server-held layers? A layer is repeated for a reader of its own."""
    if node.kind == "linear":
        return True
    if node.kind == "affine" and ("divisor" in node.attrs or not of_channels(node.attrs["a"])):
        return False
    through = node.kind in ("spmm", "add", "subtract", "affine")
    return through and all(foldable(x, users) and (alone(x, users) or x.kind == "linear") for x in node.inputs)


def of_channels(array: Floats | None) -> bool:
    """The same for all nodes?"""
    return array is None or array.shape[-1] == 1


def pass_affine(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """a (S x) + b is S (a x) + b for factors a of channels, and a (x + y) is a x + a y: a batch norm's way to its
    layers."""
    if node.kind != "affine" or node.attrs.get("a") is None or is_number(node):
        return False
    (below,) = node.inputs
    a, b = node.attrs["a"], node.attrs["b"]
    if below.kind == "linear" or not foldable(below, users) or not alone(below, users) or not of_channels(a):
        return False
    if below.kind == "affine":
        first, shift = below.attrs["a"], below.attrs["b"]
        factor = a if first is None else a * first
        moved_by = b if shift is None else a * shift + (0 if b is None else b)
        graph.replace(node, node.like("affine", list(below.inputs), a=factor, b=moved_by))
        return True
    scaled = [Node("affine", [x], x.shape, {"a": a, "b": None}, node.source, node.where) for x in below.inputs]
    moved = Node(below.kind, scaled, below.shape, below.attrs, below.source, below.where)
    moved.paths = () if b is not None else node.paths
    graph.replace(node, moved if b is None else node.like("affine", [moved], a=None, b=b))
    return True


def moved_layer(layer: Node, x: Node, bias: Floats | None) -> Node:
    """The layer's matrix on another tensor of its channels."""
    conv = layer.attrs["conv"]
    attrs: dict[str, Any] = {**layer.attrs, "bias": bias}
    attrs["conv"] = matrix_conv(conv["in_channels"], conv["out_channels"], x.shape[-1])
    return Node("linear", [x], (conv["out_channels"], x.shape[-1]), attrs, layer.source, layer.where)


def transform_first(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """W (S x) + b is S (W x) + b."""
    if node.kind != "linear" or not commutes(node):
        return False
    (below,) = node.inputs
    if below.kind != "spmm" or not alone(below, users):
        return False
    moved = Node("spmm", [moved_layer(node, below.inputs[0], None)], node.shape, below.attrs, below.source, below.where)
    graph.replace(node, with_bias(node, moved))
    return True


def with_bias(layer: Node, moved: Node) -> Node:
    """What stands for the layer: `moved`, plus the bias that the layer had."""
    bias = layer.attrs["bias"]
    if bias is None:
        moved.paths = layer.paths
        return moved
    return layer.like("affine", [moved], a=None, b=bias.reshape(-1, 1) if bias.ndim == 1 else bias)


def share_base(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """W (a x + S x) + b is (W a) x + S (W x) + b with factors a that are held by the server: both read one opening."""
    if node.kind != "linear" or not commutes(node) or node.inputs[0].kind != "add" or not alone(node.inputs[0], users):
        return False
    terms = node.inputs[0].inputs
    for own, other in (terms, terms[::-1]):
        if other.kind != "spmm" or own.kind != "affine" or own.attrs.get("a") is None or is_number(own):
            continue
        if own.inputs[0] is not other.inputs[0] or not (alone(own, users) and alone(other, users)):
            continue
        first = moved_layer(node, own, node.attrs["bias"])
        second = Node("spmm", [moved_layer(node, other.inputs[0], None)], node.shape, other.attrs, node.source)
        graph.replace(node, node.like("add", [first, second]))
        return True
    return False


def lift_affine(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """a reshape(W x) is reshape(a' W x) where a' is one value a channel of W x: attention's vectors enter its layer."""
    if node.kind != "affine" or node.attrs.get("a") is None or is_number(node):
        return False
    shape_of = node.inputs[0]
    if shape_of.kind != "reshape" or shape_of.inputs[0].kind != "linear":
        return False
    (x,) = shape_of.inputs
    if x.shape[-1] != node.shape[-1] or not (of_channels(node.attrs["a"]) and of_channels(node.attrs["b"])):
        return False
    attrs: dict[str, Any] = {}
    for key in ("a", "b"):
        array = node.attrs[key]
        if array is not None:  # the same for all nodes, so one of them tells
            array = np.broadcast_to(array, (*node.shape[:-1], 1)).reshape(-1, *[1] * (len(x.shape) - 1))
        attrs[key] = array
    lifted = Node("affine", [x], x.shape, attrs, node.source, node.where)
    graph.replace(node, node.like("reshape", [lifted]))
    return True


def merge_layers(graph: Graph, node: Node, users: dict[Node, list[Node]]) -> bool:
    """V (W x + b) is (V W) x + V b: a matrix in place of an opening, where it is not much larger than both."""
    below = node.inputs[0] if node.inputs else node
    if any(x.kind != "linear" or not commutes(x) for x in (node, below)) or below is node:
        return False
    (outs, middle), ins = node.attrs["weight"].shape[:2], below.attrs["weight"].shape[1]
    apart = middle * (outs + 8 * BYTE) + (ins * middle if alone(below, users) else 0)
    inner, bias = below.attrs["bias"], node.attrs["bias"]
    if (ins * outs > apart and not node.attrs.get("merge")) or any(b is not None and b.ndim > 1 for b in (inner, bias)):
        return False
    second = node.attrs["weight"].reshape(outs, middle)
    if inner is not None:
        bias = second @ inner + (0 if bias is None else bias)
    merged = moved_layer(below, below.inputs[0], bias)
    merged.attrs["conv"] = matrix_conv(ins, outs, node.shape[-1])
    merged.attrs["weight"] = (second @ below.attrs["weight"].reshape(middle, ins)).reshape(outs, ins, 1, 1, 1)
    merged.shape, merged.source, merged.where, merged.paths = node.shape, node.source, node.where, node.paths
    graph.replace(node, merged)
    return True


def order_products(graph: Graph) -> None:
    """S (W x) becomes (S x) W where that costs less: in multiply-adds, and in what is opened for W.

    The opened tensor is x in the first order, unless other layers open it in any case, and S x in the second.
    """
    changed = True
    while changed:
        changed = False
        users = graph.consumers()
        for node in graph.nodes():
            layer = node.inputs[0] if node.inputs else None
            if node.kind != "spmm" or layer is None or layer.kind != "linear":
                continue
            if not commutes(layer) or not alone(layer, users) or not aggregates_first(layer, node, users):
                continue
            matrix, bias = node.attrs["sparse"], layer.attrs["bias"]
            if bias is not None:  # S (W x + b): a node sees b as often as its row adds up to
                bias = bias.reshape(-1, 1) * np.add(*matrix.sums())
            x = layer.inputs[0]
            below = Node("spmm", [x], (*x.shape[:-1], matrix.rows), node.attrs, node.source, node.where)
            moved = moved_layer(layer, below, bias)
            moved.paths = node.paths
            graph.replace(node, moved)
            changed = True
            break


def aggregates_first(layer: Node, above: Node, users: dict[Node, list[Node]]) -> bool:
    x, matrix, conv = layer.inputs[0], above.attrs["sparse"], layer.attrs["conv"]
    if layer.attrs["bias"] is not None and layer.attrs["bias"].ndim > 1:
        return False
    ins, outs = conv["in_channels"], conv["out_channels"]
    opened = any(user.kind == "linear" or user.attrs.get("a") is not None for user in users[x] if user is not layer)
    word = 8 * BYTE
    now = (0 if opened else word * matrix.columns * ins) + ins * outs * matrix.columns + matrix.entries * outs
    then = word * matrix.rows * ins + ins * outs * matrix.rows + matrix.entries * ins
    return bool(then < now)


REWRITINGS = (scale_matrix, add_matrices, pass_affine, transform_first, share_base, lift_affine, merge_layers)
