"""One party's run of a program: local operations in NumPy, protocols in the core.

Who learns what: the server sees opened tensors x - B (uniform) and masked values; the client sees masked values and
the output. Meaning of every operation: docs/engine.md.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from moiety import ring as kernels
from moiety._core import mpc

from .flow import run_flow
from .inputs import check_magnitudes, split
from .plan import Plan, layers, pattern, pool_axes
from .program import Op, Program, ProgramError, Tensor
from .revealed import laplacians

__all__ = ["Inference", "OutOfRangeError", "weight_masks", "weight_sizes", "weights"]

Share = npt.NDArray[Any]


class OutOfRangeError(ValueError):
    """The input drove a value out of its certified range, so that the output would be undefined. There is no output."""


def weights(program: Program) -> list[Share]:
    """The server's weights W by layer, flat and contiguous. Raises `ProgramError` for a program without weights."""
    if not program.has_weights:
        raise ProgramError(
            "expected the server's program, got one without weights: load the file that compile(...).save wrote"
        )
    return [
        np.ascontiguousarray(program.arrays[name], dtype=program.dtype).reshape(-1) for _, name, _ in layers(program)
    ]


def weight_sizes(program: Program) -> list[int]:
    """Elements of each layer's weight."""
    return [size for _, _, size in layers(program)]


def weight_masks(program: Program, weight_seed: bytes) -> list[Share]:
    """E = W - A by layer, which the server sends to a client once per weight epoch (docs/engine.md, 3.1)."""
    return [w - mpc.weight_mask(program.ring, weight_seed, layer, w.size) for layer, w in enumerate(weights(program))]


class Inference:
    """One run of `program` on one batch; `party` has been loaded with `plan` and fed with all its correlations."""

    def __init__(self, program: Program, plan: Plan, party: Any) -> None:
        self.program = program
        self.plan = plan
        self.party = party
        self.server = party.server
        self._values: dict[int, Share | None] = {}
        self._tasks: dict[int, int] = {}
        self._violations: dict[int, int] = {}
        self._output: Share | None = None
        self._operators: dict[str, dict[str, float]] = defaultdict(
            lambda: {"calls": 0, "bytes_sent": 0, "rounds": 0, "cpu_seconds": 0.0}
        )
        self._batch = plan.batch

    def run(self, x: npt.ArrayLike | None) -> npt.NDArray[np.float32] | None:
        """Client: `x` is float32 (batch, *input_shape), the result the real-valued output (or int64-valued class
        indices as float32). Server: `x` is None and so is the result.

        Raises ValueError for an input of another shape, dtype or magnitude, OutOfRangeError where a checked program
        left its range, ProtocolError when the peer fails.
        """
        self._take(x)

        def release(tensor: int) -> None:
            self._values.pop(tensor, None)

        run_flow(self.program, self._start, self._hop, release)
        self._verdict()
        if self.server:
            return None
        assert self._output is not None
        return self._decode(self._output)

    def stats(self) -> dict[str, Any]:
        """Counters by kind of operation; "channel" is the time spent sending and receiving merged hops."""
        operators = {kind: dict(entry) for kind, entry in self._operators.items()}
        operators["channel"] = {"cpu_seconds": self.party.hop_cpu_seconds}
        return {"operators": operators, "rounds": self.party.rounds}

    # Input and output

    def _take(self, x: npt.ArrayLike | None) -> None:
        """The shares of the inputs: the client's are the inputs, the server's zero."""
        encoded = None if self.server else self._encode(x)
        for i, op in enumerate(self.program.inputs):
            self._values[op.output] = None if encoded is None else encoded[i]

    def _encode(self, x: npt.ArrayLike | None) -> list[Share]:
        shape = (self._batch, *self.program.input_shape)
        array = np.asarray(x)
        if array.shape != shape:
            raise ValueError(f"expected an input of shape {shape}, got {array.shape}")
        if array.dtype.kind != "f":
            raise ValueError(f"expected a floating-point input, got {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError("the input has values that are not finite")
        check_magnitudes(self.program, array)
        ring = cast(Literal[32, 64], self.program.ring)
        return [kernels.encode(v, self.program.fraction_bits, ring) for v in split(self.program, array)]

    def _decode(self, output: Share) -> npt.NDArray[np.float32]:
        tensor = self.program.tensors[self.program.ops[-1].inputs[0]]
        if self.program.output_kind == "class":
            return output.astype(np.float32)
        spare = self.program.ring - tensor.bits
        signed = np.dtype(f"int{self.program.ring}")
        values = (output << output.dtype.type(spare)).view(signed) >> signed.type(spare)
        real: npt.NDArray[np.float32] = np.ldexp(values.astype(np.float64), -tensor.fraction).astype(np.float32)
        return real

    # Execution

    def _hop(self) -> list[int]:
        self.party.step()
        finished = []
        for index, task in list(self._tasks.items()):
            if self.party.done(task):
                self._finish(index, task)
                finished.append(index)
        return finished

    def _finish(self, index: int, task: int) -> None:
        del self._tasks[index]
        self._count(self.program.ops[index].kind, task)
        result = self.party.result(task)
        op = self.program.ops[index]
        if op.kind == "output":
            self._output = result.reshape(self._batch, *self.program.output_shape)
        elif op.kind == "open" and not self.server:
            self._values[op.output] = None
        elif op.kind == "sparse_multiply":
            rows = self.program.tensors[op.output].shape[-1]
            self._values[op.output] = nodes_last(result.reshape(self._batch, rows, -1), self._shape(op.output))
        elif op.kind == "revealed":
            self._values[op.output] = self._smooth(op, result.reshape(self._batch, -1))
        else:
            self._values[op.output] = result.reshape(self._batch, *self.program.tensors[op.output].shape)

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return (self._batch, *self.program.tensors[tensor].shape)

    def _smooth(self, op: Op, bits: Share) -> Share:
        """The Laplacian of pairs that both parties know now, sample by sample, on this party's share."""
        matrices = laplacians(self.program, op, bits)
        shares = zip(matrices, self._share(op.inputs[1]), strict=True)
        return np.stack([apply_sparse(*matrix, x) for matrix, x in shares])

    def _count(self, kind: str, task: int) -> None:
        sent, _, rounds, seconds = self.party.stats(task)
        entry = self._operators[kind]
        entry["calls"] += 1
        entry["bytes_sent"] += sent
        entry["rounds"] += rounds
        entry["cpu_seconds"] += seconds

    def _start(self, index: int) -> bool:
        op = self.program.ops[index]
        task = self._protocol(index, op)
        if index in self.plan.checks:
            self._start_check(index, op)
        if task is None:
            before = mpc.process_cpu_seconds()
            self._values[op.output] = self._local(index, op)
            entry = self._operators[op.kind]
            entry["calls"] += 1
            entry["cpu_seconds"] += mpc.process_cpu_seconds() - before
            return True
        self._tasks[index] = task
        if self.party.done(task):
            self._finish(index, task)
            return True
        return False

    def _protocol(self, index: int, op: Op) -> int | None:
        """Starts the protocol of an interactive operation; None for a local one."""
        party, tensors = self.party, self.program.tensors
        first = self.plan.first.get(index, -1)
        # Windows of one element, or one class, leave nothing to compare and have no request.
        if first < 0 and op.kind not in ("output", "maxpool", "argmax", "revealed"):
            return None
        x = self._share(op.inputs[0])
        task: int | None = None
        match op.kind:
            case "open":
                task = party.open(first, x)
            case "truncate":
                task = party.truncate(first, x, op.attrs["shift"])
            case "extend":
                task = party.extend(first, x, op.attrs["bits"], op.attrs["signed"])
            case "relu":
                task = party.relu(first, x)
            case "hardtanh":
                task = party.hardtanh(first, x, op.attrs["low"], op.attrs["high"])
            case "piecewise":
                a = op.attrs
                task = party.piecewise(first, x, a["thresholds"], a["slopes"], a["offset"])
            case "maxpool":
                channels, axes = pool_axes(op, tensors[op.inputs[0]], tensors[op.output])
                task = party.maxpool(first, x, self._batch * channels, axes)
            case "argmax":
                task = self._argmax(first, x, op)
            case "extremes":
                indptr, indices = pattern(self.program, op)
                task = party.extremes(first, x, indptr, indices, x.shape[-1], op.attrs["slack"])
            case "sparse_multiply":
                task = party.sparse_multiply(first, x, nodes_first(self._share(op.inputs[1])))
            case "revealed":
                task = party.disclose(x)
            case "square":
                task = party.square(first, x)
            case "multiply":
                task = party.multiply(first, x, self._share(op.inputs[1]))
            case "x2":
                shape = tensors[op.inputs[0]].shape
                arrays = [self.program.arrays[op.attrs[c]] for c in ("c2", "c1", "c0")] if self.server else None
                task = party.x2(first, x, arrays, shape[0], tensors[op.inputs[0]].size // shape[0])
            case "output":
                task = party.reveal(x, tensors[op.inputs[0]].bits)
        return task

    def _argmax(self, first: int, x: Share, op: Op) -> int:
        axis = op.attrs["axis"] + 1
        moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        classes = moved.shape[-1]
        return int(self.party.argmax(first, moved, moved.size // classes, classes))

    def _share(self, tensor: int) -> Share:
        """A share as an array: the server's share of the client's input is zero."""
        value = self._values[tensor]
        if value is None:
            return np.zeros((self._batch, *self.program.tensors[tensor].shape), self.program.dtype)
        return value

    def _local(self, index: int, op: Op) -> Any:
        tensors, dtype = self.program.tensors, self.program.dtype
        y = tensors[op.output]
        shape = (self._batch, *y.shape)
        match op.kind:
            case "input":
                return self._values[op.output]
            case "linear":
                opened = None if not self.server else np.ascontiguousarray(self._values[op.inputs[0]])
                share: Share = self.party.linear(self.plan.first[index], opened).reshape(shape)
                bias = op.attrs["bias"]
                if self.server and bias is not None:
                    share += _broadcast(self.program.arrays[bias], y)
                return share
            case "truncate":
                # Right to one unit mod 2^bits; the server's unit makes the mean error zero (docs/engine.md, 3.3).
                share = self._share(op.inputs[0]) >> dtype.type(op.attrs["shift"])
                return share + dtype.type(1) if self.server else share
        if y.opened and not self.server:
            return None
        inputs = [self._share(i) for i in op.inputs]
        x = inputs[0]
        match op.kind:
            case "add":
                return x + inputs[1]
            case "subtract":
                return x - inputs[1]
            case "concat":
                return np.concatenate(inputs, axis=op.attrs["axis"] + 1)
            case "reshape":
                return x.reshape(shape)
            case "permute":
                return np.ascontiguousarray(x.transpose(0, *(axis + 1 for axis in op.attrs["axes"])))
            case "slice":
                cut: list[slice] = [slice(None)] * x.ndim
                cut[op.attrs["axis"] + 1] = slice(op.attrs["start"], op.attrs["stop"], op.attrs["step"])
                return np.ascontiguousarray(x[tuple(cut)])
            case "upsample":
                spatial = x.ndim - 2
                for axis, factor in zip(range(2, x.ndim), op.attrs["factors"][3 - spatial :], strict=True):
                    x = np.repeat(x, factor, axis=axis)
                return x
            case "pad":
                return np.pad(x, [(0, 0), *(tuple(pair) for pair in op.attrs["padding"])])
            case "sumpool":
                spatial = x.ndim - 2
                kernel, stride, padding = (op.attrs[key][3 - spatial :] for key in ("kernel", "stride", "padding"))
                return kernels.pool_sum(x, kernel, stride, padding).reshape(shape)
            case "scale":
                return x * np.array(op.attrs["factor"], np.int64).astype(dtype)
            case "spmm":
                return sparse_product(self.program, op, x)
            case "shift_left":
                return x << dtype.type(op.attrs["shift"])
            case "add_constant":
                return x + _broadcast(self.program.arrays[op.attrs["value"]], y) if self.server else x
        raise ProgramError(f"the executor does not know the operation {op.kind!r} ({op.source})")

    # The range check

    def _start_check(self, index: int, op: Op) -> None:
        """Compares |v| < 2^(check_bits - 1) for the result v of a truncation (docs/engine.md, 3.8)."""
        dtype = self.program.dtype
        limit = 1 << (op.attrs["check_bits"] - 1)
        # The shifted shares add up to the floor or one less, the truncation is the floor or one more.
        v = (self._share(op.inputs[0]) >> dtype.type(op.attrs["shift"])).reshape(-1)
        both = np.concatenate([v + dtype.type(limit - 1), dtype.type(limit - 3) - v] if self.server else [v, -v])
        self._violations[index] = self.party.indicator(self.plan.checks[index], both)

    def _verdict(self) -> None:
        """Turns the indicators of all checks into one bit for the client."""
        if self.plan.verdict < 0:
            return
        while not all(self.party.done(task) for task in self._violations.values()):
            self.party.step()
        dtype = self.program.dtype
        total = 0
        held = np.zeros(1, dtype)
        for task in self._violations.values():
            self._count("check_range", task)
            held += self.party.result(task).sum(dtype=dtype)
        for request in self.plan.checks.values():
            total += self.plan.specs[request]["n"]
        # violations - 1 >= 0
        count = dtype.type(total - 1) - held if self.server else -held
        task = self.party.indicator(self.plan.verdict, count)
        while not self.party.done(task):
            self.party.step()
        self._count("check_range", task)
        task = self.party.reveal(self.party.result(task), 1)
        while not self.party.done(task):
            self.party.step()
        self._count("check_range", task)
        verdict = self.party.result(task)
        if not self.server and int(verdict[0]) & 1:
            raise OutOfRangeError(
                "this input drives the network out of its certified range: compile with calibration data that "
                "covers it, or with a larger margin"
            )


def sparse_product(program: Program, op: Op, x: Share) -> Share:
    """A public sparse matrix on the last axis of x (batch, ..., columns): (batch, ..., rows)."""
    values = None if op.attrs["values"] is None else program.public[op.attrs["values"]]
    return apply_sparse(*pattern(program, op), values, x)


def apply_sparse(indptr: Share, indices: Share, values: Share | None, x: Share) -> Share:
    """x (..., columns) -> (..., rows)."""
    across = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)  # the kernel reads the entries of a node together
    y: Share = kernels.csr_matmul(indptr, indices, values, across)
    return np.ascontiguousarray(y.T).reshape(*x.shape[:-1], -1)


def nodes_first(x: Share) -> Share:
    """(batch, ..., nodes) as the protocol takes it: (batch, nodes, everything else)."""
    return np.ascontiguousarray(x.reshape(x.shape[0], -1, x.shape[-1]).swapaxes(1, 2))


def nodes_last(x: Share, shape: tuple[int, ...]) -> Share:
    """The way back."""
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(shape)


def _broadcast(array: Share, y: Tensor) -> Share:
    """A per-channel or whole-shape server-held array against (batch, *shape)."""
    if array.shape == y.shape:
        return array
    return array.reshape(-1, *([1] * (len(y.shape) - 1)))
