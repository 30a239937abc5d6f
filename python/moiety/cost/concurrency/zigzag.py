"""What a zigzag barcode costs: cells, columns, entries and bytes, from counts of edges and triangles.

    from moiety.cost.concurrency import zigzag_cost
    zigzag_cost(snapshots, mode="code")

For snapshots G_0, ..., G_{T-1} on N nodes let e(G) and t(G) be the edges and triangles of a graph, U_i = G_i u G_{i+1},
and C = U_i + I as a matrix. Cells that the engine makes (csrc/topology/flag.hpp), exactly:

| mode | vertices | edges | triangles |
|---|---|---|---|
| paper | N | e(G_0) + sum_i e(U_i) - e(G_i) | t(G_0) + sum_i t(U_i) - t(G_i) |
| code | N T | sum_i e(G_i) + sum_i N + 2 e(U_i) | sum_i t(G_i) + sum_i <G_i + G_{i+1}, C^2> / 2 |

The coned matrix of V, E and T cells (csrc/topology/coned.hpp) has 2 n + 1 rows, n = V + E + T, and 2 V + 5 E + 7 T
entries; all rows but one are paired, and clearing leaves one column of each pair, so n columns are looked at. How much
is added is up to the data. The engine first matches cells of one lifetime, which leaves few; what that and the
reduction of the rest come to is *estimated* from a stretch of the sequence, in proportion to cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moiety._core import topology as _topology
from moiety.topology import Mode, Snapshots
from moiety.topology.snapshots import mode_number

__all__ = ["ReductionCost", "zigzag_cells", "zigzag_cost"]

Bits = NDArray[np.float32]


@dataclass(frozen=True)
class ReductionCost:
    """Exact: `vertices`, `edges`, `triangles` and what follows from them. Estimated: `critical` and `entries`."""

    vertices: int
    edges: int
    triangles: int
    critical: int  # cells that are left to the coned matrices
    entries: int  # of columns loaded and added there
    stretch: int  # steps that the estimates come from

    @property
    def cells(self) -> int:
        return self.vertices + self.edges + self.triangles

    @property
    def cell_bytes(self) -> int:
        """Of all cells as the engine holds them: dimension, lifetime and offset, and 4 bytes a face."""
        return 17 * self.cells + 4 * (2 * self.edges + 3 * self.triangles)

    @property
    def matrix_entries(self) -> int:
        """Of the coned matrix of all cells."""
        return 2 * self.vertices + 5 * self.edges + 7 * self.triangles

    @property
    def matrix_columns(self) -> int:
        """Columns that one coned matrix of all cells would reduce."""
        return self.cells

    def matrix_bytes(self, stored: int) -> int:
        """Of one coned matrix of all cells, its arrays and the `stored` entries of reduced columns."""
        faces = 2 * self.edges + 3 * self.triangles
        return 25 * (self.cells + 1) + 28 * (2 * self.cells + 1) + 4 * (faces + stored)


def _dense(snapshots: Snapshots, step: int) -> Bits:
    matrix = np.zeros((snapshots.num_nodes, snapshots.num_nodes), np.float32)
    edges = slice(snapshots.start[step], snapshots.start[step + 1])
    tail, head = snapshots.tail[edges], snapshots.head[edges]
    matrix[tail, head] = matrix[head, tail] = 1
    return matrix


def _sizes(graph: Bits) -> tuple[int, int]:
    """Edges and triangles."""
    return round(graph.sum(dtype=np.float64) / 2), round((graph * (graph @ graph)).sum(dtype=np.float64) / 6)


def zigzag_cells(snapshots: Snapshots, mode: Mode = "paper") -> tuple[int, int, int]:
    """Vertices, edges and triangles of the zigzag of snapshots, by the formulas above."""
    steps, nodes = len(snapshots), snapshots.num_nodes
    graph = _dense(snapshots, 0)
    edges, triangles = _sizes(graph)
    for step in range(steps - 1):
        following = _dense(snapshots, step + 1)
        union = np.maximum(graph, following)
        if mode == "paper":
            for_union, alone = _sizes(union), _sizes(graph)
            edges += for_union[0] - alone[0]
            triangles += for_union[1] - alone[1]
        else:
            own = _sizes(following)
            closed = union + np.eye(nodes, dtype=np.float32)
            edges += own[0] + nodes + round(union.sum(dtype=np.float64))
            triangles += own[1] + round(((graph + following) * (closed @ closed)).sum(dtype=np.float64) / 2)
        graph = following
    return nodes * (1 if mode == "paper" else steps), edges, triangles


def zigzag_cost(snapshots: Snapshots, mode: Mode = "paper", stretch: int = 256) -> ReductionCost:
    """The cost of `moiety.topology.snapshots_barcode` in dimensions 0 and 1.

    stretch: how many steps, from the middle of the sequence, are really reduced for the estimates: enough for several
    blocks (csrc/topology/coned.hpp).
    """
    if stretch < 1:
        raise ValueError(f"stretch: expected at least one step, got {stretch}")
    used = min(stretch, len(snapshots))
    first = (len(snapshots) - used) // 2
    part = snapshots.steps(first, first + used)
    _, work = _topology.series_barcode(
        part.num_nodes, part.start, part.tail, part.head, mode_number(mode), 1, 16, 512, 2.0
    )
    vertices, edges, triangles = zigzag_cells(snapshots, mode)
    scale = (vertices + edges + triangles) / max(work["cells"], 1)
    return ReductionCost(
        vertices, edges, triangles, round(scale * work["critical"]), round(scale * work["entries"]), used
    )
