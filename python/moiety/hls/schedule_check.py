"""Whether a schedule is one: every tile once, dependencies, slots, units and links, from the program and not from the
scheduler's own records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from moiety.cost.fpga_machine import Machine
from moiety.private.program import Program

from .isa import LINKS, NONE, Instruction, Schedule, ScheduleError, Unit, view
from .schedule_tiles import Box, grid_of, hops_of, kind_of, reads

__all__ = ["check"]


def _fail(constraint: str, each: Instruction, expected: str) -> ScheduleError:
    where = f"{each.kind} of operation {each.op}, tile {each.tile}, step {each.step}"
    return ScheduleError(f"{constraint}: {where}: expected {expected}, starts at {each.start}, ends at {each.end}")


def check(schedule: Schedule, program: Program, machine: Machine) -> None:
    """Raises ScheduleError that names the constraint which the schedule breaks on `machine`."""
    if schedule.program != program.hash:
        raise ScheduleError(f"expected the schedule of program {program.hash[:16]}, got {schedule.program[:16]}'s")
    done = _tiles(schedule, program, machine)
    _dependencies(schedule, program, done)
    _units(schedule, machine)
    _slots(schedule)
    _needs(schedule)


def _tiles(schedule: Schedule, program: Program, machine: Machine) -> dict[int, list[tuple[Box, int]]]:
    """Every element of every operation's output in exactly one tile, with all its steps and transfers. Returns where
    and when each operation's tiles are done."""
    found: dict[tuple[int, int], list[Instruction]] = defaultdict(list)
    for each in schedule.instructions:
        found[each.op, each.tile].append(each)
    done: dict[int, list[tuple[Box, int]]] = defaultdict(list)
    covered: dict[int, int] = defaultdict(int)
    for (index, number), tile in found.items():
        op = program.ops[index]
        grid, first = grid_of(op, program, machine), tile[0]
        box = Box(first.channel, first.channels, first.row, first.rows)
        if number >= len(grid) or grid.box(number) != box:
            raise _fail("tile", first, f"a tile of {len(grid)}")
        hops = hops_of(op, program, grid, box)
        wanted = [(False, h, 0) for h in range(len(hops) + 1)]
        wanted += [(True, h, size) for h, hop in enumerate(hops) for size in hop if size]
        had = [(each.unit in LINKS, each.step, each.bytes) for each in tile]
        if sorted(wanted) != sorted(had) or any(each.kind != kind_of(op, program) for each in tile):
            raise _fail("steps", first, f"{sorted(wanted)}, got {sorted(had)}")
        ends = {each.step: each.end for each in tile if each.unit not in LINKS}
        starts = {each.step: each.start for each in tile if each.unit not in LINKS}
        for each in tile:
            if each.unit in LINKS and not (ends[each.step] <= each.start and each.end <= starts[each.step + 1]):
                raise _fail("dependency", each, "the transfer between the steps that make and use the message")
        covered[index] += grid.elements(box)
        done[index].append((box, max(ends.values())))
    for index, op in enumerate(program.ops):
        channels, rows, columns = view(program.tensors[op.output].shape)
        if op.kind != "input" and covered[index] != channels * rows * columns:
            raise ScheduleError(f"tiles: operation {index} has {covered[index]} elements in tiles, not each once")
    return done


def _meet(a: Box, b: Box) -> bool:
    across = a.channel < b.channel + b.channels and b.channel < a.channel + a.channels
    return across and a.row < b.row + b.rows and b.row < a.row + a.rows


def _dependencies(schedule: Schedule, program: Program, done: dict[int, list[tuple[Box, int]]]) -> None:
    """A tile's first step begins when what it reads of every input is done."""
    producers = {op.output: index for index, op in enumerate(program.ops) if op.kind != "input"}
    for each in schedule.instructions:
        if each.step or each.unit in LINKS:
            continue
        box = Box(each.channel, each.channels, each.row, each.rows)
        for tensor, region in reads(program.ops[each.op], program, box):
            for other, end in done[producers[tensor]] if tensor in producers else ():
                if _meet(other, region) and each.start < end:
                    raise _fail("dependency", each, f"a start after {end}, when its input is there")


def _units(schedule: Schedule, machine: Machine) -> None:
    """One instruction at a time on a unit, in order; one direction at a time on a half-duplex link; no faster than the
    link and the memory are."""
    groups: list[list[Unit]] = [[unit] for unit in Unit]
    if not machine.link.full_duplex:
        groups.append(list(LINKS))
    for group in groups:
        free = end = 0
        for each in schedule.instructions:
            if each.unit in group:
                if each.start < free:
                    raise _fail("unit", each, f"{each.unit.name} to be free, which it is at {free}")
                if len(group) == 1 and each.end < end:
                    raise _fail("unit", each, f"an end after {end}, that of the instruction before")
                free, end = each.start + each.cycles, each.end
    for each in schedule.instructions:
        if each.unit in LINKS and each.cycles * machine.link_bytes < each.bytes:
            raise _fail("link", each, f"at least {each.bytes / machine.link_bytes:.1f} cycles")


def _slots(schedule: Schedule) -> None:
    """A slot holds one message at a time and no longer one than it is large."""
    out: dict[tuple[int, int, int], list[Instruction]] = defaultdict(list)  # by message: op, tile, hop
    into: dict[tuple[int, int, int], list[Instruction]] = defaultdict(list)
    for each in schedule.instructions:
        if each.out != NONE:
            out[each.op, each.tile, each.step].append(each)
        if each.into != NONE:
            into[each.op, each.tile, each.step - (each.unit not in LINKS)].append(each)
        if each.bytes > schedule.slot_bytes:
            raise _fail("slot", each, f"at most {schedule.slot_bytes} bytes in a slot, got {each.bytes}")
    for messages, count, name in ((out, schedule.send_slots, "out"), (into, schedule.receive_slots, "into")):
        spans = []
        for held in messages.values():
            slots = {getattr(each, name) for each in held}
            if len(slots) != 1 or not slots <= set(range(count)):
                raise _fail("slot", held[0], f"one of {count} slots for the message, got {sorted(slots)}")
            spans.append((slots.pop(), min(e.start for e in held), max(e.end for e in held), held[0]))
        _disjoint(spans)


def _disjoint(spans: Iterable[tuple[int, int, int, Instruction]]) -> None:
    free: dict[int, int] = defaultdict(int)
    for slot, start, end, each in sorted(spans, key=lambda span: (span[0], span[1])):
        if start < free[slot]:
            raise _fail("slot", each, f"slot {slot} to be free, which it is at {free[slot]}")
        free[slot] = end


def _needs(schedule: Schedule) -> None:
    """`need` is met by earlier entries of the list, whose ends come no later than the start; and what it lets start
    without looking at times respects every tile's steps."""
    ends: dict[Unit, list[int]] = {unit: [] for unit in Unit}
    for each in schedule.instructions:
        for unit, needed in zip(Unit, each.need, strict=True):
            if needed > len(ends[unit]) or (needed and ends[unit][needed - 1] > each.start):
                raise _fail("need", each, f"{needed} instructions of {unit.name} to have ended")
        ends[each.unit].append(each.end)
