"""What the `scheduler` kernel needs of a program beside its schedule: the operations' table and both boards' memories.

The table has 16 words of header (magic, version, ring, number of operations, 4 free, the program's sha256) and 64 words
an operation (hls/include/moiety/isa.hpp names them). A board's `memory` holds ring elements: every tensor's share, the
server's weights W and biases or the client's masked weights E, correlations by element; `bits` holds the correlations
of single bits, a tile of the schedule together. At the client an opened tensor's place holds its mask B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.private.plan import layers
from moiety.private.program import Op, Program

from .isa import KINDS, Schedule, ScheduleError, view
from .record import Correlation, Recording, tile_planes
from .schedule_tiles import steps_of_rows, transposes
from .vectorfile import Vectors

__all__ = ["EXECUTED", "scheduler_vectors"]

MAGIC, VERSION = 0x4F49_4F4D, 1  # "MOIO"
HEADER_WORDS, OPERATION_WORDS = 16, 64
EXECUTED = (
    *("input", "open", "linear", "truncate", "relu", "extend", "square", "sumpool", "scale", "shift_left"),
    *("add", "subtract", "reshape", "permute", "spmm", "add_constant", "output"),
)
_FIELDS = (  # of words 1, 2, ...
    *("x", "x1", "y", "c", "r", "w", "shift", "bits", "signed", "at_w", "at_bias", "bias_kind", "at_c", "at_own"),
    *("at_share", "at_select", "at_bits", "bits_a_tile", "factor_low", "factor_high"),
)
Array = npt.NDArray[Any]
Boxes = Sequence[tuple[int, int, int, int]]  # channel, channels, row, rows


def require_executed(program: Program) -> None:
    """Raises ScheduleError for a program with an operation that the kernel does not execute."""
    for op in program.ops:
        more = {
            "transposed convolution": op.kind == "linear" and op.attrs["conv"]["transposed"],
            "permutation of more than two axes": op.kind == "permute" and not transposes(op),
            "sparse product of other than two axes": op.kind == "spmm" and len(program.tensors[op.output].shape) != 2,
        }
        if op.kind not in EXECUTED or any(more.values()):
            name = next((name for name, there in more.items() if there), op.kind)
            raise ScheduleError(
                f"{op.source or op.kind}: the scheduler kernel does not execute {name!r}, only {', '.join(EXECUTED)}"
            )


@dataclass
class _Memory:
    """One board's memory while it is filled; both boards' grow alike."""

    dtype: np.dtype[Any]
    parts: list[Array] = field(default_factory=list)
    size: int = 0

    def place(self, array: Array) -> int:
        at = self.size
        self.parts.append(np.ascontiguousarray(array, self.dtype).reshape(-1))
        self.size += array.size
        return at

    def all(self) -> Array:
        return np.concatenate(self.parts) if self.parts else np.zeros(1, self.dtype)


class _Image:
    def __init__(self, recording: Recording, schedule: Schedule) -> None:
        self.recording, self.program = recording, recording.program
        self.boxes: dict[int, dict[int, tuple[int, int, int, int]]] = {}
        for i in schedule.instructions:
            self.boxes.setdefault(i.op, {})[i.tile] = (i.channel, i.channels, i.row, i.rows)
        self.memory = [_Memory(self.program.dtype) for _ in range(2)]
        self.bits = [_Memory(np.dtype(np.uint64)) for _ in range(2)]
        self.at: dict[int, int] = {}  # tensor -> its place
        self.masks: dict[int, Array] = {}  # opened tensor -> the client's mask
        self.layer = {id(op): number for number, (op, _, _) in enumerate(layers(self.program))}

    def both(self, arrays: Sequence[Array]) -> int:
        """Puts each party's array into its memory, at one place."""
        first, second = (memory.place(array) for memory, array in zip(self.memory, arrays, strict=True))
        assert first == second
        return first

    def halves(self, index: int) -> list[Correlation]:
        return [self.recording.correlation(half, index) for half in self.recording.halves]

    def table(self) -> Array:
        """Lays everything out and describes it."""
        program = self.program
        words = np.zeros((len(program.ops), OPERATION_WORDS), np.uint32)
        for index, op in enumerate(program.ops):
            named = self._operation(index, op)
            words[index, 0] = 0 if op.kind == "input" else KINDS.index(named.pop("kind", op.kind))
            for name, value in named.items():
                if name == "conv":
                    words[index, 24 : 24 + len(value)] = value
                else:
                    words[index, 1 + _FIELDS.index(name)] = value
        head = np.zeros(HEADER_WORDS, np.uint32)
        head[:4] = MAGIC, VERSION, program.ring, len(program.ops)
        head[8:] = np.frombuffer(bytes.fromhex(program.hash), "<u4")
        return np.concatenate([head, words.reshape(-1)])

    def _operation(self, index: int, op: Op) -> dict[str, Any]:
        program, tensors = self.program, self.program.tensors
        y = tensors[op.output]
        self.at[op.output] = self._place(index, op)
        c, r, w = view(y.shape)
        named: dict[str, Any] = {"y": self.at[op.output], "c": c, "r": r, "w": w, "bits": program.ring}
        if op.kind == "input":
            return named
        named |= {key: self.at[tensor] for key, tensor in zip(("x", "x1"), op.inputs, strict=False)}
        match op.kind:
            case "linear":
                named |= self._linear(index, op)
            case "truncate" | "extend" if index in self.recording.plan.first:
                found = self.halves(index)
                named |= {"shift": op.attrs.get("shift", 0), "signed": int(op.attrs.get("signed", False))}
                named |= {"bits": op.attrs.get("bits", program.ring), "at_share": self.both([h.share for h in found])}
                named |= self._tiled(index, y.shape, [[h.bits] for h in found])
            case "truncate":
                named |= {"kind": "shift", "shift": op.attrs["shift"]}
            case "relu":
                found = self.halves(index)
                named["bits"] = op.attrs["bits"]
                named["at_select"] = self.both([_interleaved(half) for half in found])
                named |= self._tiled(index, y.shape, [[h.bits, h.masks, h.products] for h in found])
            case "square":
                found = self.halves(index)
                named["at_own"] = self.both([h.ring for h in found])
                named["at_share"] = self.both([h.share for h in found])
            case "spmm":
                named |= self._sparse(op)
            case "shift_left":
                named["shift"] = op.attrs["shift"]
            case "scale":
                factor = int(op.attrs["factor"]) % (1 << 64)
                named |= {"factor_low": factor & 0xFFFFFFFF, "factor_high": factor >> 32}
            case "add_constant":
                value = program.arrays[op.attrs["value"]]
                named["bias_kind"] = _kind_of(value, y.shape)
                named["at_c"] = self.both([value, np.zeros_like(value)])
            case "sumpool":
                x = tensors[op.inputs[0]]
                keys = ("kernel", "stride", "padding")
                sizes = [_extents(x.shape), *(op.attrs[k] for k in keys), [1] * 3, _extents(y.shape)]
                if len(y.shape) == 2:  # its positions are rows
                    sizes = [[depth, width, height] for depth, height, width in sizes]
                named["conv"] = [1, 1, 1, *(n for triple in sizes for n in triple)]
            case "output":
                named["bits"] = tensors[op.inputs[0]].bits
        return named

    def _place(self, index: int, op: Op) -> int:
        """Where the output lies, and what is there before the run."""
        y = self.program.tensors[op.output]
        if op.kind == "reshape":
            return self.at[op.inputs[0]]
        empty = np.zeros(y.size, self.program.dtype)
        if op.kind == "input":
            return self.both([self.recording.share(half, op.output) for half in self.recording.halves])
        if y.opened:
            if op.kind == "open":
                self.masks[op.output] = self.recording.correlation(self.recording.client, index).ring
            elif op.kind == "permute":
                before = self.program.tensors[op.inputs[0]].shape
                self.masks[op.output] = self.masks[op.inputs[0]].reshape(before).T.reshape(-1)
            else:
                raise ScheduleError(f"{op.source}: the scheduler kernel opens by 'open' only, not by {op.kind!r}")
            return self.both([empty, self.masks[op.output]])
        return self.both([empty, empty])

    def _sparse(self, op: Op) -> dict[str, Any]:
        """The pattern, an element a number, and the coefficients: both boards have all of them."""
        held = {key: self.program.public.get(op.attrs[key]) for key in ("indptr", "indices", "values")}
        pointers, values = held["indptr"], held["values"]
        assert pointers is not None
        assert held["indices"] is not None
        rows, columns = pointers.size - 1, self.program.tensors[op.inputs[0]].shape[-1]
        return {
            "at_own": self.both([pointers, pointers]),
            "at_share": self.both([held["indices"], held["indices"]]),
            "at_w": 0 if values is None else self.both([values, values]),
            "conv": [rows, columns, steps_of_rows(pointers), int(values is not None)],
        }

    def _linear(self, index: int, op: Op) -> dict[str, Any]:
        conv, layer = op.attrs["conv"], self.layer[id(op)]
        found = self.halves(index)
        named: dict[str, Any] = {"at_w": self.both([half.weights[layer] for half in self.recording.halves])}
        named["at_c"] = self.both([h.ring for h in found])
        if op.attrs["bias"] is not None:
            bias = self.program.arrays[op.attrs["bias"]]
            named["bias_kind"] = _kind_of(bias, self.program.tensors[op.output].shape)
            named["at_bias"] = self.both([bias, np.zeros_like(bias)])
        keys = ("in", "kernel", "stride", "padding", "dilation")
        sizes = [n for key in keys for n in conv[key]]
        out = [_conv_out(conv, d) for d in range(3)]
        named["conv"] = [conv["in_channels"], conv["out_channels"], conv["groups"], *sizes, *out]
        return named

    def _tiled(self, index: int, shape: tuple[int, ...], sections: Sequence[Sequence[Any]]) -> dict[str, int]:
        """Bit planes of each party, those of a tile together: section after section, plane after plane."""
        boxes = [box for _, box in sorted(self.boxes[index].items())]
        starts = []
        stride = 0
        for memory, party in zip(self.bits, sections, strict=True):
            tiles = [_of_boxes(section, shape, boxes) for section in party]
            joined = [np.concatenate(parts) for parts in zip(*tiles, strict=True)]
            stride = max(map(len, joined))
            starts.append(memory.size)
            for part in joined:
                memory.place(np.concatenate([part, np.zeros(stride - len(part), np.uint64)]))
        assert starts[0] == starts[1]
        return {"at_bits": starts[0], "bits_a_tile": stride}


def _interleaved(half: Correlation) -> Array:
    """delta, beta and beta*delta, element by element."""
    return np.stack([half.delta[0], half.beta, half.beta_delta[0]], axis=1).reshape(-1)


def _kind_of(array: Array, shape: tuple[int, ...]) -> int:
    """How an array is added: 1 by channel, 2 by element."""
    return 2 if array.shape == shape and len(shape) > 1 else 1


def _extents(shape: tuple[int, ...]) -> list[int]:
    return [*[1] * (4 - len(shape)), *shape[1:]]


def _conv_out(conv: Mapping[str, Any], d: int) -> int:
    reach = conv["dilation"][d] * (conv["kernel"][d] - 1) + 1
    return int((conv["in"][d] + 2 * conv["padding"][d] - reach) // conv["stride"][d] + 1)


def _of_boxes(section: npt.NDArray[np.uint64], shape: tuple[int, ...], boxes: Boxes) -> list[npt.NDArray[np.uint64]]:
    """The planes of one request over the whole tensor (in the engine's tiles) as planes of each box's elements."""
    channels, rows, columns = view(shape)
    n = channels * rows * columns
    words = -(-n // 64)
    planes = section.size // words
    cuts = [part.reshape(planes, -1) for part in tile_planes(section, n)]
    bits = np.unpackbits(np.concatenate(cuts, axis=1).view(np.uint8), axis=1, bitorder="little")[:, :n]
    cube = bits.reshape(planes, channels, rows, columns)
    found = []
    for channel, count, row, high in boxes:
        box = cube[:, channel : channel + count, row : row + high].reshape(planes, -1)
        padded = np.pad(box, [(0, 0), (0, -box.shape[1] % 64)])
        found.append(np.packbits(padded, axis=1, bitorder="little").view(np.uint64).reshape(-1))
    return found


def scheduler_vectors(recording: Recording, schedule: Schedule) -> Vectors:
    """The kernel's vectors: tables, memories, and every operation's shares as the engine computed them.

    Raises ScheduleError for a schedule of another program or an operation that the kernel does not execute.
    """
    program = recording.program
    if schedule.program != program.hash:
        raise ScheduleError(
            f"the schedule belongs to program {schedule.program[:12]}, expected {program.hash[:12]}: schedule it again"
        )
    require_executed(program)
    image = _Image(recording, schedule)
    operations = image.table()
    checks: list[tuple[int, int, int, int]] = []
    expected: tuple[list[Array], list[Array]] = ([], [])
    for index, op in enumerate(program.ops):
        if op.kind == "input":
            continue
        opened = program.tensors[op.output].opened
        parties = 0
        for party, half in enumerate(recording.halves):
            if half.server or not opened:  # the client does not know an opened value
                parties |= 1 << party
                expected[party].append(recording.share(half, op.output))
        checks.append((index, image.at[op.output], program.tensors[op.output].size, parties))
    arrays: dict[str, Array] = {"schedule": np.frombuffer(schedule.pack(), "<u4"), "operations": operations}
    arrays["checks"] = np.array(checks, np.uint32).reshape(-1)
    for name, party in (("server", 0), ("client", 1)):
        arrays[f"{name}.memory"] = image.memory[party].all()
        arrays[f"{name}.bits"] = image.bits[party].all()
        arrays[f"{name}.expected"] = np.concatenate(expected[party])
    values = {"instructions": len(schedule.instructions), "cycles": schedule.cycles}
    return Vectors("scheduler", program.ring, program.hash, "whole network", values, arrays)
