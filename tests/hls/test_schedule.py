"""Schedules: invariants on random programs and machines, the files, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from moiety import private
from moiety._core import mpc
from moiety.cost.fpga_machine import PARTS, BudgetError, Lanes, Link, Machine, link_of, part_of
from moiety.cost.hops import operation_hops, requests_of
from moiety.hls import schedule_check
from moiety.hls.isa import LINKS, NONE, Schedule, ScheduleError, Unit
from moiety.hls.schedule import schedule, tile
from moiety.hls.schedule_check import check
from moiety.hls.schedule_svg import gantt
from moiety.hls.schedule_tiles import prefix_nodes
from moiety.nn import X2Act
from moiety.private.plan import plan
from moiety.private.program import Program

torch.set_num_threads(1)


class Residual(nn.Module):
    """A body beside a shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


def compiled(model: nn.Module, size: int = 12, ring: int = 64, **options: Any) -> Program:
    torch.manual_seed(0)
    x = torch.randn(2, 3, size, size)
    fraction = 16 if ring == 64 else 8
    return private.compile(model.eval(), x[:1], calibration=x, ring=ring, fraction_bits=fraction, **options)


def networks() -> dict[str, Program]:
    torch.manual_seed(0)
    conv = nn.Conv2d
    relu = nn.Sequential(
        conv(3, 8, 3, padding=1), nn.ReLU(),
        Residual(nn.Sequential(conv(8, 12, 3, 2, 1), nn.ReLU()), conv(8, 12, 1, 2)),
        nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip
    squares = nn.Sequential(
        conv(3, 8, 3, padding=1), X2Act(8), conv(8, 8, 3, padding=1, groups=8), X2Act(8), nn.AvgPool2d(3, 2, 1),
        Residual(conv(8, 8, 3, padding=1), nn.Identity()), X2Act(8), nn.Flatten(), nn.Linear(8 * 36, 4),
    )  # fmt: skip
    pools = nn.Sequential(conv(3, 6, 3), nn.MaxPool2d(2), nn.ReLU(), nn.ConvTranspose2d(6, 4, 2, 2), nn.ReLU())
    return {
        "relu": compiled(relu),
        "squares32": compiled(squares, ring=32),
        "pools": compiled(pools),
        "class": compiled(nn.Sequential(nn.Flatten(), nn.Linear(432, 7)), output="class"),
    }


NETWORKS = networks()
FAST = {"latency": 2e-6, "bandwidth": 2e9}


def machine(**options: Any) -> Machine:
    lanes = options.pop("lanes", Lanes(out=4, pix=3))
    return Machine(**{"lanes": lanes, "link": Link(**FAST), "tile": 128, "slots": 40} | options)


def made_for(program: Program, base: Machine) -> Machine:
    """The machine as the schedule takes it, for `check`."""
    return dataclasses.replace(base, ring=program.ring)


links = st.builds(
    Link,
    bandwidth=st.sampled_from([1e8, 1e9, 1e10]),
    latency=st.sampled_from([0.0, 1e-6, 1e-4]),
    full_duplex=st.booleans(),
    overhead=st.sampled_from([0.0, 1e-6]),
)
lanes = st.builds(
    Lanes, out=st.integers(1, 9), pix=st.integers(1, 9), square=st.integers(1, 3), truncate=st.integers(1, 3),
    compare=st.sampled_from([8, 16]), select=st.integers(1, 2), pool=st.integers(1, 2), move=st.integers(1, 5),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    link=links,
    lanes=lanes,
    tile=st.sampled_from([32, 100, 400, 5000]),
    slots=st.integers(22, 40),
    memory=st.sampled_from([None, 1e8]),
)
def test_invariants(name: str, link: Link, lanes: Lanes, tile: int, slots: int, memory: float | None) -> None:
    """Every tile once with all its steps; dependencies; units, link and slots never held twice; needs are met."""
    program = NETWORKS[name]
    base = machine(link=link, lanes=lanes, tile=tile, slots=slots, memory=memory)
    made = schedule(program, base)
    check(made, program, made_for(program, base))
    assert sum(each.bytes for each in made.instructions if each.unit in LINKS) == sum(
        made.about["bytes"][way] for way in ("to_client", "to_server")
    )
    assert made.about["area"]["dsp"] <= base.part.dsp


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(NETWORKS)), seed=st.integers(0, 1 << 32))
def test_any_start_that_the_needs_allow_is_correct(name: str, seed: int) -> None:
    """A machine that looks at `need` alone, with units that take any time, keeps dependencies and slots."""
    program = NETWORKS[name]
    made = schedule(program, machine(slots=24))
    slower = random.Random(seed)
    ends: dict[Unit, list[int]] = {unit: [] for unit in Unit}
    free = dict.fromkeys(Unit, 0)
    retimed = []
    for each in made.instructions:
        waits = [ends[unit][needed - 1] for unit, needed in zip(Unit, each.need, strict=True) if needed]
        start = max([free[each.unit], *waits])
        cycles = slower.randint(each.cycles, 3 * each.cycles)
        end = max([start + cycles + each.latency, *ends[each.unit][-1:]])
        free[each.unit] = start + cycles
        ends[each.unit].append(end)
        retimed.append(dataclasses.replace(each, start=start, cycles=cycles, latency=end - start - cycles))
    ordered = sorted(retimed, key=lambda each: each.start)
    again = dataclasses.replace(made, instructions=tuple(ordered))
    base = made_for(program, machine(slots=24))
    done = schedule_check._tiles(again, program, base)
    schedule_check._dependencies(again, program, done)
    schedule_check._slots(again)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_traffic_is_the_engines(name: str) -> None:
    """The bytes of all tiles are those of the plan's protocols, but for the planes that tiles round up."""
    program = NETWORKS[name]
    made = plan(program, 1, "circuit")
    requests = requests_of(made)
    base = dataclasses.replace(machine(), ring=program.ring, tile=1 << 20)
    whole = tile(program, base)
    tiles = [sum(t.bytes for t in whole.tasks if t.op == i) for i in range(len(program.ops))]
    for index, op in enumerate(program.ops):
        if op.kind != "input":
            hops = operation_hops(program, made, op, requests.get(index, range(0)))
            assert tiles[index] == sum(map(sum, hops)), op


@pytest.mark.parametrize("bits", range(2, 65))
def test_nodes_of_a_circuit(bits: int) -> None:
    """One plane for G and, but in the lowest group, one for P of every node."""
    _, *opened = mpc.circuit_planes(bits)
    assert tuple((planes + 1) // 2 for planes in opened) == prefix_nodes(bits)


def test_files(tmp_path: Any) -> None:
    made = schedule(NETWORKS["relu"], machine())
    assert Schedule.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert dataclasses.replace(Schedule.unpack(made.pack()), about=made.about) == made
    picture = gantt(made)
    texts = {element.text for element in ElementTree.fromstring(picture).iter() if element.text}
    assert {"compare", "to_server", "relu", "open"} <= texts
    with pytest.raises(ScheduleError, match="version 2, found 3"):
        Schedule.from_json(made.to_json() | {"version": 3})
    with pytest.raises(ScheduleError, match="expected a document of format"):
        Schedule.from_json([])
    with pytest.raises(ScheduleError, match="field is missing"):
        Schedule.from_json({k: v for k, v in made.to_json().items() if k != "ring"})
    with pytest.raises(ScheduleError, match=r"expected \d+ bytes for"):
        Schedule.unpack(made.pack()[:-4])
    with pytest.raises(ScheduleError, match="header"):
        Schedule.unpack(b"MOIS")
    with pytest.raises(ScheduleError, match="version 2, found magic"):
        Schedule.unpack(b"\0" * 64)


def faults(made: Schedule) -> dict[str, tuple[str, Schedule]]:
    """Broken schedules, and the constraint that each breaks."""
    steps = list(made.instructions)
    last = next(i for i, each in enumerate(steps) if each.kind == "linear" and any(each.need))
    move = next(i for i, each in enumerate(steps) if each.unit == Unit.TO_SERVER)
    second = next(i for i, each in enumerate(steps) if each.unit == Unit.TO_SERVER and i > move)

    def put(index: int, **changes: Any) -> Schedule:
        rows = [*steps]
        rows[index] = dataclasses.replace(rows[index], **changes)
        return dataclasses.replace(made, instructions=tuple(rows))

    return {
        "left out": ("steps|tiles", dataclasses.replace(made, instructions=tuple(steps[:-1]))),
        "twice": ("steps", dataclasses.replace(made, instructions=(*steps, steps[-1]))),
        "early": ("dependency", put(last, start=0)),
        "other tile": ("tile", put(last, rows=steps[last].rows + 1)),
        "fast link": ("link", put(move, cycles=1)),
        "slot": ("slot", put(move, into=made.receive_slots)),
        "same slot": ("slot", put(second, out=steps[move].out, into=steps[move].into)),
        "need": ("need", put(last, need=(10_000, *steps[last].need[1:]))),
        "program": ("program", dataclasses.replace(made, program="0" * 64)),
    }


@pytest.mark.parametrize(
    "fault", ["left out", "twice", "early", "other tile", "fast link", "slot", "same slot", "need", "program"]
)
def test_the_check_finds(fault: str) -> None:
    program = NETWORKS["squares32"]
    made = schedule(program, machine())
    check(made, program, made_for(program, machine()))
    constraint, broken = faults(made)[fault]
    with pytest.raises(ScheduleError, match=constraint):
        check(broken, program, made_for(program, machine()))


def test_overlap() -> None:
    """More of what a schedule has to share makes it no slower; the least is what its busiest unit needs."""
    program = NETWORKS["squares32"]
    base = machine(lanes=Lanes(out=8, pix=8), link=Link(bandwidth=2e8, latency=2e-6))
    made = schedule(program, base)
    half = schedule(program, dataclasses.replace(base, link=dataclasses.replace(base.link, full_duplex=False)))
    whole = schedule(program, dataclasses.replace(base, tile=1 << 20))
    busiest = max(made.about["busy"].values())
    assert busiest <= made.cycles < half.cycles
    assert made.cycles < whole.cycles
    assert half.cycles >= half.about["busy"]["to_server"] + half.about["busy"]["to_client"]


def test_one_way_openings() -> None:
    """A server-held layer costs one message, of the client; several layers of one tensor share it."""
    program = NETWORKS["relu"]
    made = schedule(program, machine())
    opens = [each for each in made.instructions if each.kind == "open"]
    assert {each.unit for each in opens if each.unit in LINKS} == {Unit.TO_SERVER}
    linear = [op for op in program.ops if op.kind == "linear"]
    assert len({each.op for each in opens}) < len(linear)
    assert all(each.out == each.into == NONE for each in made.instructions if each.kind == "linear")


def test_what_does_not_fit_is_named() -> None:
    program = NETWORKS["relu"]
    with pytest.raises(BudgetError, match=r"need \d+ DSP, the budget is 20"):
        schedule(program, machine(dsp=20))
    with pytest.raises(BudgetError, match=r"need \d+ LUT, the budget is 100"):
        schedule(program, machine(lut=100))
    with pytest.raises(BudgetError, match=r"slots of 100 bytes: expected at least \d+"):
        schedule(program, machine(slot_bytes=100))
    with pytest.raises(BudgetError, match="3 slots each way: expected at least 4"):
        schedule(program, machine(slots=3))
    with pytest.raises(BudgetError, match="bytes of BRAM and URAM"):
        schedule(program, machine(slots=4000, tile=5000))
    with pytest.raises(BudgetError, match=r"4 slots each way: expected at least \d+"):
        schedule(NETWORKS["pools"], machine(slots=4))


def test_what_is_not_a_machine_is_named() -> None:
    with pytest.raises(ValueError, match="link bandwidth is 0 bytes/s: expected a positive rate"):
        Link(bandwidth=0)
    with pytest.raises(ValueError, match="link is '0Gbit': expected a positive rate"):
        link_of("0Gbit")
    with pytest.raises(ValueError, match="link is 'fast': expected a rate such as"):
        link_of("fast")
    with pytest.raises(ValueError, match="latency is -1 s"):
        Link(latency=-1)
    with pytest.raises(ValueError, match=r"part is 'zcu999': expected one of zcu104"):
        part_of("zcu999")
    with pytest.raises(ValueError, match="square is 0: expected at least 1 lane"):
        Lanes(square=0)
    with pytest.raises(ValueError, match="ring is 48"):
        Machine(ring=48)
    with pytest.raises(ValueError, match="frequency is 0 Hz"):
        Machine(frequency=0)
    assert link_of("8Gbit").bandwidth == 1e9
    assert PARTS["zcu104"].dsp == 1728


def test_an_operation_that_no_unit_executes_is_named() -> None:
    program = NETWORKS["relu"]
    ops = [dataclasses.replace(op, kind="softmax", source="head") if op.kind == "relu" else op for op in program.ops]
    with pytest.raises(ScheduleError, match="head: the schedule knows no operation 'softmax'"):
        schedule(dataclasses.replace(program, ops=tuple(ops)), machine())


def test_range_checks_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    with pytest.raises(ScheduleError, match="without range checks"):
        schedule(compiled(model, check_range=True), machine())
