"""Arithmetic in the rings Z_2^32 and Z_2^64 on NumPy arrays.

The dtype of the arrays, ``uint32`` or ``uint64``, selects the ring; every result is taken mod 2^32 or 2^64. Arrays of
one call share their dtype. ``threads`` is the number of threads, ``None`` for ``MOIETY_NUM_THREADS`` or else the CPUs
of this process. All functions release the GIL. A wrong dtype raises TypeError, a wrong shape or value ValueError.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moiety._core import ring as _ring

__all__ = [
    "adaptive_pool_sum",
    "add",
    "conv",
    "csr_matmul",
    "decode",
    "encode",
    "matmul",
    "multiply",
    "multiply_add",
    "negate",
    "pool_sum",
    "scale",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
    "subtract",
    "sum",
]

Ring = TypeVar("Ring", np.uint32, np.uint64)


def matmul(a: NDArray[Ring], b: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """Matrix product: a (..., k) by b (k, n) or (k,) gives (..., n) or (...,)."""
    _check_rings("matmul", a=a, b=b)
    if a.ndim < 1 or b.ndim not in (1, 2) or a.shape[-1] != b.shape[0]:
        raise ValueError(f"matmul: expected shapes (..., k) and (k, n) or (k,), got {a.shape} and {b.shape}")
    k, n = a.shape[-1], 1 if b.ndim == 1 else b.shape[1]
    rows = a.size // k if k else int(np.prod(a.shape[:-1]))
    c = _ring.matmul(_contiguous(a).reshape(rows, k), _contiguous(b).reshape(k, n), _threads(threads))
    return c.reshape(a.shape[:-1] + b.shape[1:])


def conv(
    x: NDArray[Ring],
    w: NDArray[Ring],
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    transposed: bool = False,
    output_padding: int | Sequence[int] = 0,
    threads: int | None = None,
) -> NDArray[Ring]:
    """Cross-correlation over one to three spatial dimensions, as torch's ``conv{1,2,3}d`` without bias.

    x is (batch, in_channels, *spatial) and w is (out_channels, in_channels // groups, *kernel); with ``transposed``, as
    in ``conv_transpose{1,2,3}d``, w is (in_channels, out_channels // groups, *kernel). ``stride``, ``padding``,
    ``dilation`` and ``output_padding`` are one number or one a dimension.
    """
    _check_rings("conv", x=x, w=w)
    dims = x.ndim - 2
    if dims not in (1, 2, 3) or w.ndim != x.ndim:
        raise ValueError(
            "conv: expected x (batch, channels, *spatial) and w (out, in, *kernel) with the same one to three spatial "
            f"dimensions, got {x.shape} and {w.shape}"
        )
    y = _ring.conv(
        _in_three_dimensions(x, 2),
        _in_three_dimensions(w, 2),
        _extents("conv: stride", stride, dims, 1),
        _extents("conv: padding", padding, dims, 0),
        _extents("conv: dilation", dilation, dims, 1),
        _extents("conv: output_padding", output_padding, dims, 0),
        groups,
        transposed,
        _threads(threads),
    )
    return y.reshape(y.shape[:2] + y.shape[5 - dims :])


def encode(
    x: ArrayLike, fraction_bits: int = 16, ring: Literal[32, 64] = 64, threads: int | None = None
) -> NDArray[np.uint32] | NDArray[np.uint64]:
    """Fixed point: round(x * 2^fraction_bits) mod 2^ring in two's complement, ties to even; the shape of x.

    Raises ValueError that names the first offending index (flat, in C order) and value when one is not finite or
    outside [-2^(ring - 1 - fraction_bits), 2^(ring - 1 - fraction_bits)).
    """
    if ring not in (32, 64):
        raise ValueError(f"encode: expected ring 32 or 64, got {ring!r}")
    values = np.asarray(x)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"encode: expected real numbers, got dtype {values.dtype}")
    if values.dtype not in (np.float32, np.float64):
        if values.dtype.kind in "iu" and values.size and max(int(values.max()), -int(values.min())) > 1 << 53:
            raise ValueError("encode: expected integers that float64 holds exactly, at most 2^53 in absolute value")
        values = values.astype(np.float64)
    kernel: Any = _ring.encode32 if ring == 32 else _ring.encode64
    result: NDArray[np.uint32] | NDArray[np.uint64] = kernel(_contiguous(values), fraction_bits, _threads(threads))
    return result


def decode(x: NDArray[Ring], fraction_bits: int = 16, threads: int | None = None) -> NDArray[np.float64]:
    """The reals that ``encode`` stands for: the signed value of x divided by 2^fraction_bits; the shape of x."""
    _check_rings("decode", x=x)
    return _ring.decode(_contiguous(x), fraction_bits, _threads(threads))


def add(a: NDArray[Ring], b: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """a + b; shapes broadcast."""
    _check_rings("add", a=a, b=b)
    a, b = _broadcast("add", a, b)
    return _ring.add(a, b, _threads(threads))


def subtract(a: NDArray[Ring], b: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """a - b; shapes broadcast."""
    _check_rings("subtract", a=a, b=b)
    a, b = _broadcast("subtract", a, b)
    return _ring.subtract(a, b, _threads(threads))


def multiply(a: NDArray[Ring], b: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """a * b; shapes broadcast."""
    _check_rings("multiply", a=a, b=b)
    a, b = _broadcast("multiply", a, b)
    return _ring.multiply(a, b, _threads(threads))


def multiply_add(a: NDArray[Ring], b: NDArray[Ring], c: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """a * b + c; shapes broadcast."""
    _check_rings("multiply_add", a=a, b=b, c=c)
    a, b, c = _broadcast("multiply_add", a, b, c)
    return _ring.multiply_add(a, b, c, _threads(threads))


def scale(a: NDArray[Ring], factor: int, threads: int | None = None) -> NDArray[Ring]:
    """a * factor; the integer ``factor``, which may be negative, is taken mod 2^32 or 2^64."""
    _check_rings("scale", a=a)
    return _ring.scale(_contiguous(a), int(factor) % (1 << 8 * a.dtype.itemsize), _threads(threads))


def negate(a: NDArray[Ring], threads: int | None = None) -> NDArray[Ring]:
    """-a."""
    _check_rings("negate", a=a)
    return _ring.negate(_contiguous(a), _threads(threads))


def shift_left(a: NDArray[Ring], bits: int, threads: int | None = None) -> NDArray[Ring]:
    """a * 2^bits, 0 <= bits < the ring's width."""
    _check_rings("shift_left", a=a)
    return _ring.shift_left(_contiguous(a), bits, _threads(threads))


def shift_right_logical(a: NDArray[Ring], bits: int, threads: int | None = None) -> NDArray[Ring]:
    """floor(a / 2^bits) of the unsigned value, 0 <= bits < the ring's width."""
    _check_rings("shift_right_logical", a=a)
    return _ring.shift_right_logical(_contiguous(a), bits, _threads(threads))


def shift_right_arithmetic(a: NDArray[Ring], bits: int, threads: int | None = None) -> NDArray[Ring]:
    """floor(a / 2^bits) of the signed value, 0 <= bits < the ring's width."""
    _check_rings("shift_right_arithmetic", a=a)
    return _ring.shift_right_arithmetic(_contiguous(a), bits, _threads(threads))


def sum(x: NDArray[Ring], axis: int, threads: int | None = None) -> NDArray[Ring]:
    """The sum over one axis, which disappears from the shape."""
    _check_rings("sum", x=x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"sum: expected an axis of {x.ndim} dimensions, got {axis}")
    axis %= x.ndim
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    flat = _contiguous(x).reshape(int(np.prod(before)), x.shape[axis], int(np.prod(after)))
    return _ring.sum(flat, _threads(threads)).reshape(before + after)


def pool_sum(
    x: NDArray[Ring],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    threads: int | None = None,
) -> NDArray[Ring]:
    """Sums over windows of x (batch, channels, *spatial), one to three spatial dimensions; padding adds zeros.

    Average pooling without the division, sizes rounded down. ``stride`` defaults to ``kernel``.
    """
    dims = _check_pooled("pool_sum", x)
    size = _extents("pool_sum: kernel", kernel, dims, 1)
    y = _ring.pool_sum(
        _planes(x),
        size,
        size if stride is None else _extents("pool_sum: stride", stride, dims, 1),
        _extents("pool_sum: padding", padding, dims, 0),
        _threads(threads),
    )
    return y.reshape(x.shape[:2] + y.shape[4 - dims :])


def adaptive_pool_sum(x: NDArray[Ring], output: int | Sequence[int], threads: int | None = None) -> NDArray[Ring]:
    """Sums over the windows of torch's adaptive average pooling.

    x (batch, channels, *spatial) gives (batch, channels, *output); ``output`` is one number or one a dimension. Window
    o of n over an extent e covers [floor(o*e/n), ceil((o + 1)*e/n)), so that windows may differ in size.
    """
    dims = _check_pooled("adaptive_pool_sum", x)
    y = _ring.adaptive_pool_sum(_planes(x), _extents("adaptive_pool_sum: output", output, dims, 1), _threads(threads))
    return y.reshape(x.shape[:2] + y.shape[4 - dims :])


def csr_matmul(
    row_start: NDArray[np.integer[Any]],
    column: NDArray[np.integer[Any]],
    values: NDArray[Ring] | None,
    x: NDArray[Ring],
    threads: int | None = None,
) -> NDArray[Ring]:
    """Product of a public sparse matrix in compressed rows with dense x (columns, width) or (columns,).

    Row i has its entries at positions row_start[i] up to row_start[i + 1] of ``column`` (entries,) and ``values``
    (entries,); ``values=None`` stands for ones, as in a graph without weights. Duplicate entries add up. ``column`` is
    read as it is when it is int32 or int64. The kernel is that of `moiety.ops.spmm`.
    """
    _check_rings("csr_matmul", x=x, **({} if values is None else {"values": values}))
    for name, index in (("row_start", row_start), ("column", column)):
        if index.dtype.kind not in "iu" or index.ndim != 1:
            raise TypeError(f"csr_matmul: expected {name} to be a vector of integers, got {index.dtype} {index.shape}")
    if x.ndim not in (1, 2):
        raise ValueError(f"csr_matmul: expected x (columns, width) or (columns,), got {x.shape}")
    columns: Any = np.ascontiguousarray(column, dtype=np.int32 if column.dtype == np.int32 else np.int64)
    y = _ring.csr_matmul(
        np.ascontiguousarray(row_start, dtype=np.int64),
        columns,
        None if values is None else _contiguous(values),
        _contiguous(x).reshape(x.shape[0], x.shape[1] if x.ndim == 2 else 1),
        _threads(threads),
    )
    return y.reshape((len(row_start) - 1, *x.shape[1:]))


def _check_rings(name: str, **arrays: Any) -> None:
    """Arrays of one call must be NumPy arrays of one ring's dtype."""
    dtypes = {}
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype not in (np.uint32, np.uint64):
            got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name}: expected {key} to be a NumPy array of uint32 or uint64, got {got}; see encode()")
        dtypes[key] = array.dtype
    if len(set(dtypes.values())) > 1:
        raise TypeError(f"{name}: expected one ring, got " + ", ".join(f"{k} {v}" for k, v in dtypes.items()))


def _check_pooled(name: str, x: NDArray[Any]) -> int:
    _check_rings(name, x=x)
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{name}: expected x (batch, channels, *spatial) with one to three dimensions, got {x.shape}")
    return x.ndim - 2


def _contiguous(a: NDArray[Any]) -> NDArray[Any]:
    # Not ascontiguousarray, which makes a vector of a scalar.
    return np.asarray(a, order="C")


def _broadcast(name: str, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
    try:
        return [_contiguous(a) for a in np.broadcast_arrays(*arrays)]
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(f"{name}: expected shapes that broadcast together, got {shapes}") from None


def _in_three_dimensions(a: NDArray[Any], leading: int) -> NDArray[Any]:
    """Spatial dimensions filled up to three with extents of 1, in front."""
    return _contiguous(a).reshape(a.shape[:leading] + (1,) * (leading + 3 - a.ndim) + a.shape[leading:])


def _planes(x: NDArray[Any]) -> NDArray[Any]:
    shape = _in_three_dimensions(x, 2).shape
    return _contiguous(x).reshape((shape[0] * shape[1], *shape[2:]))


def _extents(name: str, value: int | Sequence[int], dims: int, fill: int) -> list[int]:
    values = [value] * dims if isinstance(value, int | np.integer) else list(value)
    if len(values) != dims:
        raise ValueError(f"{name}: expected one number or {dims}, got {value}")
    return [fill] * (3 - dims) + [int(v) for v in values]


def _threads(threads: int | None) -> int:
    if threads is None:
        return 0
    if threads < 1:
        raise ValueError(f"threads: expected a positive number or None, got {threads}")
    return threads
