"""Costs of zigzags: cells and matrices exactly, against the engine's own counters; estimates within what is said."""

from __future__ import annotations

import numpy as np
import pytest

from moiety._core import topology as core
from moiety.cost.concurrency import zigzag_cells, zigzag_cost
from moiety.topology import Mode, Snapshots, snapshots_filtration
from random_zigzags import changing_graph


@pytest.mark.parametrize("mode", ["paper", "code"])
@pytest.mark.parametrize("seed", range(3))
def test_cells_and_the_coned_matrix(mode: Mode, seed: int) -> None:
    snapshots = Snapshots.from_dense(changing_graph(seed, 2 + 5 * seed, 9, 0.3), 0.5)
    cells = snapshots_filtration(snapshots, mode=mode).cells
    cost = zigzag_cost(snapshots, mode)
    assert np.bincount(cells.dimension(), minlength=3).tolist() == list(zigzag_cells(snapshots, mode))
    assert (cost.vertices, cost.edges, cost.triangles) == zigzag_cells(snapshots, mode)
    assert cost.cells == len(cells)
    assert cost.cell_bytes == cells.bytes
    _, work = core.barcode(cells, 1, False, 2**40, 2.0)
    assert work["blocks"] == 1
    assert work["columns"] == cost.matrix_columns
    assert work["bytes"] == cost.matrix_bytes(work["stored"])
    assert work["entries"] <= cost.matrix_entries + work["additions"] * (2 * cost.cells + 1)


@pytest.mark.parametrize("mode", ["paper", "code"])
def test_estimates(mode: Mode) -> None:
    snapshots = Snapshots.from_dense(changing_graph(4, 600, 14, 0.1), 0.3)
    cost = zigzag_cost(snapshots, mode, stretch=250)
    edges = (snapshots.num_nodes, snapshots.start, snapshots.tail, snapshots.head)
    _, work = core.series_barcode(*edges, 0 if mode == "paper" else 1, 1, 16, 512, 2.0)
    assert work["cells"] == cost.cells
    assert cost.critical == pytest.approx(work["critical"], rel=0.25)
    assert cost.entries == pytest.approx(work["entries"], rel=0.35)
    with pytest.raises(ValueError, match="stretch: expected at least one step"):
        zigzag_cost(snapshots, mode, 0)
