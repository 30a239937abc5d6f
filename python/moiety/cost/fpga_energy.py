"""Joules of an inference on two boards, from a stated power model.

    energy = boards * static * seconds
           + sum over units of (DSPs, LUTs) * watts each * the seconds the unit is busy * boards that have it
           + bytes of external memory and of the link * joules each

None of the constants is measured: they are of the order that vendors' estimators give for UltraScale+ at 200 MHz, to be
replaced by `report_power` of a routed design. `PASNET` is the paper's: 16 W for both boards, whatever they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fpga_machine import FREQUENCY, Machine
from .pasnet import POWER

if TYPE_CHECKING:
    from moiety.hls.isa import Schedule

__all__ = ["PASNET", "POWERS", "STATED", "Power", "joules"]

BOARDS = 2


@dataclass(frozen=True)
class Power:
    """`static`: watts of a board at rest, its processor, memory and transceivers. `dsp`, `lut`: watts of a busy one at
    200 MHz. `memory`, `link`: joules a byte. `fixed`: watts of both boards in place of all that."""

    static: float = 4.0
    dsp: float = 1.5e-3
    lut: float = 1.0e-5
    memory: float = 1.6e-10
    link: float = 1.0e-9
    fixed: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 0:
                raise ValueError(f"power {name} is {value:g}: expected 0 or more")


STATED = Power()
PASNET = Power(fixed=POWER)
POWERS: Mapping[str, Power] = {"stated": STATED, "pasnet": PASNET}


def joules(schedule: Schedule, machine: Machine, power: Power = STATED) -> float:
    """Of one inference on both boards. `machine` is the one the schedule was made for."""
    from moiety.hls.isa import LINKS, Unit

    seconds = machine.seconds(schedule.cycles)
    if power.fixed is not None:
        return power.fixed * seconds
    total = BOARDS * power.static * seconds
    areas, rate = machine.units(), machine.frequency / FREQUENCY
    for unit in Unit:
        if unit.name.lower() not in areas:
            continue
        area, busy = areas[unit.name.lower()], machine.seconds(schedule.about["busy"][unit.name.lower()])
        boards = 1 if unit == Unit.PRODUCT else BOARDS  # the client has nothing to multiply online
        total += boards * busy * rate * (area.dsp * power.dsp + area.lut * power.lut)
    sent = sum(each.bytes for each in schedule.instructions if each.unit in LINKS)
    moved = float(schedule.about["bytes"]["memory"])
    return total + BOARDS * moved * power.memory + sent * power.link
