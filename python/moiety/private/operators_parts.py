"""Tensors that were put together from parts: what a recurrence stacks, concatenates or pads, looked at part by part.

Only where one sample is exported (`Builder.single`): there states of many steps are stacked and taken apart again, and
what is computed of a stack is computed of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from moiety.private.graph import Floats, Node
from moiety.private.operators import pad, permute, reshape

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["Part", "concatenate", "parts_of"]

Part = tuple[Node | None, int]  # a tensor, or None for zeros, and its extent along the axis


def parts_of(b: Builder, x: Node, axis: int) -> list[Part] | None:
    """Of which `x` was made along this axis, through permutations, reshapes and sums; None if it was not."""
    key = x, axis
    if key not in b.parted:
        b.parted[key] = find_parts(b, x, axis)
    return b.parted[key]


def find_parts(b: Builder, x: Node, axis: int) -> list[Part] | None:
    if x.kind == "concat" and x.attrs["axis"] == axis:
        return [(part, part.shape[axis]) for part in x.inputs]
    if x.kind == "pad":
        others = [pair for i, pair in enumerate(x.attrs["padding"]) if i != axis]
        before, after = x.attrs["padding"][axis]
        if any(map(sum, others)):
            return None
        own = (x.inputs[0], x.inputs[0].shape[axis])
        return [part for part in ((None, before), own, (None, after)) if part[1]]
    if x.kind == "permute":
        axes = x.attrs["axes"]
        found = parts_of(b, x.inputs[0], axes[axis])
        return None if found is None else [(part and permute(b, part, axes), n) for part, n in found]
    if x.kind == "reshape":
        return of_reshape(b, x, axis)
    if x.kind == "add":
        both = [parts_of(b, term, axis) for term in x.inputs]
        if both[0] is None or both[1] is None or [n for _, n in both[0]] != [n for _, n in both[1]]:
            return None
        return [(total(b, u, v), n) for (u, n), (v, _) in zip(*both, strict=True)]
    if x.kind == "affine" and x.attrs.get("a") is None and x.attrs.get("b") is not None:
        found = parts_of(b, x.inputs[0], axis)
        if found is None or any(part is None for part, _ in found):
            return None
        shift, ends = x.attrs["b"], np.cumsum([0, *(n for _, n in found)])
        shifts: list[Floats] = [
            shift if shift.shape[axis] == 1 else shift.take(range(k, k + n), axis)
            for k, (_, n) in zip(ends, found, strict=False)
        ]
        return [(shifted(b, part, s), n) for (part, n), s in zip(found, shifts, strict=True)]
    return None


def total(b: Builder, x: Node | None, y: Node | None) -> Node | None:
    return x or y if x is None or y is None else b.node("add", [x, y], x.shape)


def shifted(b: Builder, x: Node | None, by: Floats) -> Node:
    assert x is not None
    return b.node("affine", [x], x.shape, a=None, b=by)


def of_reshape(b: Builder, x: Node, axis: int) -> list[Part] | None:
    """Parts along the axis of the input that this one comes from: it may have been merged with those behind it, or
    split into this one and those behind."""
    inner, n = x.inputs[0].shape, x.shape[axis]
    ahead = math.prod(x.shape[:axis])
    for place, m in enumerate(inner):
        if m == 1 or math.prod(inner[:place]) != ahead:
            continue
        found = parts_of(b, x.inputs[0], place)
        merged = [math.prod(inner[place:stop]) for stop in range(place + 1, len(inner) + 1)]
        split = [math.prod(x.shape[axis:stop]) for stop in range(axis + 1, len(x.shape) + 1)]
        if found is None or (n not in merged and m not in split) or any(size * n % m for _, size in found):
            return None
        sizes = [size * n // m for _, size in found]
        return [
            (part and reshape(b, part, replaced(x.shape, axis, size)), size)
            for (part, _), size in zip(found, sizes, strict=True)
        ]
    return None


def replaced(shape: Sequence[int], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def concatenate(b: Builder, parts: Sequence[Part], axis: int) -> Node:
    """The parts along an axis; zeros become the padding of a neighbour."""
    made: list[Node] = []
    before = 0
    for part, size in parts:
        if part is not None:
            made.append(padded(b, part, axis, before, 0))
            before = 0
        elif made:
            made[-1] = padded(b, made[-1], axis, 0, size)
        else:
            before += size
    if len(made) == 1:
        return made[0]
    return b.node("concat", made, replaced(made[0].shape, axis, sum(y.shape[axis] for y in made)), axis=axis)


def padded(b: Builder, x: Node, axis: int, before: int, after: int) -> Node:
    return pad(b, x, [(before, after) if i == axis else (0, 0) for i in range(len(x.shape))])
