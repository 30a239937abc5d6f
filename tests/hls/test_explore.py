"""The design space: real schedules, a front that nothing beats, the command; our schedule against the paper's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from moiety import private
from moiety.cli import app
from moiety.cost.fpga_energy import PASNET, STATED, joules
from moiety.cost.fpga_explore import explore, pareto, place, priced
from moiety.cost.fpga_machine import PARTS, BudgetError, Link, Machine
from moiety.hls.isa import Schedule
from moiety.hls.schedule import schedule
from moiety.hls.schedule_check import check
from moiety.private.program import Program

torch.set_num_threads(1)

PAPER = Machine(part=PARTS["zcu104"], link=Link(bandwidth=1e9, latency=1e-4), frequency=200e6, tile=8192)


@pytest.fixture(scope="module")
def program() -> Program:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 64, 4),
    ).eval()  # fmt: skip
    x = torch.randn(2, 3, 8, 8)
    return private.compile(model, x[:1], calibration=x)


@pytest.fixture(scope="module")
def saved(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "small.moiety"
    program.save(path)
    return path


def test_front(program: Program) -> None:
    points = explore(program, PAPER)
    front = pareto(points)
    assert points == sorted(points, key=lambda p: p.seconds)
    assert points[0] in front
    for point in points:
        assert point.area.dsp <= 1728
        check(point.schedule, program, point.machine)
        assert point.joules == pytest.approx(point.watts * point.seconds)
        if point not in front:
            assert any(
                o.seconds <= point.seconds and o.area.dsp <= point.area.dsp and o.area.lut <= point.area.lut
                and o.watts <= point.watts for o in front
            )  # fmt: skip
    least = [p.area.dsp for p in sorted(front, key=lambda p: -p.seconds)]
    assert least[0] < points[0].area.dsp


def test_budgets(program: Program) -> None:
    small = explore(program, Machine(part=PARTS["zcu104"], dsp=300))
    assert max(p.area.dsp for p in small) <= 300
    with pytest.raises(BudgetError, match=r"a product of 64 bits takes 10 DSPs.*expected room for one"):
        place(program, Machine(part=PARTS["zcu104"], dsp=5))
    with pytest.raises(BudgetError, match="LUT, the budget is 1000"):
        explore(program, Machine(part=PARTS["zcu104"], lut=1000))


def test_energy(program: Program) -> None:
    machine = place(program, PAPER)
    made = schedule(program, machine)
    seconds = machine.seconds(made.cycles)
    assert joules(made, machine, PASNET) == pytest.approx(16 * seconds)
    stated = joules(made, machine, STATED)
    assert stated > 2 * STATED.static * seconds
    assert stated < 60 * seconds


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["fpga", "explore", *arguments])


def test_command(saved: Path, tmp_path: Path) -> None:
    picture, plan = tmp_path / "fastest.svg", tmp_path / "fastest.json"
    files = ["--svg", str(picture), "--schedule", str(plan)]
    ran = run(str(saved), "--part", "kv260", "--link", "10Gbit", "--json", *files)
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert document["part"] == "kv260"
    assert document["link"]["bytes_per_second"] == 1.25e9
    assert {"seconds", "dsp", "lut", "watts", "joules", "lanes"} <= set(document["points"][0])
    assert picture.read_text().startswith("<svg")
    made = Schedule.from_json(json.loads(plan.read_text()))
    assert made.cycles / 200e6 == pytest.approx(min(point["seconds"] for point in document["points"]))


def test_command_says_what_is_wrong(saved: Path) -> None:
    for arguments, words in (
        (["--link", "0Gbit"], "expected a positive rate"),
        (["--part", "zcu9"], "part is 'zcu9': expected one of zcu104"),
        (["--dsp", "4"], "takes 10 DSPs"),
        (["--power", "none"], "expected stated or pasnet"),
    ):
        ran = run(str(saved), *arguments)
        assert ran.exit_code == 1
        assert words in ran.output
    ran = run("no_such_model")
    assert ran.exit_code == 1
    assert "expected a program's file or one of" in ran.output
    assert run("missing.moiety").exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("pasnet_a", 0.063), ("pasnet_b", 0.228)])
def test_our_schedule_against_the_published_table(name: str, published: float) -> None:
    """On the paper's boards, ring, clock and link, at measured area: at least 1.6 times faster."""
    made_of = priced(name, 32)
    machine = place(made_of, PAPER, pace=2)
    made = schedule(made_of, machine)
    check(made, made_of, machine)
    assert made.about["area"]["dsp"] <= 1728
    assert machine.lanes.out * machine.lanes.pix <= 576
    assert published / machine.seconds(made.cycles) >= 1.6
