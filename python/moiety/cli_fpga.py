"""The command `fpga explore`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moiety.cli_common import Json, emit, guarded

if TYPE_CHECKING:
    from moiety.cost.fpga_explore import Point
    from moiety.private.program import Program

__all__ = ["register"]

Target = Annotated[str, typer.Argument(metavar="PROGRAM", help="A file of `moiety compile`, or a model of the zoo.")]
PartName = Annotated[str, typer.Option("--part", help="zcu104, zcu102, kv260, alveo-u50, alveo-u250 or alveo-u280.")]
Rate = Annotated[str, typer.Option("--link", help="Bits a second each way, such as 8Gbit.")]
Latency = Annotated[float, typer.Option(min=0, help="Milliseconds from a message's last bit to its arrival.")]
Half = Annotated[bool, typer.Option("--half-duplex", help="Both directions share the link.")]
Ring = Annotated[int, typer.Option(help="Of a model of the zoo: 32 or 64.")]
OnGraph = Annotated[
    str | None, typer.Option("--graph", help="Of a model over a graph: the data set whose it is, karate, sbm, cora ...")
]
Clock = Annotated[float, typer.Option("--clock", min=1, help="Assumed MHz.")]
Dsp = Annotated[int | None, typer.Option(help="DSP budget of a board. Default: the part's.")]
Lut = Annotated[int | None, typer.Option(help="LUT budget of a board. Default: three quarters of the part's.")]
PowerName = Annotated[str, typer.Option("--power", help="stated, or pasnet: 16 W for both boards.")]
All = Annotated[bool, typer.Option("--all", help="Every point, not the Pareto front alone.")]
Svg = Annotated[Path | None, typer.Option(help="Draw the fastest schedule there.")]
Out = Annotated[Path | None, typer.Option("--schedule", help="Write the fastest schedule there, .json or binary.")]


def explore(
    program: Target,
    part: PartName = "zcu104",
    link: Rate = "8Gbit",
    latency: Latency = 0.1,
    half_duplex: Half = False,
    ring: Ring = 32,
    graph: OnGraph = None,
    clock: Clock = 200.0,
    dsp: Dsp = None,
    lut: Lut = None,
    power: PowerName = "stated",
    all_points: All = False,
    svg: Svg = None,
    schedule: Out = None,
    json: Json = False,
) -> None:
    """Latency against DSPs, LUTs and power of a program on two boards: the Pareto front of scheduled machines."""
    from moiety.cost.fpga_energy import POWERS
    from moiety.cost.fpga_explore import explore as points_of
    from moiety.cost.fpga_explore import pareto
    from moiety.cost.fpga_machine import Machine, link_of, part_of

    if power not in POWERS:
        raise ValueError(f"--power is {power!r}: expected {' or '.join(POWERS)}")
    wire = link_of(link, latency=1e-3 * latency, full_duplex=not half_duplex)
    base = Machine(part=part_of(part), link=wire, frequency=1e6 * clock, dsp=dsp, lut=lut)
    points = points_of(_program(program, ring, graph), base, power=POWERS[power])
    fastest, shown = points[0], points if all_points else pareto(points)
    if svg is not None:
        from moiety.hls.schedule_svg import gantt

        svg.write_text(gantt(fastest.schedule))
    if schedule is not None:
        made = fastest.schedule
        data = json_module.dumps(made.to_json()).encode() if schedule.suffix == ".json" else made.pack()
        schedule.write_bytes(data)
    document: dict[str, Any] = {
        "program": program,
        "part": part,
        "link": {"bytes_per_second": wire.bandwidth, "latency": wire.latency, "full_duplex": wire.full_duplex},
        "frequency": base.frequency,
        "power": power,
        "points": [point.to_json() for point in shown],
    }
    emit(json, document, _table(shown, len(points)))


def _program(target: str, ring: int, graph: str | None) -> Program:
    from moiety.private.program import load

    if Path(target).is_file() or target.endswith((".moiety", ".safetensors")):
        return load(target)
    from moiety.cost.fpga_explore import priced

    if ring not in (32, 64):
        raise ValueError(f"--ring is {ring}: expected 32 or 64")
    return priced(target, ring, graph=graph)


def _table(points: list[Point], tried: int) -> str:
    lines = [f"{'ms':>10}{'DSP':>7}{'LUT':>9}{'MiB':>7}{'W':>7}{'J':>9}{'product':>10}{'tile':>7}  busiest"]
    for point in points:
        m, area = point.machine, point.area
        unit, cycles = max(point.schedule.about["busy"].items(), key=lambda item: item[1])
        share = cycles / point.schedule.cycles
        lines.append(
            f"{1e3 * point.seconds:10.3f}{area.dsp:7}{area.lut:9}{area.on_chip / 2**20:7.2f}{point.watts:7.2f}"
            f"{point.joules:9.4f}{f'{m.lanes.out}x{m.lanes.pix}':>10}{m.tile:7}  {unit} {share:.0%}"
        )
    part = points[0].machine.part
    lines.append(
        f"{len(points)} of {tried} points; two {part.name} ({part.dsp} DSP, {part.lut} LUT each), area before "
        f"placement, clock {points[0].machine.frequency / 1e6:g} MHz assumed"
    )
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(name="fpga", help="Two boards in place of two computers.", no_args_is_help=True)
    group.command()(guarded(explore))
    app.add_typer(group)
