"""Interval arithmetic for the range certificate, on the real values that the fixed-point run holds, its unit errors
included.

An `Interval` is a pair of float64 arrays that broadcast to the tensor's shape: usually one value a channel. Every
function below returns a superset of what the operation can produce from a superset of its inputs. Bounds are widened
by 2^-40 of themselves for the rounding of float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moiety.private.graph import Floats
from moiety.private.sparse import Sparse

__all__ = ["Interval", "RangeError", "bits_for", "linear_interval", "sparse_interval"]

SLACK = 2.0**-40


class RangeError(ValueError):
    """The range certificate cannot be made: which tensor, which bound, what to do."""


@dataclass(frozen=True)
class Interval:
    """lo <= value <= hi; `how` as in `Tensor.how`."""

    lo: Floats
    hi: Floats
    how: str

    @property
    def bound(self) -> float:
        """Largest magnitude."""
        return float(max(np.abs(self.lo).max(), np.abs(self.hi).max()))

    @property
    def spread(self) -> float:
        """Largest difference of two values in one channel's (broadcast) interval."""
        return float((self.hi - self.lo).max())

    @property
    def full_spread(self) -> float:
        """Largest difference of any two values."""
        return float(self.hi.max() - self.lo.min())

    def widen(self, amount: float) -> Interval:
        return Interval(self.lo - amount, self.hi + amount, self.how)

    def clip(self, limit: float) -> Interval:
        """Intersection with [-limit, limit], which rests on a measurement."""
        return Interval(np.clip(self.lo, -limit, limit), np.clip(self.hi, -limit, limit), "calibrated")

    def within(self, low: float, high: float) -> Interval:
        """Intersection with what is known of the operation whatever its input."""
        return Interval(np.clip(self.lo, low, high), np.clip(self.hi, low, high), self.how)

    def scaled(self, factor: float) -> Interval:
        ends = (self.lo * factor, self.hi * factor)
        return make(np.minimum(*ends), np.maximum(*ends), self.how)


def make(lo: Floats, hi: Floats, how: str) -> Interval:
    """An interval, widened by float64's rounding."""
    lo, hi = np.asarray(lo, dtype=np.float64), np.asarray(hi, dtype=np.float64)
    return Interval(lo - np.abs(lo) * SLACK, hi + np.abs(hi) * SLACK, how)


def symmetric(bound: float, rank: int, how: str) -> Interval:
    """[-bound, bound] for every element."""
    ones = [1] * rank
    return Interval(np.full(ones, -bound), np.full(ones, bound), how)


def joint(*intervals: Interval) -> str:
    """How a bound that follows from others was obtained."""
    return "calibrated" if any(i.how == "calibrated" for i in intervals) else "proved"


def bits_for(bound: float, fraction: int) -> int:
    """Least k with |v| < 2^(k-1) for integers |v| <= bound * 2^fraction; at least 2."""
    largest = math.floor(bound * 2.0**fraction * (1 + SLACK)) if math.isfinite(bound) else 0
    if not math.isfinite(bound) or largest > 1 << 1000:
        return 1 << 10
    return max(2, largest.bit_length() + 1)


def by_channel(x: Interval, channels: int, shape: Sequence[int]) -> tuple[Floats, Floats]:
    """Per input channel of a convolution, (channels,): least lo, largest hi over space."""
    ends = []
    for array, reduce in ((x.lo, np.min), (x.hi, np.max)):
        if array.ndim and array.shape[0] == channels == shape[0]:
            ends.append(reduce(array.reshape(channels, -1), axis=1))
        elif array.size == 1:
            ends.append(np.full(channels, array.reshape(())))
        else:
            ends.append(reduce(np.broadcast_to(array, shape).reshape(channels, -1), axis=1))
    return ends[0], ends[1]


def linear_interval(
    x: Interval, shape: Sequence[int], weight: Floats, bias: Floats | None, conv: dict[str, Any]
) -> Interval:
    """Of a convolution with these (quantised) weights; `shape`: the input's. (channels,), with a bias map whole."""
    lo, hi = by_channel(x, conv["in_channels"], shape)
    if any(conv["padding"]) or conv["transposed"]:
        # A tap may be absent at a border.
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    groups = conv["groups"]
    w = weight.reshape(*weight.shape[:2], -1)
    if conv["transposed"]:  # (in, out / groups, taps) -> (out, in / groups, taps)
        w = w.reshape(groups, -1, *w.shape[1:]).transpose(0, 2, 1, 3).reshape(conv["out_channels"], -1, w.shape[2])
    positive = np.maximum(w, 0).sum(axis=2).reshape(groups, conv["out_channels"] // groups, -1)
    negative = np.minimum(w, 0).sum(axis=2).reshape(positive.shape)
    lo, hi = lo.reshape(groups, -1, 1), hi.reshape(groups, -1, 1)
    low = (positive @ lo + negative @ hi).reshape(-1)
    high = (positive @ hi + negative @ lo).reshape(-1)
    if bias is None or bias.ndim == 1:
        offset = 0 if bias is None else bias
        return make(low + offset, high + offset, joint(x))
    spread = [-1, *[1] * (bias.ndim - 1)]
    return make(low.reshape(spread) + bias, high.reshape(spread) + bias, joint(x))


def sparse_interval(x: Interval, matrix: Sparse) -> Interval:
    """Of a product with a public matrix on the last axis: one value for all positions of that axis, which the rows of
    the largest and the least sums give."""
    lo, hi = x.lo.min(axis=-1, keepdims=True), x.hi.max(axis=-1, keepdims=True)
    positive, negative = matrix.sums()
    # A row is a sum of weights p >= 0 on values in [lo, hi] and of weights m <= 0: p lo + m hi <= y <= p hi + m lo.
    low = np.minimum(lo * positive.min(), lo * positive.max()) + np.minimum(hi * negative.min(), hi * negative.max())
    high = np.maximum(hi * positive.min(), hi * positive.max()) + np.maximum(lo * negative.min(), lo * negative.max())
    return make(low, high, joint(x))


def quadratic_interval(x: Interval, c2: Floats, c1: Floats, c0: Floats) -> Interval:
    """c2 x^2 + c1 x + c0: values at both ends and at the vertex, if it lies between."""
    ends = [c2 * v * v + c1 * v + c0 for v in (x.lo, x.hi)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        vertex = np.where(c2 != 0, -c1 / (2 * c2), x.lo)
    vertex = np.clip(np.nan_to_num(vertex), x.lo, x.hi)
    ends.append(c2 * vertex * vertex + c1 * vertex + c0)
    return make(np.minimum.reduce(np.broadcast_arrays(*ends)), np.maximum.reduce(np.broadcast_arrays(*ends)), joint(x))


def product_interval(x: Interval, y: Interval) -> Interval:
    ends = np.broadcast_arrays(x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi)
    return make(np.minimum.reduce(ends), np.maximum.reduce(ends), joint(x, y))


def reshaped(x: Interval, shape: Sequence[int], new: Sequence[int]) -> Interval:
    """After a reshape; stays one value a channel where the first axis is kept."""

    def one(array: Floats) -> Floats:
        if array.size == 1:
            return array.reshape([1] * len(new))
        if shape and new and shape[0] == new[0] and all(n == 1 for n in array.shape[1:]):
            return array.reshape(-1, *[1] * (len(new) - 1))
        return np.broadcast_to(array, shape).reshape(new)

    return Interval(one(x.lo), one(x.hi), x.how)


def concatenated(parts: Sequence[Interval], shapes: Sequence[Sequence[int]], axis: int) -> Interval:
    """Along `axis`; other axes stay as compact as they were where that is possible."""

    def one(arrays: list[Floats]) -> Floats:
        full = [
            tuple(s[i] if i == axis or any(a.shape[i] != 1 for a in arrays) else 1 for i in range(len(s)))
            for s in shapes
        ]
        return np.concatenate([np.broadcast_to(a, f) for a, f in zip(arrays, full, strict=True)], axis=axis)

    return Interval(one([p.lo for p in parts]), one([p.hi for p in parts]), joint(*parts))


def collapse(x: Interval) -> Interval:
    """One value a channel: least and largest over the other axes."""
    axes = tuple(range(1, x.lo.ndim))
    hi_axes = tuple(range(1, x.hi.ndim))
    return Interval(x.lo.min(axis=axes, keepdims=True), x.hi.max(axis=hi_axes, keepdims=True), x.how)


def local_interval(
    kind: str, attrs: dict[str, Any], parts: Sequence[Interval], shapes: Sequence[Sequence[int]]
) -> Interval:
    """Of the operations that compute no product with a secret; `shapes`: the inputs'; reshape: attrs["shape"]."""
    x = parts[0]
    if kind == "add":
        return make(x.lo + parts[1].lo, x.hi + parts[1].hi, joint(*parts))
    if kind == "subtract":
        return make(x.lo - parts[1].hi, x.hi - parts[1].lo, joint(*parts))
    if kind == "concat":
        return concatenated(parts, shapes, attrs["axis"])
    if kind == "reshape":
        return reshaped(x, shapes[0], attrs["shape"])
    if kind == "permute":
        return Interval(x.lo.transpose(attrs["axes"]), x.hi.transpose(attrs["axes"]), x.how)
    if kind == "slice":
        index = [slice(None)] * len(shapes[0])
        index[attrs["axis"]] = slice(attrs["start"], attrs["stop"], attrs["step"])
        lo, hi = (a if a.shape[attrs["axis"]] == 1 else a[tuple(index)] for a in (x.lo, x.hi))
        return Interval(lo, hi, x.how)
    if kind == "upsample":
        return collapse(x)
    if kind == "sumpool":
        y = collapse(x)
        if any(attrs["padding"]):
            y = Interval(np.minimum(y.lo, 0), np.maximum(y.hi, 0), y.how)
        return y.scaled(float(attrs["count"]))
    if kind == "pad":
        lo, hi = np.minimum(x.lo, 0), np.maximum(x.hi, 0)
        pairs = [(0, 0) if a == 1 else tuple(p) for a, p in zip(lo.shape, attrs["padding"], strict=True)]
        more = [(0, 0) if a == 1 else tuple(p) for a, p in zip(hi.shape, attrs["padding"], strict=True)]
        return Interval(np.pad(lo, pairs), np.pad(hi, more), x.how)
    raise AssertionError(kind)
