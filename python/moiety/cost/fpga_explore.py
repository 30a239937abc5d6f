"""Design space of a program on two boards: lanes and tiles against latency, area and power; the Pareto front of them.

A point is a machine whose product takes a share of the DSP budget that the other lanes leave, and whose other lanes
keep pace with the link once or twice over. Every point is scheduled (moiety.hls.schedule), none is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from moiety.private.program import Program

from .fpga_energy import STATED, Power, joules
from .fpga_machine import Area, BudgetError, Lanes, Machine

if TYPE_CHECKING:
    from moiety.hls.isa import Schedule

__all__ = ["Point", "explore", "pareto", "place", "priced"]

SHARES = (1.0, 0.5, 0.25, 0.125)
PACES = (1, 2)
TILES = (2048, 8192)
MOST_SUMS = 16  # lanes of sparse products
_OUTS = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Point:
    """A machine and what the program costs on two of them."""

    machine: Machine
    seconds: float
    area: Area
    joules: float
    schedule: Schedule

    @property
    def watts(self) -> float:
        """Of both boards, on average over the inference."""
        return self.joules / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        m = self.machine
        return {
            "part": m.part.name,
            "ring": m.ring,
            "lanes": vars(m.lanes),
            "tile": m.tile,
            "seconds": self.seconds,
            "dsp": self.area.dsp,
            "lut": self.area.lut,
            "ff": self.area.ff,
            "on_chip_bytes": self.area.on_chip,
            "watts": self.watts,
            "joules": self.joules,
            "busy": {unit: cycles / self.schedule.cycles for unit, cycles in self.schedule.about["busy"].items()},
        }


def place(program: Program, machine: Machine, *, share: float = 1.0, pace: int = 1) -> Machine:
    """The machine with lanes for the program: the others at `pace` times what the link brings, the product with `share`
    of the DSPs they leave, in the shape whose beats over all layers are fewest.

    Raises BudgetError where not even one product fits.
    """
    from moiety.hls.isa import view
    from moiety.hls.schedule import machine_for
    from moiety.hls.schedule_tiles import Grid, elementwise_linear, steps_of

    machine = machine_for(program, machine)
    rate = pace * machine.link_bytes / machine.word  # elements a cycle
    # An activation is opened twice, truncated twice in two passes, and passes the adders about five times.
    lanes = Lanes(
        out=1,
        pix=1,
        square=math.ceil(rate),
        truncate=math.ceil(2 * rate),
        compare=8 * math.ceil(rate),
        select=math.ceil(rate / 2),
        pool=math.ceil(rate),
        move=math.ceil(2.5 * rate),
    )
    one = replace(machine, lanes=lanes)
    units = one.units()
    if machine.sparse:  # as many as let a node's edges pass while its features come
        sums = [op.attrs["indptr"] for op in program.ops if op.kind == "spmm"]
        edges = max(program.public[name][-1] / (program.public[name].size - 1) for name in sums)
        lanes = replace(lanes, pool=min(MOST_SUMS, math.ceil(rate * edges)))
        one = replace(machine, lanes=lanes)
        units = one.units()
    each = units["product"].dsp
    others = sum(area.dsp for name, area in units.items() if name != "product")
    left = min(machine.dsp_budget, machine.part.dsp) - others
    products = int(share * left) // each
    if products < 1:
        raise BudgetError(
            f"{machine.part.name}: a product of {machine.ring} bits takes {each} DSPs, of {machine.dsp_budget} the "
            f"other lanes leave {left}, and the share of the product is {share:g}: expected room for one"
        )
    linear = [op for op in program.ops if op.kind == "linear" and not elementwise_linear(op)]

    def beats(candidate: Lanes) -> int:
        tried, total = replace(machine, lanes=candidate), 0
        for op in linear:
            shape = view(program.tensors[op.output].shape)
            grid = Grid(shape, shape[0], shape[1])
            total += steps_of(op, program, tried, grid, grid.box(0))[0].beats
        return total

    shapes = [replace(lanes, out=out, pix=min(256, products // out)) for out in _OUTS if products >= out]
    best = min(shapes or [replace(lanes, pix=products)], key=beats)
    return replace(machine, lanes=best)


def explore(program: Program, base: Machine, *, power: Power = STATED, tiles: Sequence[int] = TILES) -> list[Point]:
    """All points that fit the budgets of `base` (its part, link, clock), the fastest first.

    Raises BudgetError, with the first constraint that was hit, where none fits.
    """
    from moiety.hls.schedule import schedule

    points: list[Point] = []
    refused: BudgetError | None = None
    for share, pace, tile in product(SHARES, PACES, tiles):
        try:
            machine = place(program, replace(base, tile=tile), share=share, pace=pace)
            if any(point.machine == machine for point in points):
                continue
            made = schedule(program, machine)
        except BudgetError as error:
            refused = refused or error
            continue
        area = Area(**made.about["area"])
        seconds = machine.seconds(made.cycles)
        points.append(Point(machine, seconds, area, joules(made, machine, power), made))
    if not points:
        assert refused is not None
        raise refused
    return sorted(points, key=lambda point: point.seconds)


def pareto(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats in latency, DSPs, LUTs and power at once."""

    def values(point: Point) -> tuple[float, float, float, float]:
        return point.seconds, point.area.dsp, point.area.lut, point.watts

    def beaten(point: Point) -> bool:
        mine = values(point)
        return any(
            all(a <= b for a, b in zip(values(other), mine, strict=True)) and values(other) != mine for other in points
        )

    return [point for point in points if not beaten(point)]


def priced(name: str, ring: int = 32, fraction_bits: int | None = None, graph: str | None = None) -> Program:
    """A program of the zoo's model `name`, without weights, to be priced and never run: as if no activation left
    [-1/16, 1/16], so that the ring's room shapes it as for a network that was trained to its range.

    graph: for a model over a graph, the data set (`moiety.data.graphs`) whose graph, features and classes it takes;
    attention then is by ReLU, which two parties can compute.
    """
    import torch

    from moiety import private
    from moiety.models import create_model
    from moiety.models.registry import find_model, list_models

    if name not in list_models():
        raise ValueError(f"model is {name!r}: expected a program's file or one of {', '.join(list_models())}")
    over_graphs = name in list_models(inputs="graphs")
    if over_graphs != (graph is not None):
        expected = "--graph, such as karate, sbm or cora" if over_graphs else f"no graph, found {graph}"
        raise ValueError(f"{name} is a model over {'a graph' if over_graphs else 'images'}: expected {expected}")
    torch.manual_seed(0)
    structure = None
    if graph is not None:
        from moiety.data.graphs import load_graph

        data = load_graph(graph)
        structure, example = data.graph, torch.zeros(data.graph.num_nodes, data.num_features)
        options = find_model(name).options()
        plain = {key: value for key, value in (("attention", "relu"), ("activation", "relu")) if key in options}
        model = create_model(name, in_features=example.shape[1], num_classes=len(data.classes), **plain).eval()
    else:
        model = create_model(name).eval()
        size = find_model(name).options().get("image_size", 224)
        example = torch.zeros(1, 3, size, size)
    bounds = {"input": 2.0}
    for path, _ in model.named_modules():
        if path:
            bounds |= {path: 0.0625, f"{path}:input": 0.0625}
    fraction = fraction_bits if fraction_bits is not None else ring // 4
    made = private.compile(model, example, calibration=bounds, ring=ring, fraction_bits=fraction, graph=structure)
    return made.without_weights()
