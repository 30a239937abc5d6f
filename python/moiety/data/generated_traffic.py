"""A traffic-like series that needs no file: daily demand with two peaks and congestion that spreads along the roads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moiety.data.series import SeriesData, undirected
from moiety.data.traffic import from_distances

__all__ = ["generated_traffic", "roads"]

DAY = 24 * 60
SPREAD, FADE = 0.25, 0.68  # of the neighbours' congestion, and of one's own, an interval of five minutes later


def roads(nodes: int, seed: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs (2, E) and lengths (E,) between random places: each with its two nearest, and a tree that joins all."""
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import minimum_spanning_tree  # type: ignore[import-untyped]
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

    if nodes < 3:
        raise ValueError(f"expected at least 3 nodes, got {nodes}")
    places = np.random.default_rng(seed).random((nodes, 2))
    lengths = cdist(places, places)
    nearest = np.argsort(lengths, 1)[:, 1:3]
    tree = coo_matrix(minimum_spanning_tree(lengths))
    sources = np.concatenate([np.repeat(np.arange(nodes), 2), tree.row])
    pairs, _ = undirected(np.stack([sources, np.concatenate([nearest.reshape(-1), tree.col])]))
    return pairs, lengths[pairs[0], pairs[1]]


def generated_traffic(
    *,
    nodes: int = 40,
    steps: int = 1152,
    pairs: npt.NDArray[np.int64] | None = None,
    distance: npt.NDArray[np.float64] | None = None,
    minutes: float = 5.0,
    seed: int = 0,
) -> SeriesData:
    """Flow, occupancy and speed (steps, nodes, 3) on the road graph `pairs` (2, E), or on `roads`.

    Every node has a capacity, a free speed and a share of the morning's and the evening's peak. Congestion begins at
    random, sooner under high demand, spreads to neighbours and fades; it slows and so keeps vehicles on the sensor.
    """
    if steps < 1 or not minutes > 0:
        raise ValueError(f"expected at least one step and a positive interval, got {steps} and {minutes}")
    if (pairs is None) != (distance is None):
        raise ValueError("expected pairs and their distances, got one of the two")
    rng = np.random.default_rng(seed)
    if pairs is None or distance is None:
        pairs, distance = roads(nodes, seed)
    capacity = rng.lognormal(5.3, 0.45, nodes)  # vehicles an interval
    free = rng.normal(64, 4, nodes)  # speeds without traffic, mph
    share, phase = rng.uniform(0.2, 0.8, nodes), rng.normal(0, 25, nodes)  # of the peaks, minutes
    time = np.arange(steps) * minutes
    of_day, weekday = time % DAY, (time // DAY) % 7 < 5

    def peak(at: float, width: float) -> npt.NDArray[np.float64]:
        return np.exp(-(((of_day[:, None] - at - phase) / width) ** 2))

    rush = share * peak(8 * 60, 95) + (1 - share) * peak(17.5 * 60, 120)
    demand = 0.12 + 0.45 * peak(13 * 60, 330) + 0.55 * rush * np.where(weekday, 1.0, 0.35)[:, None]
    reads = np.zeros((nodes, nodes))
    reads[pairs[0], pairs[1]] = reads[pairs[1], pairs[0]] = 1.0
    reads /= np.maximum(reads.sum(1, keepdims=True), 1.0)
    congestion, drift = np.zeros((steps, nodes)), np.zeros((steps, nodes))
    now, wander = np.zeros(nodes), np.zeros(nodes)
    for t in range(steps):
        begins = rng.random(nodes) < 0.004 + 0.02 * demand[t] ** 3
        now = np.clip(FADE * now + SPREAD * (reads @ now) + begins * rng.uniform(0.3, 0.9, nodes), 0, 0.95)
        wander = 0.9 * wander + rng.normal(0, 0.035, nodes)
        congestion[t], drift[t] = now, wander
    loaded = demand * (1 + drift)
    speed = free * (1 - 0.12 * loaded**2) * (1 - 0.75 * congestion) + rng.normal(0, 1.2, (steps, nodes))
    flow = capacity * loaded * (1 - 0.45 * congestion) + rng.normal(0, 0.03, (steps, nodes)) * capacity
    speed, flow = np.clip(speed, 3, None), np.clip(flow, 0, None)
    occupancy = np.clip(flow / speed / 22, 0, 1)
    values = np.stack([flow, occupancy, speed], -1).astype(np.float32)
    return from_distances("generated", values, pairs, distance, ("flow", "occupancy", "speed"), "vehicles", minutes)
