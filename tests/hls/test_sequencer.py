"""A schedule's predicted cycles against an RTL sequencer that runs it, tile by tile, with random back-pressure."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from moiety import private
from moiety.cost.fpga_machine import Lanes, Link, Machine
from moiety.hls.isa import Schedule, Unit, view
from moiety.hls.schedule import schedule
from moiety.hls.schedule_tiles import elementwise_linear
from moiety.nn import X2Act
from moiety.private.program import Program

sys.path.insert(0, str(Path(__file__).parents[2] / "hls" / "model"))
import rtl_bench as bench

pytestmark = pytest.mark.skipif(bench.verilator() is None, reason=bench.MISSING)

LANES = {"out": 8, "pix": 8, "square": 1, "truncate": 2, "pool": 1, "move": 2}
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sequencer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parameters = [f"-G{name.upper()}={count}" for name, count in LANES.items()]
    return bench.build(tmp_path_factory.mktemp("sequencer"), "sequencer", ["-GW=32", *parameters])


@pytest.fixture(scope="module")
def program() -> Program:
    """Four server-held layers, squares, truncations, a sum over windows and a shortcut, in the ring of 32 bits."""
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), X2Act(16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) + x

    layers = [nn.Conv2d(3, 16, 3, padding=1), X2Act(16), Block(), nn.Conv2d(16, 24, 3, stride=2, padding=1), X2Act(24)]
    model = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24 * 16, 10)).eval()
    x = torch.randn(2, 3, 16, 16)
    return private.compile(model, x[:1], calibration=x, ring=32, fraction_bits=8)


def shapes(program: Program) -> bytes:
    """What the loader tells the sequencer of every operation: columns, beats of a block, beats an element."""
    rows = []
    for op in program.ops:
        depth, factor = 1, 1
        if op.kind == "linear" and not elementwise_linear(op):
            conv = op.attrs["conv"]
            depth = conv["in_channels"] // conv["groups"] * math.prod(conv["kernel"])
        elif op.kind == "sumpool":
            factor = math.prod(op.attrs["kernel"])
        elif op.kind == "reshape":
            factor = 0
        rows.append((view(program.tensors[op.output].shape)[2], depth, factor))
    return np.array(rows, "<u4").tobytes()


def ran(binary: Path, made: Schedule, program: Program, machine: Machine, folder: Path, seed: int) -> dict[str, Any]:
    (folder / "schedule").write_bytes(made.pack())
    (folder / "shapes").write_bytes(shapes(program))
    options = [f"{machine.link_bytes}", f"{machine.latency_cycles}", f"{round(100 * machine.stall)}", f"{seed}"]
    done = subprocess.run(
        [binary, folder / "schedule", folder / "shapes", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("stall", [0.0, 0.2])
@pytest.mark.parametrize("bandwidth", [2e8, 1.6e9])
def test_predicted_cycles(sequencer: Path, program: Program, tmp_path: Path, stall: float, bandwidth: float) -> None:
    """Link-bound and product-bound, at full rate and with a fifth of all cycles held back."""
    link = Link(bandwidth=bandwidth, latency=5e-6)
    machine = Machine(ring=32, lanes=Lanes(**LANES), link=link, tile=1024, stall=stall, memory=1e15)
    made = schedule(program, machine)
    assert len({each.op for each in made.instructions if each.unit == Unit.PRODUCT}) >= 3
    for seed in (1, 2):
        found = ran(sequencer, made, program, machine, tmp_path, seed)
        counts = [sum(each.unit == unit for each in made.instructions) for unit in Unit]
        assert found["ended"] == counts
        assert found["cycles"] == pytest.approx(made.cycles, rel=0.01)


def test_a_wrong_schedule_does_not_end_well(sequencer: Path, program: Program, tmp_path: Path) -> None:
    """The sequencer takes no cycles from the schedule: other predictions run alike; a comparison is refused."""
    import dataclasses

    machine = Machine(ring=32, lanes=Lanes(**LANES), link=Link(latency=5e-6), tile=1024, memory=1e15)
    made = schedule(program, machine)
    lies = tuple(dataclasses.replace(each, cycles=1, latency=0, start=0) for each in made.instructions)
    honest = ran(sequencer, made, program, machine, tmp_path, 1)
    assert ran(sequencer, dataclasses.replace(made, instructions=lies), program, machine, tmp_path, 1) == honest
    compares = tuple(dataclasses.replace(each, unit=Unit.COMPARE) for each in made.instructions[:1])
    with pytest.raises(AssertionError, match="unit 3"):
        ran(sequencer, dataclasses.replace(made, instructions=compares), program, machine, tmp_path, 1)
