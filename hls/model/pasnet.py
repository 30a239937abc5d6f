"""PASNet's networks on our schedule beside the published table: writes PASNET.md beside this file.

    python hls/model/pasnet.py [pasnet_a ...] [--ring 32 64]

Two ZCU104, 200 MHz (assumed), 1 GB/s each way, 0.1 ms a message, as in the paper; area measured by yosys (area.json),
pipelines by Verilator (cycles.json). Nothing of the paper's table goes into the schedule. A network takes about half a
minute to compile.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from moiety.cost.fpga_energy import PASNET, joules
from moiety.cost.fpga_explore import place, priced
from moiety.cost.fpga_machine import PARTS, BudgetError, Link, Machine
from moiety.hls.isa import Schedule
from moiety.hls.schedule import schedule
from moiety.private.program import Program

PUBLISHED = {"pasnet_a": 63, "pasnet_b": 228, "pasnet_c": 539, "pasnet_d": 184}  # milliseconds
BASE = Machine(part=PARTS["zcu104"], link=Link(bandwidth=1e9, latency=1e-4), frequency=200e6, tile=8192)


def variants(base: Machine) -> dict[str, Machine]:
    """What each assumption is worth."""

    def linked(**changes: float | bool) -> Machine:
        return dataclasses.replace(base, link=dataclasses.replace(base.link, **changes))

    return {
        "as published": base,
        "half-duplex link": linked(full_duplex=False),
        "0.1 ms taken from the link by every message": linked(latency=0.0, overhead=1e-4),
        "80 % of the DSPs": dataclasses.replace(base, dsp=base.part.dsp * 8 // 10),
        "no limit of memory": dataclasses.replace(base, memory=1e15),
    }


def best(program: Program, machine: Machine, tiles: tuple[int, ...]) -> tuple[Machine, Schedule] | None:
    """The fastest of the tiles that fit."""
    found: list[tuple[int, Machine, Schedule]] = []
    for tile in tiles:
        placed = place(program, dataclasses.replace(machine, tile=tile), pace=2)
        try:
            made = schedule(program, placed)
        except BudgetError as error:
            print(f"tile {tile}: {error}", file=sys.stderr)
            continue
        found.append((made.cycles, placed, made))
    return min(found, key=lambda each: each[0])[1:] if found else None


def rows(name: str, ring: int) -> list[str]:
    program = priced(name, ring)
    made_rows = []
    for words, base in variants(BASE).items():
        if ring == 64 and words != "as published":
            continue
        tiles = (8192,) if ring == 32 else (2048, 4096, 8192)
        chosen = best(program, base, tiles)
        if chosen is None:
            made_rows.append(f"| {name} | {ring} | {words} | no tile fits | | | | | | | | |")
            continue
        machine, made = chosen
        seconds = machine.seconds(made.cycles)
        busy, lanes = made.about["busy"], machine.lanes
        shares = ", ".join(f"{unit} {cycles / made.cycles:.0%}" for unit, cycles in busy.items() if cycles)
        sent = made.about["bytes"]
        made_rows.append(
            f"| {name} | {ring} | {words} | {1e3 * seconds:.1f} | {PUBLISHED[name] / 1e3 / seconds:.2f} | "
            f"{lanes.out} x {lanes.pix} | {machine.tile} | {made.about['area']['dsp']} | {made.about['area']['lut']} | "
            f"{sent['to_server'] / 1e6:.1f} / {sent['to_client'] / 1e6:.1f} | {joules(made, machine):.2f} / "
            f"{joules(made, machine, PASNET):.2f} | {shares} |"
        )
        print(made_rows[-1], file=sys.stderr, flush=True)
    return made_rows


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PUBLISHED)}; default: all")
    arguments.add_argument("--ring", type=int, nargs="*", default=[32, 64], choices=[32, 64])
    given = arguments.parse_args()
    names = given.names or list(PUBLISHED)
    if unknown := set(names) - set(PUBLISHED):
        arguments.error(f"expected names of {', '.join(PUBLISHED)}, got {', '.join(sorted(unknown))}")
    table = [line for name in names for ring in given.ring for line in rows(name, ring)]
    head = [
        "# PASNet's networks on our schedule",
        "",
        "Made by `python hls/model/pasnet.py`; docs/fpga.md says what stands in it.",
        "",
        "| network | ring | setting | ms | published / ours | product | tile | DSP | LUT | MB to server / client | "
        "J stated / at 16 W | busy |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    Path(__file__).with_name("PASNET.md").write_text("\n".join([*head, *table]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
