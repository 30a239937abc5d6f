"""The ideal functionality of a program: every operation on the plain integers, one after another.

What the two parties compute equals this up to truncation: here it is the floor, in the secure run the floor or one
more (less than one unit of the result's last bit off). Opening, extension and sharing change no value. A value of
fewer bits than the ring is wrapped to those bits, so an input outside the certified range gives the same kind of
garbage as the secure run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moiety.private.hyperedges import extremes, products
from moiety.private.inputs import split
from moiety.private.program import Op, Program, ProgramError, Tensor
from moiety.private.revealed import laplacians
from moiety.private.validate import conv_output, pool_output

__all__ = ["Trace", "convolve", "plain_convolve", "run"]

Integers = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Trace(NamedTuple):
    """Output (N, *output_shape) and the real value of every tensor, by its number."""

    output: npt.NDArray[Any]
    tensors: dict[int, Floats]


def wrap(x: Integers, bits: int) -> Integers:
    """Signed representative of x mod 2^bits, in the same signed type."""
    drop = 8 * x.dtype.itemsize - bits
    return x if drop == 0 else (x << drop) >> drop


def windows(x: Integers, attrs: Mapping[str, Any], fill: int) -> Integers:
    """(N, C, *space) -> (N, C, D', H', W', window) with `fill` where the padding (and a ceil_mode overhang) is."""
    x = x.reshape(*x.shape[:2], *[1] * (5 - x.ndim), *x.shape[2:])
    kernel, stride, padding = attrs["kernel"], attrs["stride"], attrs["padding"]
    dilation, ceil_mode = attrs.get("dilation", [1, 1, 1]), attrs.get("ceil_mode", False)
    counts, pads, reach = [], [(0, 0), (0, 0)], []
    for i, n in enumerate(x.shape[2:]):
        count = pool_output(n, kernel[i], stride[i], padding[i], dilation[i], ceil_mode)
        reach.append(dilation[i] * (kernel[i] - 1) + 1)
        after = max(0, (count - 1) * stride[i] + reach[i] - n - padding[i])
        pads.append((padding[i], after))
        counts.append(count)
    x = np.pad(x, pads, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3, 4))
    view = view[:, :, :: stride[0], :: stride[1], :: stride[2]][:, :, : counts[0], : counts[1], : counts[2]]
    view = view[..., :: dilation[0], :: dilation[1], :: dilation[2]]
    return view.reshape(*view.shape[:5], -1)


def convolve(x: Integers, weight: Integers, conv: Mapping[str, Any]) -> Integers:
    """Like `plain_convolve`, by the compiled core where it is there."""
    try:
        from moiety import ring
    except ImportError:
        return plain_convolve(x, weight, conv)
    w = np.ascontiguousarray(weight).reshape(*weight.shape[:2], *conv["kernel"])
    options = {key: conv[key] for key in ("stride", "padding", "dilation", "groups", "transposed", "output_padding")}
    return np.asarray(ring.conv(np.ascontiguousarray(x), w, **options))


def plain_convolve(x: Integers, weight: Integers, conv: Mapping[str, Any]) -> Integers:
    """Cross-correlation or its transpose mod the type's ring: x (N, in_channels, *in) unsigned, weight in torch's
    layout.

    Plain numpy: one matrix product for every kernel tap, on shifted views of the input.
    """
    n, groups, out = x.shape[0], conv["groups"], conv["out_channels"]
    kernel, stride, padding, dilation = (conv[key] for key in ("kernel", "stride", "padding", "dilation"))
    target = conv_output(dict(conv))
    w = weight.reshape(*weight.shape[:2], *kernel)
    split = x.reshape(n, groups, -1, *conv["in"])
    if conv["transposed"]:
        # Scatter: input i reaches output i * stride + tap * dilation - padding.
        full = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(conv["in"], stride, dilation, kernel, strict=True)]
        size = [max(f, p + t) for f, p, t in zip(full, padding, target, strict=True)]
        y = np.zeros((n, groups, out // groups, *size), dtype=x.dtype)
        w = w.reshape(groups, -1, out // groups, *kernel)
    else:
        split = np.pad(split, [(0, 0)] * 3 + [(p, p) for p in padding])
        y = np.zeros((n, groups, out // groups, *target), dtype=x.dtype)
        w = w.reshape(groups, out // groups, -1, *kernel).swapaxes(1, 2)
    for tap in np.ndindex(*kernel):
        taps = w[(slice(None), slice(None), slice(None), *tap)]  # (groups, in, out)
        extents = conv["in"] if conv["transposed"] else target
        index: Any = tuple(
            slice(t * d, t * d + (m - 1) * s + 1, s) for t, d, s, m in zip(tap, dilation, stride, extents, strict=True)
        )
        index = (..., *index)
        if conv["transposed"]:
            y[index] += product(taps, split)
        else:
            y += product(taps, split[index])
    if conv["transposed"]:
        crop: Any = (..., *(slice(p, p + t) for p, t in zip(padding, target, strict=True)))
        y = y[crop]
    return np.ascontiguousarray(y).reshape(n, out, *target)


def product(taps: Integers, x: Integers) -> Integers:
    """sum_i taps[g, i, o] * x[n, g, i, ...] -> [n, g, o, ...], mod the type's ring."""
    n, groups, inner = x.shape[:3]
    if inner == 1:  # depthwise
        return taps[None, :, 0, :, None, None, None] * x
    flat = x.reshape(n, groups, inner, -1)
    y = np.matmul(np.ascontiguousarray(taps.swapaxes(1, 2))[None], flat)
    return np.asarray(y.reshape(n, groups, -1, *x.shape[3:]))


class Machine:
    """One run: signed integers by tensor number."""

    def __init__(self, program: Program, x: Floats) -> None:
        self.program = program
        self.signed = np.dtype(np.int32 if program.ring == 32 else np.int64)
        self.batch = x.shape[0]
        integers = np.rint(x * 2.0**program.fraction_bits).astype(self.signed)
        self.values: dict[int, Integers] = {
            op.output: value for op, value in zip(program.inputs, split(program, integers), strict=True)
        }

    def array(self, name: str, tensor: Tensor) -> Integers:
        """A server-held array, (channels,) spread to broadcast against the tensor."""
        array: Integers = self.program.arrays[name].view(self.signed)
        if array.ndim == 1 and len(tensor.shape) > 1:
            return array.reshape(-1, *[1] * (len(tensor.shape) - 1))
        return array

    def linear(self, op: Op, x: Integers, y: Tensor) -> Integers:
        conv = op.attrs["conv"]
        unsigned = self.program.dtype
        data = np.ascontiguousarray(x).view(unsigned).reshape(self.batch, conv["in_channels"], *conv["in"])
        out = convolve(data, self.program.arrays[op.attrs["weight"]], conv)
        value: Integers = out.reshape(self.batch, *y.shape).view(self.signed)
        return value if op.attrs["bias"] is None else value + self.array(op.attrs["bias"], y)

    def sparse(self, op: Op, x: Integers) -> Integers:
        """Row by row: the entries' inputs, times their coefficients, summed up."""
        public = self.program.public
        indptr, indices = (public[op.attrs[key]] for key in ("indptr", "indices"))
        terms = x[..., indices]
        if op.attrs["values"] is not None:
            terms = terms * public[op.attrs["values"]].view(self.signed)
        ends = np.cumsum(terms, axis=-1, dtype=self.signed)  # wraps like the ring
        ends = np.concatenate([np.zeros((*x.shape[:-1], 1), self.signed), ends], axis=-1)
        return np.asarray(ends[..., indptr[1:]] - ends[..., indptr[:-1]])

    def step(self, op: Op) -> Any:
        """The operation's value (signed integers), not yet wrapped to its bits."""
        a, y = op.attrs, self.program.tensors[op.output]
        ins = [self.values[i] for i in op.inputs]
        x = ins[0]
        if "bits" in a:
            x = wrap(x, a["bits"])
        if op.kind == "linear":
            return self.linear(op, x, y)
        if op.kind in ("open", "extend", "output"):
            return x
        if op.kind == "truncate":
            return x >> a["shift"]
        if op.kind == "relu":
            return np.maximum(x, 0)
        if op.kind == "hardtanh":
            return np.clip(x, a["low"], a["high"])
        if op.kind == "piecewise":
            bends = zip(a["thresholds"], a["slopes"], strict=True)
            return sum((self.signed.type(s) * np.maximum(x - t, 0) for t, s in bends), self.signed.type(a["offset"]))
        if op.kind == "maxpool":
            lowest = -(2 ** (self.program.ring - 1))
            return windows(x, a, lowest).max(axis=-1).reshape(self.batch, *y.shape)
        if op.kind == "sumpool":
            return windows(x, a, 0).sum(axis=-1, dtype=self.signed).reshape(self.batch, *y.shape)
        if op.kind == "x2":
            c2, c1, c0 = (self.array(a[key], y) for key in ("c2", "c1", "c0"))
            return (c2 * x + c1) * x + c0
        if op.kind in ("square", "multiply"):
            return x * ins[-1]
        if op.kind == "scale":
            return x * self.signed.type(a["factor"])
        if op.kind == "shift_left":
            return x << a["shift"]
        if op.kind == "spmm":
            return self.sparse(op, x)
        if op.kind in ("extremes", "sparse_multiply"):
            indptr, indices = (self.program.public[a[key]] for key in ("indptr", "indices"))
            if op.kind == "extremes":
                return extremes(x, indptr, indices, a["slack"]).astype(self.signed)
            return products(x, ins[1], indptr, indices)
        if op.kind == "revealed":
            matrices = laplacians(self.program, op, x)
            one = [
                products(m[2].view(self.signed)[None], v[None], m[0], m[1])
                for m, v in zip(matrices, ins[1], strict=True)
            ]
            return np.concatenate(one)
        if op.kind == "add":
            return x + ins[1]
        if op.kind == "subtract":
            return x - ins[1]
        if op.kind == "add_constant":
            return x + self.array(a["value"], y)
        if op.kind == "argmax":
            return np.argmax(x, axis=a["axis"] + 1).astype(self.signed)
        return rearrange(op, ins, y.shape)


def rearrange(op: Op, ins: Sequence[Integers], shape: tuple[int, ...]) -> Any:
    """concat, reshape, permute, slice, upsample, pad."""
    x, a = ins[0], op.attrs
    if op.kind == "concat":
        return np.concatenate(ins, axis=a["axis"] + 1)
    if op.kind == "reshape":
        return x.reshape(x.shape[0], *shape)
    if op.kind == "permute":
        return np.transpose(x, (0, *(i + 1 for i in a["axes"])))
    if op.kind == "slice":
        return x[(slice(None),) * (a["axis"] + 1) + (slice(a["start"], a["stop"], a["step"]),)]
    if op.kind == "upsample":
        for axis, factor in enumerate(a["factors"][5 - x.ndim :], start=2):
            x = np.repeat(x, factor, axis=axis)
        return x
    if op.kind == "pad":
        return np.pad(x, [(0, 0), *map(tuple, a["padding"])])
    raise ProgramError(f"unknown operation {op.kind!r}")


def run(program: Program, x: npt.ArrayLike, trace: bool = False) -> npt.NDArray[Any] | Trace:
    """Evaluates `program` on x (N, *input_shape), floats; for several inputs on a tuple of as many.

    Returns float64 logits (N, *output_shape), or int64 class indices; with `trace` a `Trace` that also holds every
    tensor's real value, by tensor number. Raises ValueError for a wrong shape, values that are not finite or exceed
    the input bound, and for a program without weights.
    """
    if not program.has_weights:
        raise ValueError("this program has no weights: the reference needs the server's program")
    assert program.certificate is not None
    if isinstance(x, tuple):
        x = np.concatenate([np.asarray(part, np.float64).reshape(len(part), -1) for part in x], axis=1)
    data = np.asarray(x, dtype=np.float64)
    if data.shape[1:] != program.input_shape or data.ndim != len(program.input_shape) + 1:
        raise ValueError(f"expected an input of shape (N, {program.input_shape}), found {data.shape}")
    for value, bound in zip(split(program, data), program.input_bounds, strict=True):
        largest = float(np.abs(value).max(initial=0.0))
        if not math.isfinite(largest) or largest > bound:
            raise ValueError(f"expected finite inputs of magnitude at most {bound:g}, found {largest:g}")
    with np.errstate(over="ignore"):
        machine = Machine(program, data)
        last_use = {i: op.output for op in program.ops for i in op.inputs}
        values: dict[int, Floats] = {}
        for op in program.ops:
            if op.kind != "input":
                machine.values[op.output] = wrap(machine.step(op), program.tensors[op.output].bits)
            if trace:
                scale = 2.0 ** -program.tensors[op.output].fraction
                values[op.output] = machine.values[op.output].astype(np.float64) * scale
            for i in set(op.inputs):
                if last_use[i] == op.output:
                    del machine.values[i]
    last = program.ops[-1].output
    result = machine.values[last]
    output: npt.NDArray[Any]
    if program.output_kind == "class":
        output = result.astype(np.int64)
    else:
        output = result.astype(np.float64) * 2.0 ** -program.tensors[last].fraction
    return Trace(output, values) if trace else output
