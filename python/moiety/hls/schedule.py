"""The static schedule of a program on two boards: tiles in flight, communication beside computation.

List scheduling over the tiles' steps and transfers (isa.py). Time goes from event to event; whenever a unit is free it
takes, of the ready tasks whose slots are to be had, the earliest one. Earliest is by operation, or by a wave that leans
over the operations: the first rows of one go before the last rows of those up to WAVES operations before it, so that
the messages of a layer's last rows do not leave the link idle. Each lean is tried and the fastest schedule taken. What
overlaps, overlaps by itself: a tile is opened while the one before is multiplied and the one before that truncated (the
slots are the double buffers); both directions of a full-duplex link run at once; a server-held layer costs one message
of its input, client to server, and several layers that read one tensor share it.

    unit busy      the beats of the step (schedule_tiles.py), or the bytes of the message over the link's rate
    result there   that and the pipeline's depth, or the link's latency
    memory         one queue: a step that asks for more than the external memory has given stays until it has

Slots cannot deadlock: a message of hop h of H is put into a slot only if H - 1 - h others remain free, so that the
messages closer to their end always find one, and each end frees one.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from moiety.cost.fpga_machine import BudgetError, Machine, data
from moiety.private.program import Op, Program

from .isa import BOTH, LINKS, NONE, Instruction, Schedule, ScheduleError, Unit, view
from .schedule_tiles import Box, Grid, elementwise_linear, grid_of, hops_of, kind_of, reads, steps_of

__all__ = ["Tiling", "buffers", "machine_for", "schedule", "tile"]

WAVES = (0.0, 10.0)  # operations


@dataclass(slots=True)
class Task:
    """An instruction to be: `after` are the tasks whose results it needs, `left` how many of them are to come."""

    kind: str
    unit: Unit
    parties: int
    step: int
    op: int
    tile: int
    box: Box
    beats: int
    down: float  # share of the output's rows above it
    memory: int = 0
    bytes: int = 0
    remaining: int = -1  # messages that follow the one it makes; -1: it makes none
    after: list[int] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    left: int = 0
    message: int = -1  # of what it fills or transfers
    reads: int = -1  # the message that it reads
    start: int = -1
    cycles: int = 0
    latency: int = 0
    sequence: int = 0


@dataclass(slots=True)
class Message:
    """One hop of a tile: its slots, its transfers, and how many of those are to end."""

    out: int = NONE
    into: int = NONE
    transfers: tuple[int, ...] = ()
    left: int = 0


@dataclass(frozen=True)
class Tiling:
    """A program cut into tasks; `slot_bytes` is the longest message."""

    grids: Mapping[int, Grid]
    tasks: list[Task]
    messages: int
    hops: int
    slot_bytes: int
    bytes_server: int
    bytes_client: int


def machine_for(program: Program, machine: Machine) -> Machine:
    """The machine with the lanes that the program's operations need, and its ring."""
    kinds = {op.kind for op in program.ops}
    plain = {"square", "multiply", "scale"} & kinds
    affine = any(op.kind == "linear" and elementwise_linear(op) for op in program.ops)
    return replace(
        machine,
        ring=program.ring,
        compares=bool(kinds & {"relu", "hardtanh", "maxpool", "argmax"}),
        squares=bool(plain or affine),
        quadratics="x2" in kinds,
        sparse="spmm" in kinds,
    )


def tile(program: Program, machine: Machine) -> Tiling:
    """The tasks of a program and what each needs. Raises ScheduleError for an operation that no unit executes."""
    for op in program.ops:
        if "check_bits" in op.attrs:
            raise ScheduleError(
                f"{op.source}: expected a program without range checks, this truncation has check_bits: compile without"
            )
    producers = {op.output: index for index, op in enumerate(program.ops)}
    grids: dict[int, Grid] = {}
    last: dict[tuple[int, int], int] = {}  # (op, tile) -> the task that makes it
    tasks: list[Task] = []
    messages = longest = most = 0
    sent = [0, 0]
    for index, op in enumerate(program.ops):
        if op.kind == "input":
            continue
        kind = kind_of(op, program)
        grid = grids[index] = grid_of(op, program, machine)
        for number in range(len(grid)):
            box = grid.box(number)
            inputs = _inputs(op, program, box, producers, grids, last)
            hops = hops_of(op, program, grid, box)
            steps = steps_of(op, program, machine, grid, box)
            assert len(steps) == len(hops) + 1
            most = max(most, len(hops))
            before: list[int] = []
            for h, step in enumerate(steps):
                down = box.row / grid.shape[1]
                task = Task(kind, step.unit, step.parties, h, index, number, box, step.beats, down, step.memory)
                # Later steps read the same shares again; those of step 0 are there by then.
                task.after = [*(inputs if h == 0 else ()), *before]
                task.reads = messages - 1 if h else -1
                tasks.append(task)
                if h == len(hops):
                    break
                task.message, task.remaining = messages, len(hops) - 1 - h
                maker, before = len(tasks) - 1, []
                for unit, size in zip((Unit.TO_CLIENT, Unit.TO_SERVER), hops[h], strict=True):
                    sent[unit == Unit.TO_SERVER] += size
                    longest = max(longest, size)
                    if size:
                        move = Task(kind, unit, BOTH, h, index, number, box, 0, down, bytes=size, after=[maker])
                        move.message, move.remaining = messages, len(hops) - 1 - h
                        before.append(len(tasks))
                        tasks.append(move)
                messages += 1
            last[index, number] = len(tasks) - 1
    return Tiling(grids, tasks, messages, most, longest, *sent)


def _inputs(
    op: Op,
    program: Program,
    box: Box,
    producers: Mapping[int, int],
    grids: Mapping[int, Grid],
    last: Mapping[tuple[int, int], int],
) -> list[int]:
    found = []
    for tensor, region in reads(op, program, box):
        producer = producers[tensor]
        if producer in grids:  # the input is there
            found += [last[producer, number] for number in grids[producer].meeting(region)]
    return found


def buffers(program: Program, machine: Machine, made: Tiling) -> int:
    """Bytes on the chip: for the product two inputs of a tile and two blocks of weights, for the other units pieces of
    two tiles of each operand, and the slots; for sparse products two blocks of channels of all nodes, in and out."""
    product = sparse = 0
    for index, op in enumerate(program.ops):
        if op.kind == "spmm":
            ends = program.tensors[op.inputs[0]].shape[-1] + program.tensors[op.output].shape[-1]
            sparse = max(sparse, 2 * machine.lanes.pool * ends)
        if op.kind == "linear" and not elementwise_linear(op):
            conv, grid = op.attrs["conv"], made.grids[index]
            depth = conv["in_channels"] // conv["groups"] * math.prod(conv["kernel"])
            [(tensor, region)] = reads(op, program, grid.box(0))
            inputs = region.channels * region.rows * view(program.tensors[tensor].shape)[2]
            product = max(product, 2 * (inputs + min(machine.lanes.out, conv["out_channels"]) * depth))
    largest = max((grid.elements(grid.box(0)) for grid in made.grids.values()), default=0)
    streams = 4 * 2 * min(largest, 2048)  # units but the product stream: they hold pieces of a tile
    return (product + sparse + streams) * machine.word + 2 * machine.slots * made.slot_bytes


class _Clock:
    """The run of the tasks: who is free, what is ready, which slots are taken."""

    def __init__(self, tasks: list[Task], messages: int, machine: Machine, wave: float) -> None:
        self.tasks, self.machine, self.wave = tasks, machine, wave
        self.messages = [Message() for _ in range(messages)]
        self.free = {unit: True for unit in Unit}
        self.medium = True  # of a half-duplex link
        self.memory = 0.0
        # Ready tasks of each unit, apart by the messages that are to follow: all of a class wait for the same.
        self.ready: dict[Unit, dict[int, list[tuple[float, int, int, int]]]] = {u: defaultdict(list) for u in Unit}
        self.send, self.receive = deque(range(machine.slots)), deque(range(machine.slots))
        self.used_send: dict[int, list[int]] = {}  # slot -> tasks whose end freed it
        self.used_receive: dict[int, list[int]] = {}
        self.events: list[tuple[int, int, int, int]] = []  # time, what, number, task
        self.order: list[int] = []
        self.number = count()
        self.depth = {unit: 0 for unit in Unit}
        self._depths()

    def _depths(self) -> None:
        """Every unit's pipeline: that of its longest twin, so that what a unit starts first it ends first."""
        twins, w, machine = data("cycles"), self.machine.ring, self.machine
        lane = {
            Unit.SQUARE: f"x2_{w}" if machine.quadratics else f"square_{w}",
            Unit.TRUNCATE: f"truncate_finish_{w}",
            Unit.COMPARE: f"select_{w}",
            Unit.POOL: f"mac_{w}" if machine.sparse else f"mask_{w}",
            Unit.MOVE: f"mask_{w}",
        }
        for unit, name in lane.items():
            self.depth[unit] = twins[name]["latency"]
        self.depth[Unit.PRODUCT] = twins[f"mac_{w}"]["latency"] + machine.lanes.pix - 1
        for unit in LINKS:
            self.depth[unit] = machine.latency_cycles

    def run(self) -> None:
        for index, task in enumerate(self.tasks):
            task.left = len(task.after)
            for other in task.after:
                self.tasks[other].users.append(index)
        for index, task in enumerate(self.tasks):
            if not task.left:
                self.offer(index)
        now = 0
        self.dispatch(now)
        while self.events:
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                _, what, _, index = heapq.heappop(self.events)
                if what == 0:
                    self.release(self.tasks[index].unit)
                else:
                    self.end(index)
            self.dispatch(now)
        if len(self.order) != len(self.tasks):
            raise ScheduleError(
                f"{len(self.tasks) - len(self.order)} of {len(self.tasks)} instructions never start with "
                f"{self.machine.slots} slots: take more slots"
            )

    def offer(self, index: int) -> None:
        task = self.tasks[index]
        has = task.unit in LINKS and self.messages[task.message].into != NONE
        place = task.op + self.wave * task.down
        heapq.heappush(self.ready[task.unit][-1 if has else task.remaining], (place, task.tile, task.step, index))

    def release(self, unit: Unit) -> None:
        self.free[unit] = True
        if unit in LINKS:
            self.medium = True

    def end(self, index: int) -> None:
        task = self.tasks[index]
        if task.unit in LINKS:
            message = self.messages[task.message]
            message.left -= 1
            self.used_send[message.out].append(index)
            if not message.left:
                self.send.append(message.out)
        elif task.reads >= 0:
            slot = self.messages[task.reads].into
            self.used_receive[slot] = [index]
            self.receive.append(slot)
        for user in task.users:
            other = self.tasks[user]
            other.left -= 1
            if not other.left:
                self.offer(user)

    def startable(self, unit: Unit) -> int | None:
        """The first ready task of a unit that finds its slot: a new message leaves as many free as are to follow it."""
        free = len(self.receive if unit in LINKS else self.send)
        best: tuple[float, int, int, int] | None = None
        for remaining, heap in self.ready[unit].items():
            while heap and self.tasks[heap[0][3]].start >= 0:  # offered again when its message got its slot
                heapq.heappop(heap)
            if heap and remaining < free and (best is None or heap[0] < best):
                best = heap[0]
        return None if best is None else best[3]

    def dispatch(self, now: int) -> None:
        for unit in Unit:
            while self.free[unit] and (self.medium or unit not in LINKS):
                index = self.startable(unit)
                if index is None:
                    break
                self.begin(index, now)

    def begin(self, index: int, now: int) -> None:
        task, machine = self.tasks[index], self.machine
        task.start, task.sequence, task.latency = now, len(self.order), self.depth[task.unit]
        self.order.append(index)
        if task.unit in LINKS:
            message = self.messages[task.message]
            if message.into == NONE:
                message.into = self.receive.popleft()
                for other in message.transfers:  # the other direction has its slot now
                    if other != index and not self.tasks[other].left:
                        self.offer(other)
            task.after += self.used_receive.get(message.into, [])
            overhead = 0.0 if task.tile else machine.link.overhead * machine.frequency
            task.cycles = max(1, math.ceil(task.bytes / machine.link_bytes + overhead))
            if not machine.link.full_duplex:
                self.medium = False
        else:
            task.cycles = max(1, math.ceil(task.beats / (1 - machine.stall)))
            if task.memory:
                self.memory = max(self.memory, now) + task.memory / machine.memory_bytes
                task.cycles = max(task.cycles, math.ceil(self.memory - now))
            if task.message >= 0:
                message = self.messages[task.message]
                message.out = self.send.popleft()
                task.after += self.used_send.get(message.out, [])
                self.used_send[message.out] = []
                message.transfers = tuple(user for user in task.users if self.tasks[user].unit in LINKS)
                message.left = len(message.transfers)
        self.free[task.unit] = False
        heapq.heappush(self.events, (now + task.cycles, 0, next(self.number), index))
        heapq.heappush(self.events, (now + task.cycles + task.latency, 1, next(self.number), index))


def schedule(program: Program, machine: Machine | None = None) -> Schedule:
    """The schedule of one inference of one sample of `program` on two of `machine` (by default a ZCU104 each).

    The machine's ring and kinds of lanes are the program's. Raises ScheduleError for what cannot be scheduled, and
    BudgetError (machine, tile or slots do not fit the part), with the constraint's name.
    """
    made_for = machine_for(program, machine or Machine())
    made = tile(program, made_for)
    if made.hops > made_for.slots:
        raise BudgetError(
            f"{made_for.slots} slots each way: expected at least {made.hops}, the messages of the longest operation"
        )
    if made_for.slot_bytes and made.slot_bytes > made_for.slot_bytes:
        raise BudgetError(
            f"slots of {made_for.slot_bytes} bytes: expected at least {made.slot_bytes}, the longest message of a tile "
            f"of {made_for.tile} elements: take a smaller tile"
        )
    on_chip = buffers(program, made_for, made)
    area = made_for.require(on_chip)
    tried = []
    for wave in WAVES:
        made = tile(program, made_for)  # afresh: a run leaves its marks in the tasks
        clock = _Clock(made.tasks, made.messages, made_for, wave)
        clock.run()
        tried.append(_emit(made.tasks, clock))
    instructions = min(tried, key=lambda each: max(i.end for i in each))
    result = Schedule(program.hash, program.ring, made_for.slots, made_for.slots, made.slot_bytes, instructions)
    busy = {unit.name.lower(): sum(i.cycles for i in instructions if i.unit == unit) for unit in Unit}
    about: dict[str, Any] = {
        "part": made_for.part.name,
        "frequency": made_for.frequency,
        "seconds": made_for.seconds(result.cycles),
        "lanes": vars(made_for.lanes),
        "link": vars(made_for.link),
        "area": {"dsp": area.dsp, "lut": area.lut, "ff": area.ff, "on_chip": area.on_chip},
        "bytes": {
            "to_client": made.bytes_server,
            "to_server": made.bytes_client,
            "memory": sum(task.memory for task in made.tasks),
        },
        "busy": busy,
    }
    return replace(result, about=about)


def _emit(tasks: list[Task], clock: _Clock) -> tuple[Instruction, ...]:
    """The tasks in the order of their starts; `need` from what each waited for, by unit."""
    position: dict[int, int] = {}
    counts = dict.fromkeys(Unit, 0)
    for index in clock.order:
        counts[tasks[index].unit] += 1
        position[index] = counts[tasks[index].unit]
    instructions = []
    for index in clock.order:
        task = tasks[index]
        need = [0] * len(Unit)
        for other in task.after:
            unit = tasks[other].unit
            need[unit] = max(need[unit], position[other])
        filled = clock.messages[task.message] if task.message >= 0 else None
        into = filled.into if filled and task.unit in LINKS else NONE
        if task.unit not in LINKS and task.reads >= 0:
            into = clock.messages[task.reads].into
        instructions.append(
            Instruction(
                kind=task.kind,
                unit=task.unit,
                parties=task.parties,
                step=task.step,
                op=task.op,
                tile=task.tile,
                channel=task.box.channel,
                channels=task.box.channels,
                row=task.box.row,
                rows=task.box.rows,
                out=filled.out if filled else NONE,
                into=into,
                bytes=task.bytes,
                cycles=task.cycles,
                latency=task.latency,
                start=task.start,
                need=tuple(need),
            )
        )
    return tuple(instructions)
