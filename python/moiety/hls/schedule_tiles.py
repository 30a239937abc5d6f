"""Cutting a program into tiles: boxes of every operation's output, what they read, send and compute."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from moiety._core import mpc
from moiety.cost.fpga_machine import Machine
from moiety.private.plan import COMPARING, pool_axes
from moiety.private.program import Op, Program

from .isa import BOTH, CLIENT, KINDS, SERVER, ScheduleError, Unit, view

__all__ = [
    "Box",
    "Grid",
    "Step",
    "block_beats",
    "elementwise_linear",
    "grid_of",
    "hops_of",
    "kind_of",
    "reads",
    "steps_of",
    "steps_of_rows",
    "transposes",
]

Pointers = npt.NDArray[np.int64]
COMPARED = 4096  # elements of a tile of the circuit, csrc/mpc/circuit.hpp
WHOLE = ("reshape", "permute", "slice", "concat", "pad", "upsample", "argmax")
POINTWISE = (
    *("open", "truncate", "shift", "relu", "hardtanh", "extend", "x2", "square", "multiply", "scale"),
    *("shift_left", "add", "subtract", "add_constant", "output"),
)
# What goes through a tensor's last axis as a whole, a line of it at a time.
LINES = ("spmm",)


@dataclass(frozen=True, slots=True)
class Box:
    """Channels [channel, channel + channels) and rows [row, row + rows) of a tensor seen as (C, R, W)."""

    channel: int
    channels: int
    row: int
    rows: int


@dataclass(frozen=True)
class Grid:
    """A tensor of `shape` (C, R, W) in tiles of `channels` times `rows`; the tiles of a row block follow each other."""

    shape: tuple[int, int, int]
    channels: int
    rows: int

    @property
    def across(self) -> int:
        return -(-self.shape[0] // self.channels)

    def __len__(self) -> int:
        return self.across * -(-self.shape[1] // self.rows)

    def box(self, tile: int) -> Box:
        """The box of a tile; the last ones are ragged."""
        down, along = divmod(tile, self.across)
        channel, row = along * self.channels, down * self.rows
        return Box(channel, min(self.channels, self.shape[0] - channel), row, min(self.rows, self.shape[1] - row))

    def elements(self, box: Box) -> int:
        return box.channels * box.rows * self.shape[2]

    def meeting(self, box: Box) -> Iterator[int]:
        """The tiles that share an element with a box."""
        for down in range(box.row // self.rows, -(-(box.row + box.rows) // self.rows)):
            for along in range(box.channel // self.channels, -(-(box.channel + box.channels) // self.channels)):
                yield down * self.across + along


def kind_of(op: Op, program: Program) -> str:
    """Its number's name in the instruction set: a truncation to few bits is a `shift`."""
    if op.kind == "truncate" and program.tensors[op.output].bits != program.ring:
        return "shift"
    if op.kind not in KINDS:
        raise ScheduleError(f"{op.source or op.kind}: the schedule knows no operation {op.kind!r}")
    return op.kind


def grid_of(op: Op, program: Program, machine: Machine) -> Grid:
    """How an operation is cut. Operations on tensors of one shape are cut alike, so that tiles follow tiles.

    Rows are as few as `machine.tile` asks for, and as many as let the product's weights come in from memory while the
    tile before is computed; of those the number that wastes the fewest of the tile's positions. Channels are cut where
    a row alone is too large. A tile of a comparison holds what a tile of the circuit does.
    """
    shape = view(program.tensors[op.output].shape)
    channels, rows, columns = shape
    flat = len(program.tensors[op.output].shape) < 2
    if (op.kind in WHOLE and not transposes(op)) or (op.kind in LINES and flat):
        return Grid(shape, channels, rows)
    if op.kind in LINES:  # whole blocks of lanes
        lines = rows if len(program.tensors[op.output].shape) > 2 else 1  # of a channel
        per = max(1, machine.tile // (rows * columns)) * lines
        per = -(-per // machine.lanes.pool) * machine.lanes.pool
        return Grid(shape, max(1, min(channels, per // lines)), rows)
    lanes, size, weighty = machine.lanes, machine.tile, 0.0
    if op.kind in COMPARING:
        size = min(size, COMPARED // (2 if op.kind == "hardtanh" else 1))
    else:
        weighty = lanes.pix * lanes.out * machine.word / machine.memory_bytes
    if op.kind == "maxpool":
        x = program.tensors[op.inputs[0]].size // channels
        return Grid(shape, max(1, min(channels, size // max(1, x))), rows)
    least = max(1, min(rows, max(size // (channels * columns), math.ceil(weighty / columns))))

    def waste(count: int) -> float:
        whole, rest = divmod(rows, count)
        blocks = whole * -(-count * columns // lanes.pix) + -(-rest * columns // lanes.pix)
        return blocks * lanes.pix / (rows * columns)

    counts = range(least, min(rows, max(least, 3 * least // 2)) + 1) if weighty else (least,)
    best = min(counts, key=lambda count: (round(waste(count), 2), count))
    per = max(1, size // (best * columns))
    if per >= lanes.out:
        per -= per % lanes.out
    return Grid(shape, min(channels, per), best)


def transposes(op: Op) -> bool:
    """A permutation of two axes: what it reads of a box is a box."""
    return op.kind == "permute" and list(op.attrs["axes"]) == [1, 0]


def reads(op: Op, program: Program, box: Box) -> list[tuple[int, Box]]:
    """The tensors and boxes of them that a box of the output needs."""
    found = []
    for tensor in dict.fromkeys(op.inputs):
        channels, rows, columns = view(program.tensors[tensor].shape)
        whole = Box(0, channels, 0, rows)
        if op.kind in POINTWISE:
            found.append((tensor, box))
        elif transposes(op):
            found.append((tensor, Box(box.row, box.rows, box.channel, box.channels)))
        elif op.kind in LINES:
            found.append((tensor, _line_reads(program.tensors[tensor].shape, box, whole)))
        elif op.kind == "linear":
            found.append((tensor, _conv_reads(op, box, whole, columns)))
        elif op.kind == "sumpool" and len(program.tensors[tensor].shape) == 3:
            kernel, stride, padding = (op.attrs[key][1] for key in ("kernel", "stride", "padding"))
            first = max(0, box.row * stride - padding)
            last = min(rows, (box.row + box.rows - 1) * stride - padding + kernel)
            found.append((tensor, Box(box.channel, box.channels, first, max(1, last - first))))
        elif op.kind in ("maxpool", "sumpool"):
            found.append((tensor, Box(box.channel, box.channels, 0, rows)))
        else:
            found.append((tensor, whole))
    return found


def _line_reads(shape: tuple[int, ...], box: Box, whole: Box) -> Box:
    """Of a map of the last axis: the lines of the box, whole."""
    if len(shape) > 2:  # a line is a row
        return box
    return Box(box.channel, box.channels, 0, whole.rows) if len(shape) == 2 else whole


def _conv_reads(op: Op, box: Box, whole: Box, columns: int) -> Box:
    conv = op.attrs["conv"]
    depth, height, width = conv["in"]
    axis = 1  # of the rows
    if depth == height == columns == 1:  # positions without a second axis are rows
        height, width, axis = width, height, 2
    if depth != 1 or (conv["in_channels"], height, width) != (whole.channels, whole.rows, columns):
        return whole
    ins, outs = conv["in_channels"] // conv["groups"], conv["out_channels"] // conv["groups"]
    low, high = box.channel // outs, -(-(box.channel + box.channels) // outs)
    reach = (conv["kernel"][axis] - 1) * conv["dilation"][axis]
    stride, padding = conv["stride"][axis], conv["padding"][axis]
    last_row = box.row + box.rows - 1
    if conv["transposed"]:
        first, last = (box.row + padding - reach) // stride, (last_row + padding) // stride + 1
    else:
        first, last = box.row * stride - padding, last_row * stride - padding + reach + 1
    first, last = min(max(0, first), height - 1), max(min(height, last), 1)
    return Box(low * ins, (high - low) * ins, first, max(1, last - first))


@lru_cache
def prefix_nodes(bits: int) -> tuple[int, ...]:
    """Nodes of each level of a circuit over bits - 1 positions (csrc/mpc/circuit.hpp)."""
    width = bits - 1
    found: list[int] = []
    while not found or width > 1:
        single = bool(found) and width % 4 == 1
        found.append(-(-width // 4) - single)
        width = -(-width // 4)
    return tuple(found)


def _comparisons(op: Op, program: Program, box: Box, n: int) -> list[tuple[int, tuple[int, ...]]]:
    """Elements compared one after the other in a tile, with the widths of what the bit selects."""
    x, y = program.tensors[op.inputs[0]], program.tensors[op.output]
    bits = int(op.attrs.get("bits", 0))
    match op.kind:
        case "relu":
            return [(n, (bits,))]
        case "hardtanh":
            return [(2 * n, (bits,))]
        case "maxpool":
            return [(count, (bits,)) for count in mpc.pool_comparisons(box.channels, pool_axes(op, x, y)[1]) if count]
        case "argmax":
            classes = x.shape[op.attrs["axis"]]
            return [(count, (bits, y.bits)) for count in mpc.argmax_comparisons(x.size // classes, classes)]
    return []


def hops_of(op: Op, program: Program, grid: Grid, box: Box) -> list[tuple[int, int]]:
    """Bytes (server, client) of every hop of a tile: docs/engine.md, section 3, for the tile's elements."""
    n, word = grid.elements(box), program.ring // 8
    plane = 8 * -(-n // 64)
    match kind_of(op, program):
        case "open":
            return [(0, n * word)]
        case "truncate" | "extend":
            return [(plane, plane)]
        case "square":
            return [(n * word, n * word)]
        case "multiply":
            return [(2 * n * word, 2 * n * word)]
        case "x2":
            return [(n * word, 2 * n * word)]
        case "output":
            return [(n * -(-program.tensors[op.inputs[0]].bits // 8), 0)]
    found = []
    for count, widths in _comparisons(op, program, box, n):
        inputs, *levels = mpc.circuit_planes(op.attrs["bits"])
        plane = 8 * -(-count // 64)
        sizes = [inputs * plane + count * sum(-(-w // 8) for w in widths), *(level * plane for level in levels)]
        found += [(size, size) for size in sizes]
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One compute step of a tile: the unit, whom it concerns, the cycles in which it takes a beat, bytes of memory."""

    unit: Unit
    parties: int
    beats: int
    memory: int


def elementwise_linear(op: Op) -> bool:
    """A server-held affine map of every element: a depthwise convolution of one tap."""
    conv = op.attrs["conv"]
    alone = conv["groups"] == conv["in_channels"] == conv["out_channels"]
    return bool(alone and math.prod(conv["kernel"]) == 1)


def steps_of(op: Op, program: Program, machine: Machine, grid: Grid, box: Box) -> list[Step]:
    """The compute steps of a tile, one more than its hops.

    Memory: what the step reads of shares and of correlations and writes of the result; messages and what a step leaves
    for the next lie on the chip or are computed again.
    """
    n, word, lanes = grid.elements(box), machine.word, machine.lanes

    def step(unit: Unit, elements: int, rate: int, words: float, parties: int = BOTH) -> Step:
        return Step(unit, parties, max(1, -(-elements // rate)), round(elements * words * word))

    match kind := kind_of(op, program):
        case "open":
            return [step(Unit.MOVE, n, lanes.move, 2, CLIENT), step(Unit.MOVE, n, lanes.move, 2, SERVER)]
        case "linear":
            return [_linear_step(op, program, machine, grid, box)]
        case "truncate" | "extend":
            return [step(Unit.TRUNCATE, n, lanes.truncate, 1), step(Unit.TRUNCATE, n, lanes.truncate, 3)]
        case "shift":
            return [step(Unit.TRUNCATE, n, lanes.truncate, 2)]
        case "square":
            return [step(Unit.MOVE, n, lanes.move, 2), step(Unit.SQUARE, n, lanes.square, 4)]
        case "multiply":
            return [step(Unit.MOVE, 2 * n, lanes.move, 2), step(Unit.SQUARE, 2 * n, lanes.square, 4)]
        case "x2":
            return [step(Unit.SQUARE, n, lanes.square, 2), step(Unit.SQUARE, n, lanes.square, 5)]
        case "scale":
            return [step(Unit.SQUARE, n, lanes.square, 2)]
        case "spmm":
            return [_sparse_step(op, program, machine, box)]
        case "sumpool":
            return [step(Unit.POOL, n * math.prod(op.attrs["kernel"]), lanes.pool, 1)]
        case "output":
            return [step(Unit.MOVE, n, lanes.move, 1, SERVER), step(Unit.MOVE, n, lanes.move, 2, CLIENT)]
        case "relu" | "hardtanh" | "maxpool" | "argmax":
            return _comparison_steps(op, program, machine, grid, box)
        case "add" | "subtract" | "concat" | "multiply":
            words = 3
        case _:
            words = 2
    opened = program.tensors[op.output].opened
    if kind == "reshape":
        return [Step(Unit.MOVE, SERVER if opened else BOTH, 1, 0)]  # another name for the same elements
    return [step(Unit.MOVE, n, lanes.move, words, SERVER if opened else BOTH)]


def _linear_step(op: Op, program: Program, machine: Machine, grid: Grid, box: Box) -> Step:
    """Blocks of `out` channels times `pix` positions, as many beats each as there are input channels and taps, but no
    fewer than the positions, which leave one a beat (hls/rtl/mac_tile.sv)."""
    conv, lanes, n, word = op.attrs["conv"], machine.lanes, grid.elements(box), machine.word
    if elementwise_linear(op):
        return Step(Unit.SQUARE, SERVER, max(1, -(-n // lanes.square)), 3 * n * word)
    taps = math.prod(conv["kernel"])
    ins, outs = conv["in_channels"] // conv["groups"], conv["out_channels"] // conv["groups"]
    depth = ins * taps
    if conv["transposed"]:  # every tap meets one position in as many as the stride
        depth = -(-depth // math.prod(conv["stride"]))
    positions = box.rows * grid.shape[2] if op.attrs["conv"]["out_channels"] == grid.shape[0] else 1
    blocks = sum(
        -(-(min(box.channel + box.channels, (group + 1) * outs) - max(box.channel, group * outs)) // lanes.out)
        for group in range(box.channel // outs, -(-(box.channel + box.channels) // outs))
    )
    beats = blocks * -(-positions // lanes.pix) * max(depth, lanes.pix)
    weights = box.channels * ins * taps
    [(_, region)] = reads(op, program, box)
    inputs = region.channels * region.rows * view(program.tensors[op.inputs[0]].shape)[2]
    return Step(Unit.PRODUCT, SERVER, beats, (weights + inputs + 2 * n) * word)


def steps_of_rows(indptr: Pointers) -> int:
    """Cycles in which the sparse product takes the entries of a matrix: one each, and one for a row without any."""
    return int(indptr[-1] + np.count_nonzero(indptr[1:] == indptr[:-1]))


def block_beats(indptr: Pointers, columns: int, lanes: int) -> tuple[int, int, int]:
    """Cycles of the sparse product's kernel for a block of `lanes` channels (hls/include/moiety/spmm.hpp): the first
    one's columns come in, one block after the other, the last one's rows go out."""
    steps = steps_of_rows(indptr)
    into, out = (lanes * -(-n // lanes) for n in (columns, indptr.size - 1))
    return into, max(steps, into, out), out


def _sparse_step(op: Op, program: Program, machine: Machine, box: Box) -> Step:
    """Blocks of lanes of channels, each with all entries of the matrix, which come from memory every time."""
    held = [program.public[op.attrs[key]] for key in ("indptr", "indices", "values") if op.attrs[key] is not None]
    columns, lanes = program.tensors[op.inputs[0]].shape[-1], machine.lanes.pool
    lines = box.channels * (box.rows if len(program.tensors[op.output].shape) > 2 else 1)
    first, each, last = block_beats(held[0], columns, lanes)
    blocks = -(-lines // lanes)
    pattern = 4 * (held[0].size + held[1].size) + sum(array.nbytes for array in held[2:])
    memory = blocks * pattern + lines * (columns + held[0].size - 1) * machine.word
    return Step(Unit.POOL, BOTH, first + blocks * each + last, memory)


def _comparison_steps(op: Op, program: Program, machine: Machine, grid: Grid, box: Box) -> list[Step]:
    """Of each comparison: mask bits and operands, the circuit's levels, select (which begins the next one)."""
    lanes, word = machine.lanes, machine.word
    nodes = prefix_nodes(op.attrs["bits"])
    levels = mpc.circuit_planes(op.attrs["bits"])
    assert len(nodes) == len(levels) - 1
    steps: list[Step] = []
    carried = (0, 0)  # beats and bytes of the selection before
    for count, widths in _comparisons(op, program, box, grid.elements(box)):
        mask = -(-count * len(widths) // lanes.select)
        steps.append(Step(Unit.COMPARE, BOTH, max(1, carried[0] + mask), carried[1] + 2 * count * len(widths) * word))
        for number in nodes:
            beats = number * -(-count // lanes.compare)
            # 37 planes of products, 4 of input masks and 2 of output masks a leaf; an inner node has fewer
            steps.append(Step(Unit.COMPARE, BOTH, max(1, beats), number * count * 43 // 8))
        carried = (mask, 4 * count * len(widths) * word)
    if not steps:  # windows of one element: nothing to compare
        n = grid.elements(box)
        return [Step(Unit.MOVE, BOTH, max(1, -(-n // lanes.move)), 2 * n * word)]
    return [*steps, Step(Unit.COMPARE, BOTH, max(1, carried[0]), carried[1])]
