"""What bench/topology.py measures: snapshots of real road graphs with made-up flows, and the peers' side of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dionysus
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from moiety.topology import Filtration, Snapshots, feature_distances

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
Integers = NDArray[np.int64]
Reals = NDArray[np.float64]


def road_edges(name: str, data: Path = DATA) -> tuple[int, Integers]:
    """Nodes and edges (E, 2) of pems04 or pems08, every pair once."""
    with np.load(data / "traffic" / f"{name}_distance.npz") as file:
        pairs = np.stack([file["src"], file["dst"]], 1).astype(np.int64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return int(pairs.max()) + 1, np.unique(np.sort(pairs, 1), axis=0)


def flows(num_nodes: int, edges: Integers, steps: int, seed: int = 0) -> Reals:
    """Flow, occupancy and speed (steps, nodes, 3), each divided by its standard deviation.

    Two daily peaks times a node's own level, which is smooth along the roads but for a few far busier nodes; waves that
    drift; noise.
    """
    random = np.random.default_rng(seed)
    degree = np.bincount(edges.ravel(), minlength=num_nodes)[:, None] + 1.0

    def smooth(x: Reals, times: int) -> Reals:
        for _ in range(times):
            total = x.copy()
            np.add.at(total, edges[:, 0], x[edges[:, 1]])
            np.add.at(total, edges[:, 1], x[edges[:, 0]])
            x = total / degree
        return x

    day = 2 * np.pi * np.arange(steps) / 288
    peaks = 1.2 - 0.7 * np.cos(day) - 0.4 * np.cos(2 * day + 0.6)
    level = 1 + 0.6 * smooth(random.normal(size=(num_nodes, 3)), 2)
    level[random.random(num_nodes) < 0.04] *= 3
    drift = smooth(random.normal(size=(num_nodes, 3)), 3)
    made = np.empty((steps, num_nodes, 3))
    wave = smooth(random.normal(size=(num_nodes, 3)), 2)
    for t in range(steps):
        wave = 0.97 * wave + 0.24 * smooth(random.normal(size=(num_nodes, 3)), 2)
        made[t] = peaks[t] * level + 0.5 * wave + 0.3 * drift * np.sin(day[t])
        made[t] += 0.08 * random.normal(size=(num_nodes, 3))
    return made / made.std((0, 1))


def road_snapshots(name: str, steps: int, alpha: float, data: Path = DATA) -> Snapshots:
    nodes, edges = road_edges(name, data)
    return Snapshots.from_weights(nodes, edges, feature_distances(flows(nodes, edges, steps), edges), alpha)


def speed_snapshots(alpha: float, data: Path = DATA) -> Snapshots:
    """los_loop: real speeds of 207 sensors, 2,016 steps, on the graph of its adjacency."""
    with np.load(data / "traffic" / "los_loop.npz") as file:
        speed, adjacency = file["speed"].astype(np.float64), file["adj"]
    tail, head = np.nonzero(np.triu((adjacency > 0) | (adjacency.T > 0), 1))
    edges = np.stack([tail, head], 1)
    return Snapshots.from_weights(len(adjacency), edges, feature_distances(speed[..., None], edges), alpha)


def random_snapshots(nodes: int, edges: int, steps: int, change: float, seed: int = 0) -> Snapshots:
    """`edges` of all pairs at every step, a part `change` of them new at each."""
    random = np.random.default_rng(seed)
    current: dict[tuple[int, int], None] = {}
    made = []
    for _ in range(steps):
        kept = [pair for pair in current if random.random() >= change]
        current = dict.fromkeys(kept)
        while len(current) < edges:
            u, v = sorted(random.integers(0, nodes, 2).tolist())
            if u != v:
                current[u, v] = None
        made.append(np.array(list(current)))
    return Snapshots.from_edges(nodes, made)


# --- peers ------------------------------------------------------------------------------------------------------------

Timed = tuple[list[list[int]], list[list[float]]]


def with_times(filtration: Filtration) -> Timed:
    """Simplices and closed times of a filtration in `code` mode, where none returns: what dionysus takes."""
    start, face = filtration.cells.boundary()
    enter, leave = filtration.cells.enter(), filtration.cells.exit()
    into, out = filtration.instants[enter].tolist(), filtration.instants[leave + 1].tolist()
    vertices: list[tuple[int, ...]] = []
    for cell in range(len(filtration)):
        below = face[start[cell] : start[cell + 1]].tolist()
        vertices.append((cell,) if not below else tuple(sorted(set().union(*(vertices[f] for f in below)))))
    order = sorted(range(len(vertices)), key=lambda c: (len(vertices[c]), vertices[c]))
    return [list(vertices[c]) for c in order], [[into[c], out[c]] for c in order]


def dionysus_incremental(simplices: Any, times: list[list[float]]) -> Any:
    return dionysus.zigzag_homology_persistence(simplices, times)[1]


def reference_complex(
    snapshots: Snapshots, weights: list[dict[tuple[int, int], float]]
) -> tuple[Any, list[list[float]]]:
    """The published pipeline's way to a filtration and times, written again from its description.

    For every two consecutive graphs a dense matrix of 2N x 2N distances (two blocks, their mean between them, 1.1 where
    there is no edge), its Rips complex by dionysus, vertices moved to the pair's place, and a Python list of all of
    them with the times at which each is there.
    """
    nodes, last = snapshots.num_nodes, len(snapshots) - 1
    blocks = []
    for edges in weights:
        block = np.full((nodes, nodes), 1.1)
        np.fill_diagonal(block, 0.0)
        for (u, v), weight in edges.items():
            block[u, v] = block[v, u] = weight
        blocks.append(block)
    times: dict[tuple[int, ...], list[float]] = {}
    for i in range(last):
        between = (blocks[i] + blocks[i + 1]) / 2
        both = np.block([[blocks[i], between], [between, blocks[i + 1]]])
        for simplex in dionysus.fill_rips(squareform(both, checks=False), 2, 1.0):
            vertices = tuple(sorted(v + i * nodes for v in simplex))
            first, final = vertices[0] // nodes, vertices[-1] // nodes
            if first != final:
                times[vertices] = [2.0 * i + 1, 2.0 * i + 1]
            else:
                times[vertices] = [max(0.0, 2.0 * first - 1), min(2.0 * last, 2.0 * first + 1)]
    names = sorted(times, key=lambda s: (len(s), s))
    return dionysus.Filtration([list(n) for n in names]), [times[n] for n in names]


def edge_weights(name: str, steps: int, alpha: float, data: Path = DATA) -> list[dict[tuple[int, int], float]]:
    """The weights that `road_snapshots` keeps, as dictionaries."""
    nodes, edges = road_edges(name, data)
    distances = feature_distances(flows(nodes, edges, steps), edges)
    pairs = [tuple(e) for e in edges.tolist()]
    return [{p: w for p, w in zip(pairs, row, strict=True) if w <= alpha} for row in distances.tolist()]
