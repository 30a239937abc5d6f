"""Checks that a program is well formed: what the engine relies on and would otherwise compute garbage from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from moiety.private.program import FORMAT_VERSION, Array, Op, Program, ProgramError, Tensor
from moiety.private.sparse import check_pattern

__all__ = ["CONV_FIELDS", "conv_output", "pool_output", "validate"]

CONV_FIELDS = (
    "in_channels",
    "out_channels",
    "groups",
    "in",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "output_padding",
    "transposed",
)
LOCAL_ON_OPENED = ("add", "concat", "reshape", "permute", "slice")


def conv_output(conv: dict[str, Any]) -> tuple[int, int, int]:
    """Spatial extents (3) of a convolution given by the fields of `moiety::ring::ConvShape`."""
    extents = []
    for i in range(3):
        n, k, s, p, d = (conv[key][i] for key in ("in", "kernel", "stride", "padding", "dilation"))
        if conv["transposed"]:
            extents.append((n - 1) * s - 2 * p + d * (k - 1) + conv["output_padding"][i] + 1)
        else:
            extents.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
    return extents[0], extents[1], extents[2]


def pool_output(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Windows along one axis as torch counts them; in `ceil_mode` the last must start in the input or left padding."""
    reach = n + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return reach // stride + 1
    count = -(-reach // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


class Checker:
    """State of one validation; a failure raises `ProgramError` with the operation's number, kind and module path."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.defined: set[int] = set()
        self.layers: list[int] = []
        self.patterns: set[tuple[str, str, int]] = set()

    def fail(self, op: Op, message: str) -> NoReturn:
        where = f" in {op.source}" if op.source else ""
        raise ProgramError(
            f"malformed program, operation %{op.output} = {op.kind}{where}: {message}: compile the model again"
        )

    def need(self, condition: bool, op: Op, message: str) -> None:
        if not condition:
            self.fail(op, message)

    def array(self, op: Op, name: Any, shapes: Sequence[tuple[int, ...]]) -> None:
        """The named array has one of the shapes and the ring's type (without weights: the name is a string)."""
        self.need(isinstance(name, str), op, f"expected the name of an array, found {name!r}")
        if not self.program.has_weights:
            return
        array = self.program.arrays.get(name)
        if array is None:
            raise ProgramError(f"malformed program: array {name!r} of %{op.output} = {op.kind} is missing")
        self.need(array.dtype == self.program.dtype, op, f"{name}: expected {self.program.dtype}, found {array.dtype}")
        self.need(array.shape in shapes, op, f"{name}: expected shape {list(shapes)}, found {array.shape}")

    def run(self) -> None:
        p = self.program
        if p.version != FORMAT_VERSION:
            raise ProgramError(f"expected program version {FORMAT_VERSION}, found {p.version}: compile the model again")
        if p.ring not in (32, 64):
            raise ProgramError(f"expected a ring of 32 or 64 bits, found {p.ring}")
        if not 1 <= p.fraction_bits <= p.ring - 2:
            raise ProgramError(f"expected 1 to {p.ring - 2} fraction bits, found {p.fraction_bits}")
        if p.certificate is None:
            raise ProgramError("the program has no range certificate: results would be undefined; compile it again")
        if not (math.isfinite(p.certificate.input_bound) and p.certificate.input_bound > 0):
            raise ProgramError(f"expected a positive input bound, found {p.certificate.input_bound}")
        if p.output_kind not in ("logits", "class"):
            raise ProgramError(f"expected output kind 'logits' or 'class', found {p.output_kind!r}")
        kinds = [op.kind for op in p.ops]
        if len(kinds) < 2 or kinds[0] != "input" or kinds[-1] != "output":
            raise ProgramError("malformed program: expected `input` first and `output` last")
        count = kinds.count("input")
        if kinds[:count] != ["input"] * count or kinds.count("output") != 1:
            raise ProgramError("malformed program: expected its inputs first, and one output")
        if count > 1 and p.certificate.input_bound != max(op.attrs.get("bound", math.inf) for op in p.inputs):
            raise ProgramError(
                "malformed program: expected the bound of every input, and the largest of them in the certificate"
            )
        for i, t in enumerate(p.tensors):
            self.tensor(i, t)
        for op in p.ops:
            self.operation(op)
        if sorted(self.layers) != list(range(len(self.layers))):
            raise ProgramError(f"malformed program: layers are not numbered 0..{len(self.layers) - 1}: {self.layers}")
        unused = set(p.public) - set(p.public_names)
        if p.has_weights:
            unused |= set(p.arrays) - set(p.array_names)
        if unused:
            raise ProgramError(f"malformed program: arrays that no operation uses: {sorted(unused)}")
        both = set(p.arrays) & set(p.public)
        if both:
            raise ProgramError(f"malformed program: arrays that are public and held by the server: {sorted(both)}")

    def tensor(self, i: int, t: Tensor) -> None:
        p = self.program
        ok = all(isinstance(n, int) and n > 0 for n in t.shape) and 1 <= t.bits <= p.ring and 0 <= t.fraction < p.ring
        if not ok:
            raise ProgramError(f"malformed program, tensor %{i}: shape {t.shape}, {t.bits} bits, scale 2^{t.fraction}")
        if not p.has_weights:
            return
        if t.bound is None or t.how not in ("input", "proved", "calibrated"):
            raise ProgramError(f"tensor %{i} ({t.source}) has no range certificate: compile the model again")
        # The largest integer of a shared value must stay below 2^(bits - 1), so that its sign is its top bit.
        if not 0 <= t.bound * 2.0**t.fraction < 2.0 ** (t.bits - 1):
            raise ProgramError(
                f"tensor %{i} ({t.source}): the certified bound {t.bound:g} at scale 2^{t.fraction} does not fit "
                f"{t.bits} bits: compile the model again with fewer fraction bits, a larger ring or a smaller input"
            )

    def operation(self, op: Op) -> None:
        p = self.program
        count = len(p.tensors)
        self.need(0 <= op.output < count and all(0 <= i < count for i in op.inputs), op, "no such tensor")
        self.need(op.output not in self.defined, op, "its output is defined twice")
        self.need(
            all(i in self.defined for i in op.inputs), op, f"an input of {op.inputs} is used before it is defined"
        )
        check = CHECKS.get(op.kind)
        if check is None:
            self.fail(op, f"unknown kind; this version knows {sorted(CHECKS)}")
        inputs = [p.tensors[i] for i in op.inputs]
        y = p.tensors[op.output]
        opened = any(t.opened for t in inputs)
        if opened:
            self.need(op.kind == "linear" or op.kind in LOCAL_ON_OPENED, op, "does not take an opened tensor")
            self.need(all(t.opened for t in inputs), op, "mixes opened and shared tensors")
        expected = op.kind == "open" or (opened and op.kind != "linear")
        self.need(y.opened == expected, op, f"expected opened={expected}, found {y.opened}")
        try:
            check(self, op, inputs, y)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            self.fail(op, f"an attribute is missing or of a wrong type ({error!r})")
        self.defined.add(op.output)

    def bits(self, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
        """Attribute `bits`: valid in every input, and what the output has."""
        k = op.attrs["bits"]
        self.need(all(t.bits >= k for t in inputs), op, f"expected inputs of at least {k} bits, found {inputs}")
        self.need(y.bits == k, op, f"expected an output of {k} bits, found {y.bits}")


def arity(self: Checker, op: Op, inputs: Sequence[Tensor], n: int) -> None:
    self.need(len(inputs) == n, op, f"expected {n} inputs, found {len(inputs)}")


def check_input(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 0)
    self.need(y.bits == self.program.ring, op, "expected a full-ring output")
    self.need(y.fraction == self.program.fraction_bits, op, "expected the program's fraction bits")
    bound = op.attrs.get("bound", 1.0)
    self.need(isinstance(bound, float) and 0 < bound < math.inf, op, f"expected a positive bound, found {bound!r}")


def check_open(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    self.need(x.bits == y.bits == self.program.ring, op, "expected full-ring tensors")
    self.need((x.shape, x.fraction) == (y.shape, y.fraction), op, "shape or scale differs")


def check_linear(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    conv = op.attrs["conv"]
    self.need(x.opened, op, "expected an opened input")
    self.need(sorted(conv) == sorted(CONV_FIELDS), op, f"expected the fields {CONV_FIELDS}, found {sorted(conv)}")
    a, b, g = conv["in_channels"], conv["out_channels"], conv["groups"]
    self.need(min(a, b, g) > 0 and a % g == 0 and b % g == 0, op, f"{g} groups for {a} and {b} channels")
    self.need(x.size == a * math.prod(conv["in"]), op, f"input {x.shape} does not fit {conv}")
    out = conv_output(dict(conv))
    self.need(min(out) > 0 and y.size == b * math.prod(out), op, f"output {y.shape} does not fit {conv}")
    first, second = (a, b // g) if conv["transposed"] else (b, a // g)
    kernel = tuple(conv["kernel"])
    fits = [(first, second, *kernel[i:]) for i in range(4) if i == 0 or math.prod(kernel[:i]) == 1]
    self.array(op, op.attrs["weight"], fits)
    if op.attrs["bias"] is not None:
        self.array(op, op.attrs["bias"], [(b,), y.shape])
    self.need(y.fraction == x.fraction + op.attrs["weight_fraction"], op, "scale differs from input's plus weight's")
    self.need(y.bits == self.program.ring, op, "expected a full-ring output")
    self.layers.append(op.attrs["layer"])


def check_truncate(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    shift, ring = op.attrs["shift"], self.program.ring
    self.need(x.bits == ring and x.shape == y.shape, op, "expected a full-ring input of the same shape")
    self.need(0 < shift < ring and y.fraction == x.fraction - shift, op, f"shift {shift} does not fit the scales")
    self.need(
        y.bits == ring or y.bits <= ring - shift, op, f"{y.bits} output bits: neither the ring nor <= ring - shift"
    )
    if y.bits == ring and x.bound is not None:
        self.need(x.bound * 2.0**x.fraction < 2.0 ** (ring - 2), op, f"exact truncation needs |y| < 2^{ring - 2}")


def check_compare(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    self.bits(op, inputs, y)
    (x,) = inputs
    self.need((x.shape, x.fraction) == (y.shape, y.fraction), op, "shape or scale differs")
    if op.kind == "hardtanh":
        self.need(op.attrs["low"] < op.attrs["high"], op, "expected low < high")


def check_piecewise(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    self.bits(op, inputs, y)
    (x,), a = inputs, op.attrs
    thresholds, slopes = a["thresholds"], a["slopes"]
    numbers = [*thresholds, *slopes, a["offset"], a["fraction"]]
    self.need(all(type(v) is int and abs(v) < 2**62 for v in numbers), op, "expected whole numbers below 2^62")
    self.need(0 < len(thresholds) == len(slopes), op, f"{len(slopes)} slopes for {len(thresholds)} thresholds")
    self.need(thresholds == sorted(thresholds), op, "expected rising thresholds")
    self.need(x.shape == y.shape and y.fraction == x.fraction + a["fraction"], op, "shape or scale differs")
    if x.bound is not None:
        reach = x.bound * 2.0**x.fraction + max(map(abs, thresholds))
        self.need(reach < 2.0 ** (a["bits"] - 1), op, f"inputs less thresholds do not fit {a['bits']} bits")


def check_pool(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    rank = len(x.shape) - 1
    self.need(1 <= rank <= 3 and len(y.shape) == rank + 1, op, "expected channels and 1 to 3 spatial axes")
    a = op.attrs
    for i, (n, m) in enumerate(zip((1,) * (3 - rank) + x.shape[1:], (1,) * (3 - rank) + y.shape[1:], strict=True)):
        d, c = (a["dilation"][i], a["ceil_mode"]) if op.kind == "maxpool" else (1, False)
        k, s, p = a["kernel"][i], a["stride"][i], a["padding"][i]
        self.need(k > 0 and s > 0 and d > 0 and 0 <= 2 * p <= k, op, f"window {k}, stride {s}, padding {p}")
        self.need(pool_output(n, k, s, p, d, c) == m, op, f"output {y.shape} does not fit input {x.shape}")
    self.need(x.shape[0] == y.shape[0] and x.fraction == y.fraction, op, "channels or scale differ")
    if op.kind == "maxpool":
        self.bits(op, inputs, y)
    else:
        self.need(y.bits <= x.bits and a["count"] == math.prod(a["kernel"]), op, "bits or count do not fit")


def check_extend(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    k = op.attrs["bits"]
    self.need(k <= x.bits and y.bits == self.program.ring, op, "expected k bits in, the full ring out")
    self.need((x.shape, x.fraction) == (y.shape, y.fraction), op, "shape or scale differs")
    if x.bound is not None:
        limit = k - 2 if op.attrs["signed"] else k - 1
        self.need(x.bound * 2.0**x.fraction < 2.0**limit, op, f"expected values below 2^{limit}")


def check_x2(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    self.need(
        x.bits == y.bits == self.program.ring and x.shape == y.shape, op, "expected full-ring tensors of one shape"
    )
    self.need(y.fraction == 2 * x.fraction + op.attrs["coefficient_fraction"], op, "scale does not fit")
    for key in ("c2", "c1", "c0"):
        self.array(op, op.attrs[key], [(x.shape[0],)])


def check_product(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1 if op.kind == "square" else 2)
    a, b = inputs[0], inputs[-1]
    self.need(a.bits == b.bits == y.bits == self.program.ring, op, "expected full-ring tensors")
    self.need(a.shape == b.shape == y.shape and y.fraction == a.fraction + b.fraction, op, "shape or scale differs")


def check_scale(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    add = op.attrs["shift"] if op.kind == "shift_left" else op.attrs["fraction"]
    self.need(add >= 0 and x.shape == y.shape and y.fraction == x.fraction + add, op, "shape or scale differs")
    self.need(y.bits <= min(self.program.ring, x.bits + (add if op.kind == "shift_left" else 0)), op, "too many bits")


def check_rows(self: Checker, op: Op, axis: Sequence[int]) -> tuple[Array, Array]:
    """The operation's public pattern, whose columns are the axis that it acts on."""
    names = [op.attrs[key] for key in ("indptr", "indices")]
    absent = [name for name in names if name not in self.program.public]
    self.need(not absent, op, f"its public arrays {absent} are missing")
    indptr, indices = (self.program.public[name] for name in names)
    self.need(
        indptr.dtype == np.int64 and indices.dtype == np.int32,
        op,
        f"expected pointers of int64 and indices of int32, found {indptr.dtype} and {indices.dtype}",
    )
    self.need(len(axis) > 0, op, "expected an axis to act on")
    found = (*names, axis[0])
    if found not in self.patterns:
        try:
            check_pattern(indptr, indices, axis[0])
        except ValueError as error:
            self.fail(op, str(error))
        self.patterns.add(found)
    return indptr, indices


def check_spmm(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    """A public sparse matrix on the last axis: its pattern, its coefficients, the scale that they add."""
    arity(self, op, inputs, 1)
    (x,) = inputs
    indptr, indices = check_rows(self, op, x.shape[-1:])
    name = op.attrs["values"]
    self.need(name is None or name in self.program.public, op, f"its public arrays {[name]} are missing")
    if name is not None:
        values = self.program.public[name]
        self.need(values.dtype == self.program.dtype, op, f"expected {self.program.dtype} values, found {values.dtype}")
        self.need(values.shape == indices.shape, op, f"expected {indices.size} values, found {values.shape}")
    self.need(y.shape == (*x.shape[:-1], indptr.size - 1), op, f"output {y.shape} does not fit {x.shape}")
    fraction = op.attrs["fraction"]
    self.need(fraction >= 0 and (name is not None or fraction == 0), op, f"coefficients at scale 2^{fraction}")
    self.need(y.fraction == x.fraction + fraction and y.bits <= x.bits, op, "scale or bits differ")


def check_local(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    """add, subtract, concat, reshape, permute, slice, upsample, pad: equal scales, bits = least of the inputs."""
    self.need(len(inputs) >= 1 and all(t.fraction == y.fraction for t in inputs), op, "scales differ")
    self.need(y.bits == min(t.bits for t in inputs), op, "expected the least bits of the inputs")
    self.need(
        local_shape(op, [t.shape for t in inputs], y.shape) == y.shape, op, f"output {y.shape} does not fit inputs"
    )


def local_shape(op: Op, shapes: Sequence[tuple[int, ...]], out: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output of a local operation, () where the inputs do not fit."""
    x, a = shapes[0], op.attrs
    if op.kind in ("add", "subtract"):
        return x if len(shapes) == 2 and shapes[1] == x else ()
    if op.kind == "concat":
        axis = a["axis"]
        rest = {s[:axis] + s[axis + 1 :] for s in shapes}
        return (*x[:axis], sum(s[axis] for s in shapes), *x[axis + 1 :]) if len(rest) == 1 else ()
    if len(shapes) != 1:
        return ()
    if op.kind == "reshape":
        return out if math.prod(x) == math.prod(out) else ()
    if op.kind == "permute":
        return tuple(x[i] for i in a["axes"]) if sorted(a["axes"]) == list(range(len(x))) else ()
    if op.kind == "slice":
        axis, n = a["axis"], len(range(a["start"], a["stop"], a["step"]))
        fits = 0 <= a["start"] < a["stop"] <= x[axis] and a["step"] > 0
        return (*x[:axis], n, *x[axis + 1 :]) if fits else ()
    if op.kind == "upsample":
        return (x[0], *(n * f for n, f in zip(x[1:], a["factors"][4 - len(x) :], strict=True)))
    return tuple(n + before + after for n, (before, after) in zip(x, a["padding"], strict=True))


def check_add_constant(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    self.need((x.shape, x.fraction, x.bits) == (y.shape, y.fraction, y.bits), op, "shape, scale or bits differ")
    self.array(op, op.attrs["value"], [x.shape[:1], x.shape])


def check_argmax(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    axis = op.attrs["axis"]
    self.need(x.shape[:axis] + x.shape[axis + 1 :] == y.shape and y.fraction == 0, op, "shape or scale differs")
    self.need(op.attrs["bits"] <= x.bits, op, "too few input bits")
    self.need(x.shape[axis] <= 2 ** (y.bits - 1), op, "the index does not fit its bits")


def check_output(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    self.need((x.shape, x.fraction, x.bits) == (y.shape, y.fraction, y.bits), op, "shape, scale or bits differ")


def check_extremes(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 1)
    (x,) = inputs
    indptr, indices = check_rows(self, op, x.shape)
    self.need(len(x.shape) == 1, op, f"expected one value a node, found {x.shape}")
    self.need(bool(np.all(np.diff(indptr) > 1)), op, "expected rows of at least two entries")
    self.need(op.attrs["bits"] <= x.bits, op, "too few input bits")
    self.need(0 <= op.attrs["slack"] < 1 << (op.attrs["bits"] - 1), op, "expected a slack that fits the bits")
    self.need((y.shape, y.fraction) == ((2 * indices.size,), 0), op, f"output {y.shape} does not fit the pattern")
    self.need(y.bits == self.program.ring, op, "expected a full-ring output")


def check_sparse_multiply(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    arity(self, op, inputs, 2)
    values, x = inputs
    indptr, indices = check_rows(self, op, x.shape[-1:])
    self.need(values.shape == indices.shape, op, f"expected {indices.size} values, found {values.shape}")
    self.need(y.shape == (*x.shape[:-1], indptr.size - 1), op, f"output {y.shape} does not fit {x.shape}")
    self.need(values.bits == x.bits == y.bits == self.program.ring, op, "expected full-ring tensors")
    self.need(y.fraction == values.fraction + x.fraction, op, "scale differs")


def check_revealed(self: Checker, op: Op, inputs: Sequence[Tensor], y: Tensor) -> None:
    """The least that the Laplacian of the pairs needs."""
    arity(self, op, inputs, 2)
    bits, x = inputs
    indptr, indices = check_rows(self, op, x.shape[-1:])
    weight = self.program.public.get(op.attrs["edge_weights"])
    if weight is None or weight.dtype != np.float64 or weight.shape != (indptr.size - 1,):
        self.fail(op, f"expected public weights of {indptr.size - 1} hyperedges, float64")
    self.need(bool(np.all(weight > 0) and np.all(np.isfinite(weight))), op, "expected positive weights")
    self.need(bool(np.all(np.diff(indptr) > 1)), op, "expected rows of at least two entries")
    self.need((bits.shape, bits.fraction) == ((2 * indices.size,), 0), op, f"{bits.shape} bits do not fit the pattern")
    self.need(x.shape == y.shape and bits.bits == x.bits == y.bits == self.program.ring, op, "shape or bits differ")
    self.need(y.fraction == x.fraction + op.attrs["fraction"], op, "scale differs")
    self.need(all(isinstance(op.attrs[key], bool) for key in ("mediators", "code")), op, "expected a rule")


Check = Callable[[Checker, Op, Sequence[Tensor], Tensor], None]
CHECKS: dict[str, Check] = {
    "input": check_input,
    "open": check_open,
    "linear": check_linear,
    "truncate": check_truncate,
    "relu": check_compare,
    "hardtanh": check_compare,
    "piecewise": check_piecewise,
    "maxpool": check_pool,
    "sumpool": check_pool,
    "extend": check_extend,
    "x2": check_x2,
    "square": check_product,
    "multiply": check_product,
    "scale": check_scale,
    "shift_left": check_scale,
    "spmm": check_spmm,
    "add": check_local,
    "subtract": check_local,
    "concat": check_local,
    "reshape": check_local,
    "permute": check_local,
    "slice": check_local,
    "upsample": check_local,
    "pad": check_local,
    "add_constant": check_add_constant,
    "argmax": check_argmax,
    "extremes": check_extremes,
    "sparse_multiply": check_sparse_multiply,
    "revealed": check_revealed,
    "output": check_output,
}


def validate(program: Program) -> None:
    """Raises `ProgramError` unless `program` is in SSA form, fits its tensors and arrays, and has a certificate."""
    Checker(program).run()
    if program.has_weights:
        for name, array in program.arrays.items():
            if not isinstance(array, np.ndarray):
                raise ProgramError(f"array {name!r}: expected a numpy array, found {type(array).__name__}")
