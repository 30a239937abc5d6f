"""The instruction format of a static schedule: what the scheduler emits and the `scheduler` kernel executes.

A schedule runs a compiled program (docs/engine.md) for one sample on two boards, the server's and the client's. It is
one list of instructions for both; each says which of them it concerns. Comparisons are the circuit's.

**Tiles.** Every operation is cut into tiles, boxes of its *output* tensor. A tensor of shape (c, d.., w) is seen as
(C, R, W): C = c, R = the product of the axes between, W = w; (c, r) is (c, r, 1), (c,) is (c, 1, 1), () is (1, 1, 1).
A tile is the channels [channel, channel + channels) and the rows [row, row + rows) with all W columns; its elements are
numbered, in messages too, in the order of (channel, row, column), and element (c, r, w) of the tensor is element
(c R + r) W + w of the engine's array and of its correlations. Tiles of an operation cover its output, each element
once. A tile of relu compares at most 4096 elements, of hardtanh as many in both its comparisons. `maxpool` and
`spmm` are cut by channels only, `reshape`, `slice`, `concat`, `pad`, `upsample`, `argmax` and `permute` (but of two
axes) not at all.

**Steps.** An operation with H hops has the compute steps 0..H and the transfers 0..H-1 for every tile. Step h uses the
messages of hop h - 1 (h > 0) and makes those of hop h (h < H); step H makes the tile of the result. H is 0 for local
operations, 1 for open, truncate (exact), extend, square, multiply, x2 and output, and for comparisons
1 + levels(bits), times the levels of the tournament for maxpool and argmax (csrc/mpc/pool.hpp). Mathematics:
docs/engine.md, section 3; for example, with the tile's elements only:

    open      0: C makes x_C - B              1: S makes F = x_S + message
    linear    0: S makes W F + C_S + bias     (C's share lies in its memory before the run: C has no instruction)
    truncate  0: the masked top bits, packed  1: OR of the bits, shift, correct
    square    0: u - a at S, v - b at C       1: cross term and the party's own square
    relu      0: masked input bits, Delta_x   1..levels: prefix nodes of the level   H: select
    output    0: S packs its share            1: C adds

**Order.** Instructions of one unit start in the order of the list and end in it. An instruction may start when, for
every unit u, at least need[u] instructions of u have ended (its inputs are there, its slots are free). Executing the
list from front to back, one instruction at a time, a transfer as send and receive at once, is correct too.

**Slots.** Messages lie in slots of on-chip memory of `slot_bytes` each, numbered alike at both boards: a step fills
send slot `out`, a transfer copies the sender's send slot `out` into the receiver's receive slot `into`, the next step
reads receive slot `into`. NONE where a step makes or reads no message. A send slot is busy from the start of the step
that fills it to the end of its transfers, a receive slot from the start of the transfer to the end of the step that
reads it.

**Messages** of a tile of n elements are what one request of n elements sends (docs/engine.md, the table of section 3):
`bytes` is their length; bits are packed into little-endian 64-bit words, element i of the tile in bit i mod 64 of word
i // 64, plane after plane.

Binary form: little-endian u32 words. Header, 16 words: MAGIC, VERSION, ring, number of instructions, send slots,
receive slots, slot_bytes, number of units (8), the program's sha256 (8 words, bytes in order). Then 24 words an
instruction:

    0  kind (bits 0-7, `KINDS`) | unit (8-15, `Unit`) | parties (16-23: 1 server, 2 client, 3 both) | step (24-31)
    1  op: index in program.ops     2  tile: number within the operation
    3  channel   4  channels   5  row   6  rows
    7  out (bits 0-15) | into (16-31), 0xFFFF for NONE
    8  bytes of the message (transfers; else 0)
    9  cycles that the unit is busy     10  latency: cycles from then until the result is there
    11 reserved, 0                      12, 13  start, predicted (low, high word)
    14..21  need[0..7]                  22, 23  reserved, 0
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

__all__ = [
    "BOTH",
    "CLIENT",
    "FORMAT",
    "HEADER_WORDS",
    "INSTRUCTION_WORDS",
    "KINDS",
    "LINKS",
    "MAGIC",
    "NONE",
    "SERVER",
    "VERSION",
    "Instruction",
    "Schedule",
    "ScheduleError",
    "Unit",
    "view",
]

FORMAT, VERSION = "moiety-schedule", 2
MAGIC = 0x5349_4F4D  # "MOIS"
HEADER_WORDS, INSTRUCTION_WORDS = 16, 24
SERVER, CLIENT, BOTH = 1, 2, 3
NONE = -1
_NO_SLOT = 0xFFFF

# The operations of a program by number; `shift` is a truncation to few bits, which is local.
KINDS = (
    "end",
    "open",
    "linear",
    "truncate",
    "shift",
    "relu",
    "hardtanh",
    "maxpool",
    "argmax",
    "extend",
    "x2",
    "square",
    "multiply",
    "sumpool",
    "scale",
    "shift_left",
    "add",
    "subtract",
    "concat",
    "reshape",
    "permute",
    "slice",
    "upsample",
    "pad",
    "add_constant",
    "output",
    "spmm",
)


class ScheduleError(ValueError):
    """A schedule, or the file of one, that is not what it should be, or that cannot be made: the constraint by name."""


class Unit(IntEnum):
    """What executes; every unit but the product's exists at both boards, the links once a direction."""

    PRODUCT = 0  # server-held linear maps
    SQUARE = 1  # square, x2, multiply
    TRUNCATE = 2  # truncate, extend
    COMPARE = 3  # relu, hardtanh, maxpool, argmax
    POOL = 4  # sumpool, spmm: public sums
    MOVE = 5  # openings' masks and every other local operation
    TO_SERVER = 6
    TO_CLIENT = 7


LINKS = (Unit.TO_SERVER, Unit.TO_CLIENT)


def view(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, R, W) of a tensor's shape without its batch."""
    if len(shape) < 3:
        channels, rows = [*shape, 1, 1][:2]
        return channels, rows, 1
    rows = 1
    for n in shape[1:-1]:
        rows *= n
    return shape[0], rows, shape[-1]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One entry; the fields are the module's. `start` is the cycle that the model predicts."""

    kind: str
    unit: Unit
    parties: int
    step: int
    op: int
    tile: int
    channel: int
    channels: int
    row: int
    rows: int
    out: int
    into: int
    bytes: int
    cycles: int
    latency: int
    start: int
    need: tuple[int, ...]

    @property
    def end(self) -> int:
        """The cycle in which its result is there."""
        return self.start + self.cycles + self.latency

    def words(self) -> tuple[int, ...]:
        """The binary form."""
        first = KINDS.index(self.kind) | self.unit << 8 | self.parties << 16 | self.step << 24
        slots = (self.out & _NO_SLOT) | (self.into & _NO_SLOT) << 16
        box = (self.channel, self.channels, self.row, self.rows)
        start = (self.start & 0xFFFFFFFF, self.start >> 32)
        return (
            *(first, self.op, self.tile, *box, slots, self.bytes, self.cycles, self.latency, 0, *start),
            *(*self.need, 0, 0),
        )

    @staticmethod
    def of_words(words: Sequence[int]) -> Instruction:
        """The instruction of 24 words. Raises ScheduleError for a kind or unit that there is not."""
        kind, unit, parties, step = (words[0] >> shift & 0xFF for shift in (0, 8, 16, 24))
        if kind >= len(KINDS) or unit >= len(Unit) or parties not in (SERVER, CLIENT, BOTH):
            raise ScheduleError(f"expected a known kind, unit and party, got {kind}, {unit}, {parties}")
        slots = [NONE if slot == _NO_SLOT else slot for slot in (words[7] & _NO_SLOT, words[7] >> 16)]
        return Instruction(
            kind=KINDS[kind],
            unit=Unit(unit),
            parties=parties,
            step=step,
            op=words[1],
            tile=words[2],
            channel=words[3],
            channels=words[4],
            row=words[5],
            rows=words[6],
            out=slots[0],
            into=slots[1],
            bytes=words[8],
            cycles=words[9],
            latency=words[10],
            start=words[12] | words[13] << 32,
            need=tuple(words[14:22]),
        )

    def row_json(self) -> list[Any]:
        """The values of `FIELDS`, for JSON."""
        return [list(v) if isinstance(v, tuple) else v for v in (getattr(self, name) for name in FIELDS)]


FIELDS = tuple(Instruction.__dataclass_fields__)


@dataclass(frozen=True)
class Schedule:
    """A static schedule of the program whose hash is `program`. `about`: what it was made for and what it predicts
    (part, budgets, link, lanes, seconds), for readers; no executor needs it."""

    program: str
    ring: int
    send_slots: int
    receive_slots: int
    slot_bytes: int
    instructions: tuple[Instruction, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        """When the last result is there."""
        return max((each.end for each in self.instructions), default=0)

    def to_json(self) -> dict[str, Any]:
        """JSON values; instructions are rows of the fields that "fields" names."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "program": self.program,
            "ring": self.ring,
            "send_slots": self.send_slots,
            "receive_slots": self.receive_slots,
            "slot_bytes": self.slot_bytes,
            "cycles": self.cycles,
            "about": dict(self.about),
            "fields": list(FIELDS),
            "instructions": [each.row_json() for each in self.instructions],
        }

    @staticmethod
    def from_json(document: Any) -> Schedule:
        """The schedule of `to_json`. Raises ScheduleError for anything else, or another version."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise ScheduleError(f"expected a document of format {FORMAT!r}")
        if document.get("version") != VERSION or document.get("fields") != list(FIELDS):
            found = document.get("version")
            raise ScheduleError(f"expected schedule version {VERSION}, found {found!r}: make it again")
        try:
            rows = []
            for row in document["instructions"]:
                values: dict[str, Any] = dict(zip(FIELDS, row, strict=True))
                if values["kind"] not in KINDS or len(values["need"]) != len(Unit):
                    raise ValueError(f"instruction {row!r}")
                numbers = {key: int(value) for key, value in values.items() if key not in ("kind", "unit", "need")}
                need = tuple(int(count) for count in values["need"])
                rows.append(Instruction(kind=values["kind"], unit=Unit(values["unit"]), need=need, **numbers))
            ring, send, receive, size = (
                int(document[k]) for k in ("ring", "send_slots", "receive_slots", "slot_bytes")
            )
            about = dict(document["about"])
            return Schedule(str(document["program"]), ring, send, receive, size, tuple(rows), about)
        except (KeyError, TypeError, ValueError) as error:
            raise ScheduleError(f"expected a schedule, a field is missing or of a wrong type: {error!r}") from error

    def pack(self) -> bytes:
        """The binary form."""
        sizes = (len(self.instructions), self.send_slots, self.receive_slots, self.slot_bytes, len(Unit))
        head = struct.pack("<8I", MAGIC, VERSION, self.ring, *sizes) + bytes.fromhex(self.program)
        pack = struct.Struct(f"<{INSTRUCTION_WORDS}I").pack
        return head + b"".join(pack(*each.words()) for each in self.instructions)

    @staticmethod
    def unpack(data: bytes) -> Schedule:
        """The schedule of `pack`, without `about`. Raises ScheduleError for anything else."""
        if len(data) < 4 * HEADER_WORDS:
            raise ScheduleError(f"expected a header of {4 * HEADER_WORDS} bytes, got {len(data)} bytes")
        magic, version, ring, count, send, receive, size, units = struct.unpack_from("<8I", data)
        if (magic, units) != (MAGIC, len(Unit)) or version != VERSION:
            raise ScheduleError(f"expected a schedule of version {VERSION}, found magic {magic:#x}, version {version}")
        expected = 4 * (HEADER_WORDS + INSTRUCTION_WORDS * count)
        if len(data) != expected:
            raise ScheduleError(f"expected {expected} bytes for {count} instructions, got {len(data)}")
        rows = struct.iter_unpack(f"<{INSTRUCTION_WORDS}I", data[4 * HEADER_WORDS :])
        program = data[32 : 4 * HEADER_WORDS].hex()
        return Schedule(program, ring, send, receive, size, tuple(Instruction.of_words(row) for row in rows))
