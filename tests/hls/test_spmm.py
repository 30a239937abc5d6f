"""Sparse products on a board: any matrix in C simulation, in the cycles that the model says; graph models scheduled."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from moiety import private, ring
from moiety.cli import app
from moiety.cost.fpga_explore import priced
from moiety.cost.fpga_machine import BudgetError, Lanes, Link, Machine
from moiety.graph import Graph
from moiety.hls import flow
from moiety.hls.image import require_executed
from moiety.hls.isa import ScheduleError, Unit
from moiety.hls.schedule import machine_for, schedule
from moiety.hls.schedule_check import check
from moiety.hls.schedule_tiles import block_beats, steps_of_rows
from moiety.hls.vectorfile import Vectors
from moiety.nn import APPNP, GATConv, GCNConv, GINConv
from moiety.private.program import Program

torch.set_num_threads(1)
LANES = 4  # of the benches


def matrix(rows: int, columns: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Empty rows, a hub, duplicates."""
    random = np.random.default_rng(seed)
    degrees = random.integers(0, 4, rows)
    degrees[rows // 2] = 3 * columns
    degrees[-1] = 0
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    return indptr, random.integers(0, columns, indptr[-1])


CASES = [  # ring, rows, columns, channels, weighted
    (64, 50, 31, 9, True),
    (64, 7, 130, 4, False),
    (64, 1, 1, 1, True),
    (32, 33, 40, 6, True),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_any_matrix(case: tuple[int, int, int, int, bool], hls: Path, build_at: Path, tmp_path: Path) -> None:
    bits, rows, columns, channels, weighted = case
    dtype = np.dtype(f"uint{bits}")
    random = np.random.default_rng(1)

    def uniform(*shape: int) -> np.ndarray[Any, Any]:
        return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)

    indptr, indices = matrix(rows, columns, 0)
    coefficients = uniform(indices.size)
    arrays = {"indptr": indptr.astype(np.uint32), "indices": indices.astype(np.uint32), "values": coefficients}
    for me in ("server", "client"):
        x = uniform(channels, columns)
        y = ring.csr_matmul(indptr, indices, coefficients if weighted else None, np.ascontiguousarray(x.T)).T
        arrays |= {f"{me}.x": x.reshape(-1), f"{me}.y": np.ascontiguousarray(y).reshape(-1)}
    steps = steps_of_rows(indptr)
    values = {"channels": channels, "rows": rows, "columns": columns, "steps": steps, "weighted": int(weighted)}
    Vectors("spmm", bits, "", "made up", values, arrays).save(tmp_path / "spmm.vec")
    outcome = flow.csim(hls, ["spmm"], tmp_path, build_at, report=True)
    assert outcome.passed, outcome.runs[0].text
    # What passes through the FIFOs is what the cycle model counts: of both parties, all channels but one and that one.
    into, _, _ = block_beats(indptr, columns, LANES)
    calls = [channels - 1, 1] if channels > 1 else [1]
    blocks = 2 * sum(-(-each // LANES) for each in calls)
    written = {name: int(count) for name, count in re.findall(r"fifo (\w+): .*?writes (\d+)", outcome.runs[0].text)}
    assert written == {"columns": blocks * into, "entries": blocks * steps, "results": blocks * rows}


def test_cycles_of_a_block() -> None:
    indptr = np.array([0, 2, 2, 5, 5])
    assert steps_of_rows(indptr) == 7
    assert block_beats(indptr, 3, 4) == (4, 7, 4)
    assert block_beats(indptr, 11, 4) == (12, 12, 4)
    assert block_beats(indptr, 3, 1) == (3, 7, 4)


def network(kind: str, nodes: int = 40) -> Program:
    graph = Graph.from_edge_index(
        torch.randint(0, nodes, (2, 4 * nodes), generator=torch.Generator().manual_seed(0)), nodes
    )
    x = torch.rand(nodes, 12, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if kind == "gcn":
                self.layers = nn.ModuleList([GCNConv(12, 6), GCNConv(6, 3)])
            elif kind == "gin":
                self.layers = nn.ModuleList([GINConv(nn.Linear(12, 6), train_eps=True), GINConv(nn.Linear(6, 3))])
            elif kind == "appnp":
                self.layers = nn.ModuleList([GCNConv(12, 3), APPNP(3, 0.2)])
            else:
                self.layers = nn.ModuleList([GATConv(12, 3, 2, attention="square"), GATConv(6, 3, attention="relu")])

        def forward(self, x: torch.Tensor, graph: Graph) -> torch.Tensor:
            for i, layer in enumerate(self.layers):
                x = layer(torch.relu(x) if i else x, graph)
            return x

    return private.compile(Model().eval(), x, calibration=x, graph=graph)


@pytest.mark.parametrize("kind", ["gcn", "gin", "appnp", "gat"])
@pytest.mark.parametrize("tile", [16, 64, 4096])
def test_schedules_keep_what_they_promise(kind: str, tile: int) -> None:
    """Every element in one tile, inputs there before they are read, links, slots and memory, as the check has it."""
    program = network(kind)
    for lanes in (Lanes(out=4, pix=4, pool=1), Lanes(out=2, pix=8, pool=3)):
        machine = Machine(lanes=lanes, tile=tile, slots=24, link=Link(bandwidth=4e8, latency=1e-6))
        made, made_for = schedule(program, machine), machine_for(program, machine)
        assert made_for.sparse
        check(made, program, made_for)
        products = [each for each in made.instructions if each.kind == "spmm"]
        assert {each.unit for each in products} == {Unit.POOL}
        assert not any(each.bytes or each.out >= 0 or each.into >= 0 for each in products)
        steps = sum(
            steps_of_rows(program.public[op.attrs["indptr"]])
            * -(-program.tensors[op.output].size // program.tensors[op.output].shape[-1] // lanes.pool)
            for op in program.ops
            if op.kind == "spmm"
        )
        assert sum(each.cycles for each in products) >= steps


def test_what_the_board_cannot_hold_is_named() -> None:
    program = network("gcn")
    wide = network("gcn", nodes=5000)
    with pytest.raises(BudgetError, match="bytes of BRAM and URAM"):
        schedule(wide, Machine(lanes=Lanes(out=4, pix=4, pool=64), tile=64, dsp=4000, lut=10**6))
    with pytest.raises(BudgetError, match=r"need \d+ DSP, the budget is 100"):
        schedule(program, Machine(lanes=Lanes(out=1, pix=1, pool=20), dsp=100))
    attention = network("gat")
    with pytest.raises(ScheduleError, match=r"sparse product of other than two axes|does not execute"):
        require_executed(attention)
    require_executed(program)


def test_multipliers_are_paid_for() -> None:
    """Lanes of sparse products have multipliers, those of plain sums have none."""
    program = network("gcn")
    with_products = machine_for(program, Machine(lanes=Lanes(pool=5)))
    plain = dataclasses.replace(with_products, sparse=False)
    assert with_products.units()["pool"].dsp == 5 * 10
    assert plain.units()["pool"].dsp == 0


@pytest.mark.parametrize("name", ["gcn", "sgc"])
def test_graph_models_of_the_zoo_are_priced(name: str, tmp_path: Path) -> None:
    words = ["fpga", "explore", name, "--graph", "karate", "--ring", "64", "--json"]
    result = CliRunner().invoke(app, [*words, "--schedule", str(tmp_path / "fastest.json")])
    assert result.exit_code == 0, result.output
    points = json.loads(result.stdout)["points"]
    assert points[0]["seconds"] > 0
    assert points[0]["busy"]["pool"] > 0
    kinds = {row[0] for row in json.loads((tmp_path / "fastest.json").read_text())["instructions"]}
    assert "spmm" in kinds


def test_a_graph_where_it_belongs() -> None:
    with pytest.raises(ValueError, match="gcn is a model over a graph: expected --graph"):
        priced("gcn")
    with pytest.raises(ValueError, match="resnet8 is a model over images: expected no graph, found karate"):
        priced("resnet8", graph="karate")
