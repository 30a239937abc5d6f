"""What bench/topology.py measures: snapshots of real road graphs with made-up flows, and the peers' side of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moiety.topology import Snapshots, feature_distances

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
