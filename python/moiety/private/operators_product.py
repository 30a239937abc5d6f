"""ATen operators, continued from operators.py: products of tensors along any axes, and recurrent cells made of them.

A product with a constant is a server-held linear layer, whichever axes it sums over: `contract` brings them into the
form of a grouped 1x1 convolution. Axes that both have and the result keeps are groups (weights of each node's own),
axes of the constant alone are output channels, axes of the data alone are positions.

Where the data were put together from parts (`cat`, `stack`), the product is taken of each part: states of a recurrence
are then opened once, as they arise, for all that reads them, and a step waits for its own states only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Floats, Node, matrix_conv
from moiety.private.operators import Refused, constant, gate, handles, is_data, linear, need_data, permute, reshape
from moiety.private.operators_parts import concatenate, parts_of
from moiety.private.operators_shape import add, align, cut, multiply
from moiety.private.sparse import Sparse

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["contract"]


def contract(b: Builder, x: Node, w: Floats, of_x: str, of_w: str, out: str, mixing: bool = False) -> Node:
    """einsum("of_x,of_w->out") of data and a constant; a letter stands for an axis of the sample.

    mixing: the constant multiplies from the left, and so mixes the nodes of a graph, which may be public.
    """
    if set(of_x) - set(of_w) - set(out) or len({*of_x}) < len(of_x) or len({*of_w}) < len(of_w):
        raise Refused(
            f"the product {of_x},{of_w}->{out}: an axis that one operand alone has must be in the result once"
        )
    for axis, letter in enumerate(of_x):
        found = parts_of(b, x, axis) if b.single else None
        if found is not None:
            return of_parts(b, found, letter, w, of_x, of_w, out, mixing)
    spare = [i for i, letter in enumerate(of_w) if letter not in of_x + out]
    w, of_w = w.sum(axis=tuple(spare)), "".join(letter for letter in of_w if letter in of_x + out)
    groups = [letter for letter in of_x if letter in of_w and letter in out]
    summed = [letter for letter in of_x if letter in of_w and letter not in out]
    free = [letter for letter in of_x if letter not in of_w]
    made = [letter for letter in of_w if letter not in of_x]
    sizes = dict(zip(of_x + of_w, (*x.shape, *w.shape), strict=True))

    def count(letters: Sequence[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    g, i, o, n = (count(letters) for letters in (groups, summed, made, free))
    weight = np.transpose(w, [of_w.index(letter) for letter in groups + made + summed]).reshape(g * o, i)
    if mixing and not groups and b.adjacency == "public":
        nodes_last = reshape(b, permute(b, x, [of_x.index(v) for v in free + summed]), (n, i))
        y = b.once("spmm", nodes_last, (n, o), weight, sparse=sparse_of(weight))
        order = free + made
    else:
        order = groups + summed + free
        channels = reshape(b, permute(b, x, [of_x.index(v) for v in order]), (g * i, n))
        attrs = {"conv": matrix_conv(g * i, g * o, n, g), "weight": weight.reshape(g * o, i, 1, 1, 1)}
        y = b.once("linear", channels, (g * o, n), weight, **attrs, bias=None, extra_bits=0)
        order = groups + made + free
    y = reshape(b, y, [sizes[letter] for letter in order])
    return permute(b, y, [order.index(letter) for letter in out])


def sparse_of(matrix: Floats) -> Sparse:
    """A matrix of numbers that anybody may see, without its zeros."""
    rows, columns = np.nonzero(matrix)
    ends = np.searchsorted(rows, np.arange(matrix.shape[0] + 1))
    return Sparse(ends.astype(np.int64), columns.astype(np.int64), matrix[rows, columns], matrix.shape[1])


def of_parts(
    b: Builder,
    found: Sequence[tuple[Node | None, int]],
    letter: str,
    w: Floats,
    of_x: str,
    of_w: str,
    out: str,
    mixing: bool,
) -> Node:
    """The product where axis `letter` of the data is made of parts (None: zeros): their sum if it is summed over."""
    starts, terms = np.cumsum([0, *(size for _, size in found)]), []
    for (part, size), start in zip(found, starts, strict=False):
        own = w.take(range(start, start + size), axis=of_w.index(letter)) if letter in of_w else w
        terms.append((None if part is None else contract(b, part, own, of_x, of_w, out, mixing), size))
    whole = [y for y, _ in terms if y is not None]
    if letter in out:
        return concatenate(b, terms, out.index(letter))
    total = whole[0]
    for y in whole[1:]:
        total = b.node("add", [total, y], total.shape)
    return total


def secret(b: Builder, x: Node, y: Node, of_x: str, of_y: str, out: str) -> Node:
    """The same of two private tensors: a product for every element of both, summed up over what the result lacks."""
    if set(out) - set(of_x + of_y) or len({*of_x}) < len(of_x) or len({*of_y}) < len(of_y):
        raise Refused(f"the product {of_x},{of_y}->{out}: diagonals are not supported")
    summed = [letter for letter in dict.fromkeys(of_x + of_y) if letter not in out]
    order = [*out, *summed]
    spread = []
    for node, letters in ((x, of_x), (y, of_y)):
        z = permute(b, node, [letters.index(letter) for letter in order if letter in letters])
        sizes = dict(zip(letters, node.shape, strict=True))
        spread.append(reshape(b, z, [sizes.get(letter, 1) for letter in order]))
    product = multiply(b, *align(b, *spread))
    if not summed:
        return product
    shape, count = product.shape[: len(out)], math.prod(product.shape[len(out) :])
    rows = reshape(b, product, (math.prod(shape), count))
    attrs: dict[str, Any] = {"kernel": [1, 1, count], "stride": [1, 1, count], "padding": [0, 0, 0]}
    return reshape(b, b.node("sumpool", [rows], (rows.shape[0], 1), count=count, **attrs), shape)


def einsum(b: Builder, x: Any, y: Any, of_x: str, of_y: str, out: str) -> Node:
    """Of operands whose letters count the batch, where there is one."""
    if b.whole:
        raise Refused("the nodes of a graph are mixed by moiety.ops.spmm only")
    if not b.single:
        batch = {letters[0] for value, letters in ((x, of_x), (y, of_y)) if is_data(value)}
        if len(batch) != 1 or out[:1] not in batch or (not is_data(x, y) and batch & set(of_y if is_data(x) else of_x)):
            raise Refused(f"the product {of_x},{of_y}->{out} does not keep the batch as axis 0")
        of_x, of_y, out = (letters[1:] if letters[:1] in batch else letters for letters in (of_x, of_y, out))
    if is_data(x, y):
        return secret(b, x, y, of_x, of_y, out)
    if is_data(y):
        return contract(b, y, constant(x, "first factor"), of_y, of_x, out, mixing=True)
    return contract(b, need_data(x), constant(y, "second factor"), of_x, of_y, out)


@handles("einsum")
def _(b: Builder, equation: str, operands: Sequence[Any], **_: Any) -> Node:
    terms, arrow, out = equation.replace(" ", "").partition("->")
    letters = terms.split(",")
    if not arrow or "." in equation or len(operands) != 2 or len(letters) != 2:
        raise Refused(f"expected two operands and a written-out result without '...', found {equation!r}")
    return einsum(b, operands[0], operands[1], letters[0], letters[1], out)


def rank_of(b: Builder, x: Any) -> int:
    return len(x.shape) + (is_data(x) and not b.single)


@handles("bmm")
def bmm(b: Builder, x: Any, y: Any) -> Node:
    return einsum(b, x, y, "bij", "bjk", "bik")


@handles("mv")
def _(b: Builder, x: Any, y: Any) -> Node:
    return einsum(b, x, y, "ij", "j", "i")


@handles("baddbmm")
def _(b: Builder, base: Any, x: Any, y: Any, beta: float = 1, alpha: float = 1) -> Any:
    if b.is_zero(x) or b.is_zero(y):
        return base if beta == 1 else multiply(b, base, beta)
    product = bmm(b, x, y)
    product = product if alpha == 1 else multiply(b, product, alpha)
    if b.is_zero(base) or beta == 0:
        return product
    return add(b, product, base if beta == 1 else multiply(b, base, beta))


@handles("mm", "matmul")
def matmul(b: Builder, x: Any, y: Any) -> Node:
    """numpy's rules: the last axis of x with the last but one of y, axes before them in pairs."""
    if is_data(x) and not is_data(y) and not b.single and y.dim() == 2:
        return linear(b, x, constant(y, "second factor").T)
    p, q = rank_of(b, x), rank_of(b, y)
    before = ascii_letters[3 : 1 + max(p, q)]
    of_x = before[len(before) - max(p - 2, 0) :] + "ab"[-min(p, 2) :]
    of_y = before[len(before) - max(q - 2, 0) :] + "bc"[: min(q, 2)]
    return einsum(b, x, y, of_x, of_y, before + "a" * (p > 1) + "c" * (q > 1))


@handles("gru_cell")
def _(b: Builder, x: Any, h: Any, w_x: Any, w_h: Any, b_x: Any = None, b_h: Any = None) -> Node:
    """r, z = s(W x + U h + b), n = tanh(W x + b + r (U h + b)), h' = n + z (h - n)."""
    x = need_data(x)
    hidden = w_h.shape[1]
    of_x = thirds(b, x, w_x, b_x)
    if b.is_zero(h):
        of_h: Sequence[Any] = [None] * 3 if b_h is None else b_h.split(hidden)
    else:
        of_h = thirds(b, need_data(h), w_h, b_h)
    r, z = (named(b, "sigmoid", u if v is None else add(b, u, v)) for u, v in zip(of_x[:2], of_h[:2], strict=True))
    n = named(b, "tanh", of_x[2] if of_h[2] is None else add(b, of_x[2], multiply(b, r, of_h[2])))
    return add(b, n, multiply(b, z, multiply(b, n, -1.0) if b.is_zero(h) else add(b, h, n, -1)))


def thirds(b: Builder, x: Node, w: Any, bias: Any) -> list[Node]:
    """Of W x + bias, cut along the last axis."""
    y = matmul(b, x, w.t())
    y = y if bias is None else add(b, y, bias)
    hidden = w.shape[0] // 3
    return [cut(b, y, len(y.shape) - 1, k * hidden, (k + 1) * hidden) for k in range(3)]


def named(b: Builder, function: str, x: Node) -> Node:
    b.operator = function
    return gate(b, x)
