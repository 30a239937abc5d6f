"""Collects a program's operations with their intervals, then numbers what is used and encodes the server's arrays."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from moiety.private.graph import Floats, Node
from moiety.private.program import HELD, PUBLIC, Array, Certificate, Op, Program, Tensor
from moiety.private.ranges import Interval, RangeError, bits_for
from moiety.private.sparse import Sparse

__all__ = ["Emitter", "quantise"]

# Kinds whose output has the least bits of their inputs.
LOCAL = ("add", "subtract", "concat", "reshape", "permute", "slice", "upsample", "pad")
PUBLIC_LINEAR = ("add_constant", "sumpool", "scale", "spmm")


def quantise(values: Floats, fraction: int) -> Floats:
    """The nearest multiples of 2^-fraction."""
    return np.asarray(np.rint(values * 2.0**fraction) / 2.0**fraction)


def encode(values: Floats, fraction: int, ring: int) -> Array:
    """Multiples of 2^-fraction as ring elements, uint32 or uint64."""
    integers = np.rint(values * 2.0**fraction).astype(np.int64)
    return np.ascontiguousarray(integers.view(np.uint64).astype(np.uint32 if ring == 32 else np.uint64))


class Emitter:
    """The program under construction. Tensors are referred to by their provisional number."""

    def __init__(self, ring: int, fraction_bits: int) -> None:
        self.ring = ring
        self.fraction_bits = fraction_bits
        self.tensors: list[Tensor] = []
        self.intervals: list[Interval] = []
        self.ops: list[Op] = []
        self.values: dict[str, tuple[Floats, int]] = {}  # array name -> real values, fraction bits
        self.public: dict[str, Array] = {}
        self._public: dict[tuple[str, str, bytes], str] = {}  # what each public array holds -> its name

    def emit(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        fraction: int,
        bits: int,
        interval: Interval,
        node: Node,
        attrs: Mapping[str, Any] | None = None,
        opened: bool = False,
    ) -> int:
        """Adds an operation, returns its output's number. Raises `RangeError` if its values do not fit their bits."""
        if bits_for(interval.bound, fraction) > bits:
            self.refuse(interval, fraction, bits, node, kind)
        number = len(self.tensors)
        self.tensors.append(
            Tensor(tuple(shape), fraction, bits, interval.bound, interval.how, node.source, opened=opened)
        )
        self.intervals.append(interval)
        self.ops.append(Op(kind, tuple(inputs), number, dict(attrs or {}), node.source))
        return number

    def refuse(self, interval: Interval, fraction: int, bits: int, node: Node, kind: str) -> NoReturn:
        """Raises the `RangeError` for a tensor that does not fit."""
        how = "measured maxima and their margin" if interval.how == "calibrated" else "interval arithmetic"
        limit = 2.0 ** (bits - 1 - fraction) if bits - 1 - fraction > -1000 else 0.0
        raise RangeError(
            f"no range certificate for the output of {node.source or 'the network'} ({node.kind} as {kind}"
            f"{f' at {node.where}' if node.where else ''}): by {how} its magnitude may reach {interval.bound:.6g}, "
            f"but {bits} bits at scale 2^{fraction} hold less than {limit:.6g}: "
            + (
                "use fewer fraction bits, a larger ring or a network with smaller activations"
                if interval.how == "calibrated"
                else "pass calibration data (calibration=...), use fewer fraction bits or a larger ring"
            )
        )

    def array(self, name: str, values: Floats, fraction: int, node: Node) -> Floats:
        """Registers a server-held array under a provisional name and returns its quantised values."""
        largest = float(np.abs(values).max(initial=0.0))
        if bits_for(largest, fraction) > self.ring:
            raise RangeError(
                f"no range certificate for {node.source or 'the network'}: a parameter of magnitude {largest:.6g} does "
                f"not fit {self.ring} bits at scale 2^{fraction}: use fewer fraction bits or a larger ring"
            )
        self.values[name] = (values, fraction)
        return quantise(values, fraction)

    def sparse(self, matrix: Sparse, fraction: int) -> dict[str, Any]:
        """Registers a public matrix and returns the attributes of its product. Equal arrays are held once."""
        values = None if matrix.values is None else encode(matrix.values, fraction, self.ring)
        return {"fraction": fraction, **self.pattern(matrix.indptr, matrix.indices), **self.hold("values", values)}

    def pattern(self, indptr: Array, indices: Array) -> dict[str, Any]:
        """Registers a public pattern and returns its attributes."""
        return {**self.hold("indptr", indptr.astype(np.int64)), **self.hold("indices", indices.astype(np.int32))}

    def hold(self, key: str, array: Array | None) -> dict[str, Any]:
        """Registers a public array and returns the attribute that names it."""
        if array is None:
            return {key: None}
        content = (key, array.dtype.str, hashlib.sha256(np.ascontiguousarray(array).data).digest())
        name = self._public.setdefault(content, f"public{len(self._public)}.{key}")
        self.public[name] = array
        return {key: name}

    def finish(self, certificate: Certificate, output_kind: str, metadata: Mapping[str, Any]) -> Program:
        """The program of all operations that the last one needs."""
        used = {self.ops[-1].output, *(op.output for op in self.ops if op.kind == "input")}
        for op in reversed(self.ops):
            if op.output in used:
                used.update(op.inputs)
        ops = [op for op in self.ops if op.output in used]
        tensors = self.narrow(ops)
        numbers = {op.output: i for i, op in enumerate(ops)}
        arrays: dict[str, Array] = {}
        public: dict[str, str] = {}  # provisional name -> name
        final: list[Op] = []
        layer = 0
        for op in ops:
            attrs = dict(op.attrs)
            for key in HELD:
                if isinstance(attrs.get(key), str):
                    values, fraction = self.values[attrs[key]]
                    attrs[key] = f"{op.kind}{numbers[op.output]}.{key}"
                    arrays[attrs[key]] = encode(values, fraction, self.ring)
            if op.kind == "linear":
                attrs["layer"] = layer
                layer += 1
            for key in PUBLIC:
                if isinstance(attrs.get(key), str):
                    name = public.setdefault(attrs[key], f"graph{len(public)}.{key}")
                    attrs[key] = name
            final.append(Op(op.kind, tuple(numbers[i] for i in op.inputs), numbers[op.output], attrs, op.source))
        program = Program(
            ring=self.ring,
            fraction_bits=self.fraction_bits,
            tensors=tuple(tensors[op.output] for op in ops),
            ops=tuple(final),
            arrays=arrays,
            certificate=certificate,
            output_kind=output_kind,
            metadata=dict(metadata),
            public={name: self.public[before] for before, name in public.items()},
        )
        program.validate()
        return program

    def narrow(self, ops: Sequence[Op]) -> dict[int, Tensor]:
        """Tensors by provisional number; local truncations and what follows get no more bits than are read."""
        need: dict[int, int] = {}
        tensors = {op.output: self.tensors[op.output] for op in ops}
        for op in reversed(ops):
            out = need.get(op.output, tensors[op.output].bits)
            for i in op.inputs:
                if op.kind in LOCAL + PUBLIC_LINEAR:
                    wanted = out
                else:
                    wanted = int(op.attrs.get("bits", tensors[i].bits))
                need[i] = max(need.get(i, 0), wanted)
        for op in ops:
            t = tensors[op.output]
            if op.kind == "truncate" and t.bits < self.ring:
                fits = bits_for(self.intervals[op.output].bound, t.fraction)
                tensors[op.output] = dataclasses.replace(t, bits=max(fits, need[op.output]))
            elif op.kind in LOCAL:
                tensors[op.output] = dataclasses.replace(t, bits=min(tensors[i].bits for i in op.inputs))
            elif op.kind in PUBLIC_LINEAR:
                tensors[op.output] = dataclasses.replace(t, bits=tensors[op.inputs[0]].bits)
        return tensors
