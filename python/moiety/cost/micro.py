"""Programs of one operator, once or many times over: what a profile runs and what `operator` costs.

| kinds | shape (defaults: `SHAPES`) |
|---|---|
| open, truncate, shift, square, multiply, move | n |
| relu, extend, argmax, output | n, bits |
| x2 | n, channels |
| linear | inputs, outputs |
| conv | channels, filters, size, kernel, stride |
| depthwise | channels, size, kernel, stride |
| maxpool, avgpool | channels, size, kernel, stride; maxpool: bits |
| spmm | channels, nodes, degree |
| piecewise | n, bits, pieces: sigmoid or tanh by comparisons, with the extension of its result |
| polynomial | n, degree (3 or 5): sigmoid or tanh on a bounded range, with the truncations before and behind |

Images are square; padding is kernel // 2 for convolutions and none for pools. Values do not matter to any cost: weights
are random, bounds are zero, and scales are whatever makes a chain a valid program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from moiety.private.program import Certificate, Op, Program, Tensor

__all__ = ["KINDS", "SHAPES", "SIDE_BY_SIDE", "chain", "single"]

_ELEMENTS = {"n": 4096}
_IMAGE = {"channels": 16, "size": 16}
SHAPES: dict[str, dict[str, int]] = {
    **{kind: _ELEMENTS for kind in ("open", "truncate", "shift", "square", "multiply", "move")},
    **{kind: {**_ELEMENTS, "bits": 24} for kind in ("relu", "extend")},
    **{kind: {"n": 10, "bits": 24} for kind in ("argmax", "output")},
    "x2": {**_ELEMENTS, "channels": 16},
    "linear": {"inputs": 128, "outputs": 10},
    "conv": {**_IMAGE, "filters": 16, "kernel": 3, "stride": 1},
    "depthwise": {**_IMAGE, "kernel": 3, "stride": 1},
    "maxpool": {**_IMAGE, "kernel": 2, "stride": 2, "bits": 24},
    "avgpool": {**_IMAGE, "kernel": 2, "stride": 2},
    "spmm": {"channels": 16, "nodes": 1024, "degree": 4},
    "piecewise": {**_ELEMENTS, "bits": 16, "pieces": 8},
    "polynomial": {**_ELEMENTS, "degree": 5},
}
KINDS = tuple(SHAPES)
SIDE_BY_SIDE = ("shift", "argmax", "linear", "conv", "depthwise", "maxpool", "avgpool", "piecewise", "polynomial")
FRACTION = 16


class _Builder:
    """A program under construction; its operators take a tensor's number and return that of their result."""

    def __init__(self, ring: int, shape: tuple[int, ...]) -> None:
        self.ring = ring
        self.tensors = [Tensor(shape, FRACTION, ring, 0.0, "input")]
        self.ops = [Op("input", (), 0)]
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.public: dict[str, np.ndarray[Any, Any]] = {}
        self.layers = 0
        self.random = np.random.default_rng(0)

    def op(self, kind: str, *inputs: int, attrs: Mapping[str, Any] | None = None, **changed: Any) -> int:
        """Appends an operation whose result is like its first input but for `changed`."""
        x, source = self.tensors[inputs[0]], f"{kind}{len(self.ops)}"
        like = {"shape": x.shape, "fraction": x.fraction, "bits": x.bits, "opened": False, **changed}
        self.tensors.append(Tensor(**like, bound=0.0, how="proved", source=source))
        self.ops.append(Op(kind, inputs, len(self.tensors) - 1, attrs or {}, source))
        return len(self.tensors) - 1

    def array(self, *shape: int) -> str:
        name = f"array{len(self.arrays)}"
        values = self.random.integers(0, 1 << 16, shape, np.uint64)
        self.arrays[name] = values.astype(np.uint32 if self.ring == 32 else np.uint64)
        return name

    def layer(self) -> int:
        self.layers += 1
        return self.layers - 1

    def to_integers(self, x: int) -> int:
        """Scale 1, at which products keep their scale."""
        return self.op("truncate", x, fraction=0, attrs={"shift": FRACTION})

    def open(self, x: int) -> int:
        return self.op("open", x, opened=True)

    def product(self, x: int, filters: int, kernel: int, stride: int, groups: int = 1) -> int:
        """A convolution of the opened tensor `x`."""
        channels, size, _ = self.tensors[x].shape
        padding = kernel // 2
        out = (size + 2 * padding - kernel) // stride + 1
        conv = {
            "in_channels": channels,
            "out_channels": filters,
            "groups": groups,
            "in": [1, size, size],
            "kernel": [1, kernel, kernel],
            "stride": [1, stride, stride],
            "padding": [0, padding, padding],
            "dilation": [1, 1, 1],
            "output_padding": [0, 0, 0],
            "transposed": False,
        }
        weight = self.array(filters, channels // groups, kernel, kernel)
        attrs = {"conv": conv, "weight": weight, "bias": None, "weight_fraction": 0, "layer": self.layer()}
        return self.op("linear", x, shape=(filters, out, out), attrs=attrs)

    def x2(self, x: int) -> int:
        channels = self.tensors[x].shape[0]
        arrays = {name: self.array(channels) for name in ("c2", "c1", "c0")}
        return self.op("x2", x, attrs={**arrays, "coefficient_fraction": 0})

    def pool(self, kind: str, x: int, kernel: int, stride: int, bits: int = 0) -> int:
        channels, size, _ = self.tensors[x].shape
        out = (size - kernel) // stride + 1
        attrs: dict[str, Any] = {"kernel": [1, kernel, kernel], "stride": [1, stride, stride], "padding": [0, 0, 0]}
        if kind == "maxpool":
            attrs |= {"bits": bits, "dilation": [1, 1, 1], "ceil_mode": False}
        else:
            attrs |= {"count": kernel * kernel}
        return self.op(kind, x, shape=(channels, out, out), bits=bits or self.ring, attrs=attrs)

    def sparse(self, x: int, degree: int) -> int:
        """A weighted graph with so many random edges a node; all products of a program have the same one."""
        nodes = self.tensors[x].shape[1]
        if not self.public:
            dtype = np.uint32 if self.ring == 32 else np.uint64
            self.public = {
                "indptr": np.arange(0, nodes * degree + 1, degree),
                "indices": self.random.integers(0, nodes, nodes * degree, np.int32),
                "values": self.random.integers(0, 1 << 16, nodes * degree, np.uint64).astype(dtype),
            }
        return self.op("spmm", x, attrs={"indptr": "indptr", "indices": "indices", "values": "values", "fraction": 0})

    def program(self, last: int) -> Program:
        self.op("output", last)
        certificate = Certificate(input_bound=1.0)
        tensors, ops = tuple(self.tensors), tuple(self.ops)
        return Program(self.ring, FRACTION, tensors, ops, self.arrays, certificate, public=self.public)


def _input_shape(kind: str, s: Mapping[str, int]) -> tuple[int, ...]:
    if kind == "x2":
        return s["channels"], s["n"] // s["channels"]
    if kind == "linear":
        return s["inputs"], 1, 1
    if kind == "open":
        return s["n"], 1, 1
    if kind == "spmm":
        return s["channels"], s["nodes"]
    if "channels" in s:
        return s["channels"], s["size"], s["size"]
    return (s["n"],)


def _one(b: _Builder, kind: str, s: Mapping[str, int], x: int) -> int:
    """One operator on `x`, which products and pools of a chain all read; the tensor that the next one reads."""
    bits = s.get("bits", 0)
    match kind:
        case "open":
            # The next opening needs a share again: the cheapest product makes one.
            return b.product(b.open(x), s["n"], 1, 1, groups=s["n"])
        case "truncate":
            return b.op(kind, x, fraction=b.tensors[x].fraction - 1, attrs={"shift": 1})
        case "shift":
            b.op("truncate", x, fraction=FRACTION - 1, bits=b.ring - 1, attrs={"shift": 1})
        case "extend":
            return b.op(kind, x, bits=b.ring, attrs={"bits": bits, "signed": False})
        case "relu":
            return b.op(kind, x, bits=bits, attrs={"bits": bits})
        case "argmax":
            b.op(kind, x, shape=(), fraction=0, bits=b.ring, attrs={"bits": bits, "axis": 0})
        case "square":
            return b.op(kind, x)
        case "multiply":
            return b.op(kind, x, x)
        case "move":
            return b.op("add", x, x)
        case "x2":
            return b.x2(x)
        case "linear":
            b.product(x, s["outputs"], 1, 1)
        case "conv":
            b.product(x, s["filters"], s["kernel"], s["stride"])
        case "depthwise":
            b.product(x, s["channels"], s["kernel"], s["stride"], groups=s["channels"])
        case "maxpool":
            b.pool("maxpool", x, s["kernel"], s["stride"], bits)
        case "avgpool":
            b.pool("sumpool", x, s["kernel"], s["stride"])
        case "spmm":
            return b.sparse(x, s["degree"])
        case "piecewise":
            bends = {"thresholds": [0] * s["pieces"], "slopes": [0] * s["pieces"], "offset": 0, "fraction": 0}
            y = b.op("truncate", x, fraction=0, bits=bits, attrs={"shift": FRACTION})
            y = b.op(kind, y, attrs={"bits": bits, **bends})
            b.op("extend", y, bits=b.ring, attrs={"bits": bits, "signed": False})
        case "polynomial":
            w = b.to_integers(x)
            u = b.op("square", w)
            if s["degree"] == 5:  # w^2 has a truncation of its own
                u = b.op(
                    "truncate", b.op("shift_left", u, fraction=1, attrs={"shift": 1}), fraction=0, attrs={"shift": 1}
                )
                u = b.op("add", b.op("square", u), b.op("scale", u, attrs={"factor": 1, "fraction": 0}))
            y = b.op("shift_left", b.op("multiply", u, w), fraction=FRACTION, attrs={"shift": FRACTION})
            b.op("truncate", y, fraction=0, attrs={"shift": FRACTION})
    return x


def _shape(kind: str, ring: int, given: Mapping[str, int]) -> dict[str, int]:
    if kind not in SHAPES:
        raise ValueError(f"operator is {kind!r}: expected one of {', '.join(KINDS)}")
    if unknown := sorted(set(given) - set(SHAPES[kind])):
        raise ValueError(f"operator {kind} has no {', '.join(unknown)}: expected {', '.join(SHAPES[kind])}")
    s = {**SHAPES[kind], **given}
    if any(isinstance(value, bool) or not isinstance(value, int) or value < 1 for value in s.values()):
        raise ValueError(f"operator {kind}: expected whole numbers of at least 1, got {s}")
    if kind == "polynomial" and s["degree"] not in (3, 5):
        raise ValueError(f"operator {kind}: expected degree 3 or 5, got {s['degree']}")
    if ring not in (32, 64) or s.get("bits", 2) > ring:
        raise ValueError(f"operator {kind}: expected a ring of 32 or 64 bits that holds the values, got {ring}, {s}")
    return s


def chain(kind: str, count: int, *, ring: int = 64, parallel: bool = False, **shape: Any) -> Program:
    """`count` operators of one kind, one after the other, between sharing the input and revealing one value.

    Those that do not fit their own result (`SIDE_BY_SIDE`), or all if `parallel`, read the same tensor each: local ones
    follow each other in time all the same, interactive ones share their rounds. A truncation takes one fraction bit
    each time, so that there can be 16 of them.
    Raises ValueError for a kind or a shape that there is not.
    """
    s = _shape(kind, ring, shape)
    b = _Builder(ring, _input_shape(kind, s))
    x = 0
    if kind in ("open", "square", "multiply", "x2", "move"):
        x = b.to_integers(x)
    if kind in ("linear", "conv", "depthwise"):
        x = b.open(x)
    for _ in range(count):
        made = _one(b, kind, s, x)
        x = x if parallel else made
    share = 0 if b.tensors[x].opened else x
    first = {"axis": 0, "start": 0, "stop": 1, "step": 1}
    return b.program(b.op("slice", share, shape=(1, *b.tensors[share].shape[1:]), attrs=first))


def single(kind: str, *, ring: int = 64, **shape: int) -> Program:
    """One operator on the input; a product with the opening that it needs. Nothing is revealed but by `output`.

    It is there to be costed: the engine runs programs that end in `output`.
    """
    s = _shape(kind, ring, shape)
    b = _Builder(ring, _input_shape(kind, s))
    if kind == "open":
        b.open(0)
    elif kind == "output":
        b.op("output", b.op("truncate", 0, bits=s["bits"], attrs={"shift": 1}))
    else:
        _one(b, kind, s, b.open(0) if kind in ("linear", "conv", "depthwise") else 0)
    tensors, ops = tuple(b.tensors), tuple(b.ops)
    return Program(ring, FRACTION, tensors, ops, b.arrays, Certificate(input_bound=1.0), public=b.public)
