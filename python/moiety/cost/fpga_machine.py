"""An accelerator board of either party as far as time and area go: part, lanes, memory, link.

Area comes from `hls/model/area.json` (open synthesis of the RTL twins, before placement), the pipelines' depths from
`hls/model/cycles.json` (their Verilator benches). What neither tells is an assumption and stated where it stands: the
clock, and which share of a part's LUTs a placement can use. docs/fpga.md has the whole list.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["PARTS", "Area", "BudgetError", "Lanes", "Link", "Machine", "Part", "link_of", "part_of"]

FREQUENCY = 200e6  # hertz: an assumption, PASNet's; no place-and-route for UltraScale+ is open
LUT_SHARE = 0.75  # of a part's LUTs: more does not route, by experience
MEMORY_SHARE = 0.8  # of the external memory's peak rate
CONTROL_LUT = 20_000  # sequencer, DMA, Ethernet and memory controllers: an assumption, beside what was synthesised
BRAM_BYTES, URAM_BYTES = 4096, 32768  # of a block at 32- and 64-bit words


class BudgetError(ValueError):
    """A machine that its part cannot hold, or a tile that the machine cannot. The message names the constraint."""


@dataclass(frozen=True)
class Part:
    """`bram` are blocks of 36 kbit, `uram` of 288 kbit, `memory` the external memory's peak rate in bytes a second.
    From the vendor's product tables."""

    name: str
    device: str
    dsp: int
    lut: int
    ff: int
    bram: int
    uram: int
    memory: float

    @property
    def on_chip(self) -> int:
        """Bytes of block and ultra RAM."""
        return self.bram * BRAM_BYTES + self.uram * URAM_BYTES


PARTS = {
    part.name: part
    for part in (
        Part("zcu104", "XCZU7EV", 1728, 230_400, 460_800, 312, 96, 19.2e9),
        Part("zcu102", "XCZU9EG", 2520, 274_080, 548_160, 912, 0, 19.2e9),
        Part("kv260", "XCK26", 1248, 117_120, 234_240, 144, 64, 19.2e9),
        Part("alveo-u50", "XCU50", 5952, 872_000, 1_743_000, 1344, 640, 316e9),
        Part("alveo-u250", "XCU250", 12_288, 1_728_000, 3_456_000, 2688, 1280, 77e9),
        Part("alveo-u280", "XCU280", 9024, 1_304_000, 2_607_000, 2016, 960, 460e9),
    )
}


def part_of(name: str) -> Part:
    """The part of that name. Raises ValueError that lists the known ones."""
    if name not in PARTS:
        raise ValueError(f"part is {name!r}: expected one of {', '.join(PARTS)}")
    return PARTS[name]


@dataclass(frozen=True)
class Link:
    """`bandwidth` in bytes a second, each way if `full_duplex`, else in all. A message arrives `latency` seconds after
    its last byte has left; meanwhile others follow. `overhead` seconds the link is taken beside the bytes, once for
    each message of an operation, whose tiles are segments of it.
    """

    bandwidth: float = 1e9
    latency: float = 1e-4
    full_duplex: bool = True
    overhead: float = 0.0

    def __post_init__(self) -> None:
        if not (self.bandwidth > 0 and math.isfinite(self.bandwidth)):
            raise ValueError(f"link bandwidth is {self.bandwidth:g} bytes/s: expected a positive rate")
        for name in ("latency", "overhead"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                raise ValueError(f"link {name} is {value:g} s: expected 0 or more")


def link_of(text: str, *, latency: float = 1e-4, full_duplex: bool = True, overhead: float = 0.0) -> Link:
    """A link by its bits a second, such as 8Gbit, 10Gbit, 400Mbit. Raises ValueError for anything else, and for 0."""
    units = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
    number, unit = text[:-4], text[-4:].lower()
    try:
        rate = float(number) * units[unit] / 8
    except (ValueError, KeyError):
        raise ValueError(f"link is {text!r}: expected a rate such as 8Gbit or 400Mbit") from None
    if not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"link is {text!r}: expected a positive rate, got {rate:g} bytes/s")
    return Link(rate, latency, full_duplex, overhead)


@dataclass(frozen=True)
class Lanes:
    """Elements a cycle of every unit. The product's tile has `out` channels times `pix` positions, a multiply-add each;
    `compare` are the bits of a plane that a circuit's node takes in a cycle."""

    out: int = 32
    pix: int = 16
    square: int = 2
    truncate: int = 4
    compare: int = 8
    select: int = 1
    pool: int = 2
    move: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} is {value}: expected at least 1 lane")


@dataclass(frozen=True)
class Area:
    """Primitives before placement; `on_chip` in bytes."""

    dsp: int = 0
    lut: int = 0
    ff: int = 0
    on_chip: int = 0


@lru_cache
def data(name: str) -> Mapping[str, Any]:
    """`area` or `cycles`: beside this file where the package is installed, in the repository's hls/model otherwise."""
    here = Path(__file__)
    places = [here.parent / "fpga_model" / f"{name}.json", here.parents[3] / "hls" / "model" / f"{name}.json"]
    for place in places:
        if place.is_file():
            found: Mapping[str, Any] = json.loads(place.read_text())["twins"]
            return found
    raise FileNotFoundError(f"expected {places[0]} or {places[1]}: reinstall moiety, or run hls/model/{name}.py")


def _twin(name: str) -> Area:
    counts = data("area")[name]
    return Area(counts["dsp"], counts["lut"] + counts["srl"], counts["ff"])


def _times(area: Area, count: int) -> Area:
    return Area(area.dsp * count, area.lut * count, area.ff * count)


def _sum(areas: list[Area]) -> Area:
    return Area(*(sum(getattr(area, name) for area in areas) for name in ("dsp", "lut", "ff", "on_chip")))


@dataclass(frozen=True)
class Machine:
    """One board; both parties have the same. `tile` is how many elements a tile aims at, `slots` the slots each for
    sending and for receiving. `compares`, `squares` and `quadratics` say whether the program needs those lanes,
    `sparse` whether those of pools multiply, by the coefficients of sparse products.
    `dsp` and `lut` are budgets, by default what the part has (LUT_SHARE of its LUTs). `stall`: the share of cycles in
    which memory holds a stream back, for comparison with RTL under back-pressure.
    """

    part: Part = PARTS["zcu104"]
    ring: int = 32
    lanes: Lanes = field(default_factory=Lanes)
    link: Link = field(default_factory=Link)
    frequency: float = FREQUENCY
    tile: int = 8192
    slots: int = 12
    slot_bytes: int = 0
    compares: bool = True
    squares: bool = True
    quadratics: bool = False
    sparse: bool = False
    dsp: int | None = None
    lut: int | None = None
    memory: float | None = None
    stall: float = 0.0

    def __post_init__(self) -> None:
        if self.ring not in (32, 64):
            raise ValueError(f"ring is {self.ring}: expected 32 or 64")
        if not (self.frequency > 0 and math.isfinite(self.frequency)):
            raise ValueError(f"frequency is {self.frequency:g} Hz: expected a positive one")
        if self.tile < 1 or self.slots < 2:
            raise ValueError(f"tile {self.tile}, slots {self.slots}: expected at least 1 element and 2 slots")
        if not 0 <= self.stall < 1:
            raise ValueError(f"stall is {self.stall}: expected a share below 1")

    @property
    def word(self) -> int:
        """Bytes of a ring element."""
        return self.ring // 8

    @property
    def dsp_budget(self) -> int:
        return self.part.dsp if self.dsp is None else self.dsp

    @property
    def lut_budget(self) -> int:
        return int(LUT_SHARE * self.part.lut) if self.lut is None else self.lut

    @property
    def memory_bytes(self) -> float:
        """Of external memory in a cycle; `memory` (bytes a second) stands for another rate."""
        rate = MEMORY_SHARE * self.part.memory if self.memory is None else self.memory
        return rate / self.frequency

    @property
    def link_bytes(self) -> float:
        """Of the link in a cycle, each way."""
        return self.link.bandwidth / self.frequency

    @property
    def latency_cycles(self) -> int:
        return round(self.link.latency * self.frequency)

    def units(self) -> dict[str, Area]:
        """What every unit takes, by measured twins; a tile's products and what it has beside them from two sizes."""
        lanes, w = self.lanes, self.ring
        two, four = _twin(f"mac_{w}_2x2"), _twin(f"mac_{w}_4x4")

        def products(count: int) -> Area:
            def one_of(name: str) -> int:
                small, large = int(getattr(two, name)), int(getattr(four, name))
                one = (large - small) / 12
                return math.ceil(one * count + max(0.0, small - 4 * one))

            return Area(*(one_of(name) for name in ("dsp", "lut", "ff")))

        made = {
            "product": products(lanes.out * lanes.pix),
            "truncate": _times(_sum([_twin(f"truncate_mask_{w}"), _twin(f"truncate_finish_{w}")]), lanes.truncate),
            "pool": products(lanes.pool) if self.sparse else _times(_twin(f"mask_{w}"), lanes.pool),
            "move": _times(_twin(f"mask_{w}"), lanes.move),
        }
        if self.squares or self.quadratics:
            made["square"] = _times(_twin(f"{'x2' if self.quadratics else 'square'}_{w}"), lanes.square)
        if self.compares:
            nodes = _sum([_twin("prefix_leaf_8"), _twin("prefix_inner_8")])
            made["compare"] = _sum(
                [_times(nodes, math.ceil(lanes.compare / 8)), _times(_twin(f"select_{w}"), lanes.select)]
            )
        return made

    def area(self, on_chip: int = 0) -> Area:
        """The whole board; `on_chip` bytes for buffers and slots."""
        return _sum([*self.units().values(), Area(lut=CONTROL_LUT, on_chip=on_chip)])

    def require(self, on_chip: int = 0) -> Area:
        """The area. Raises BudgetError for what the part or a budget does not hold."""
        area, part = self.area(on_chip), self.part
        limits = {
            "DSP": (area.dsp, min(self.dsp_budget, part.dsp)),
            "LUT": (area.lut, min(self.lut_budget, part.lut)),
            "FF": (area.ff, part.ff),
            "bytes of BRAM and URAM": (area.on_chip, part.on_chip),
        }
        for name, (need, have) in limits.items():
            if need > have:
                raise BudgetError(
                    f"{part.name}: {self.lanes.out} x {self.lanes.pix} products of {self.ring} bits, their lanes and "
                    f"buffers need {need} {name}, the budget is {have}: take fewer lanes or a smaller tile"
                )
        return area

    def seconds(self, cycles: float) -> float:
        return cycles / self.frequency

    def with_lanes(self, **lanes: int) -> Machine:
        """The same with other lanes."""
        return replace(self, lanes=replace(self.lanes, **lanes))
