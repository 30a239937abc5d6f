"""ATen operators, continued from operators.py: pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Floats, Node
from moiety.private.operators import Refused, handles, need_data, spatial, triple, upsample
from moiety.private.validate import pool_output

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["divide"]

# Entries of the matrix of an irregular adaptive pooling, beyond which it is refused.
MAX_RESAMPLING = 1 << 20


@handles("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    b: Builder, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Node:
    x = need_data(x)
    extents, rank = spatial(x), len(x.shape) - 1
    k = triple(kernel, rank, 1)
    s = triple(stride, rank, 1) if isinstance(stride, int) or len(stride) else k
    p, d = triple(padding, rank, 0), triple(dilation, rank, 1)
    out = [pool_output(*window, ceil_mode) for window in zip(extents, k, s, p, d, strict=True)]
    shape = (x.shape[0], *out[3 - rank :])
    return b.node("maxpool", [x], shape, kernel=k, stride=s, padding=p, dilation=d, ceil_mode=bool(ceil_mode))


@handles("max_pool2d_with_indices", "max_pool3d_with_indices")
def _(b: Builder, x: Any, *args: Any) -> tuple[Node, None]:
    return max_pool(b, x, *args), None


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(
    b: Builder,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Node:
    x = need_data(x)
    extents, rank = spatial(x), len(x.shape) - 1
    k = triple(kernel, rank, 1)
    s = triple(stride, rank, 1) if isinstance(stride, int) or len(stride) else k
    p = triple(padding, rank, 0)
    out = [pool_output(n, k[i], s[i], p[i], 1, False) for i, n in enumerate(extents)]
    if ceil_mode and out != [pool_output(n, k[i], s[i], p[i], 1, True) for i, n in enumerate(extents)]:
        raise Refused("ceil_mode leaves windows of different sizes: pad the input or use another kernel")
    if any(p) and not count_include_pad and not divisor_override:
        raise Refused("count_include_pad=False divides border windows by another number: use count_include_pad=True")
    count = math.prod(k)
    y = b.node("sumpool", [x], (x.shape[0], *out[3 - rank :]), kernel=k, stride=s, padding=p, count=count)
    return divide(b, y, int(divisor_override or count))


def divide(b: Builder, x: Node, divisor: int) -> Node:
    """x / divisor for a public integer."""
    if divisor < 1:
        raise Refused(f"expected a positive divisor, found {divisor}")
    return x if divisor == 1 else b.node("affine", [x], x.shape, a=None, b=None, divisor=divisor)


def regular_windows(x: Node, size: Any) -> tuple[list[int], list[int]]:
    """Kernel = stride of an adaptive pooling whose windows are regular."""
    extents, rank = spatial(x), len(x.shape) - 1
    sizes = [size] * rank if isinstance(size, int) else list(size)
    target = [1] * (3 - rank) + [n if m is None else int(m) for n, m in zip(extents[3 - rank :], sizes, strict=True)]
    if any(n % m for n, m in zip(extents, target, strict=True)):
        raise Refused(f"adaptive pooling of {extents[3 - rank :]} to {sizes} has windows of different sizes")
    return [n // m for n, m in zip(extents, target, strict=True)], target


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d")
def _(b: Builder, x: Any, size: Any) -> Node:
    x = need_data(x)
    rank = len(x.shape) - 1
    extents = spatial(x)
    sizes = [size] * rank if isinstance(size, int) else list(size)
    if all(m is not None and m % n == 0 for n, m in zip(extents[3 - rank :], sizes, strict=True)):
        # At most one element a window (VGG on small images: 1x1 to 7x7): repetition.
        return upsample(b, x, [m // n for n, m in zip(extents[3 - rank :], sizes, strict=True)])
    if any(m is not None and n % m for n, m in zip(extents[3 - rank :], sizes, strict=True)):
        return resample(b, x, sizes)
    k, _ = regular_windows(x, size)
    return avg_pool(b, x, k[3 - rank :])


def resample(b: Builder, x: Node, sizes: Sequence[int | None]) -> Node:
    """Adaptive averages over windows of different sizes: one public matrix over all positions."""
    matrix: Floats = np.ones((1, 1))
    target = [n if m is None else int(m) for n, m in zip(x.shape[1:], sizes, strict=True)]
    for n, m in zip(x.shape[1:], target, strict=True):
        rows = np.zeros((m, n))
        for i in range(m):
            start, stop = i * n // m, -(-(i + 1) * n // m)
            rows[i, start:stop] = 1 / (stop - start)
        matrix = np.asarray(np.kron(matrix, rows), dtype=np.float64)
    if matrix.size > MAX_RESAMPLING:
        raise Refused(f"adaptive pooling of {x.shape[1:]} to {tuple(target)} has too many windows of different sizes")
    return b.node("resample", [x], (x.shape[0], *target), matrix=matrix)


@handles("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _(b: Builder, x: Any, size: Any) -> tuple[Node, None]:
    x = need_data(x)
    k, _ = regular_windows(x, size)
    return max_pool(b, x, k[4 - len(x.shape) :]), None
