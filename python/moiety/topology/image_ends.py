"""Bars whose ends move continuously with the weights of edges, so that gradients of an image reach the weights.

Between snapshots k and k + 1 the weight of an edge is interpolated, and it enters or leaves where it crosses alpha,

    t = k + (alpha - w_k) / (w_{k+1} - w_k).

The zigzag is that of the flag complexes of the interpolated graph, one event after another; the ends of a bar are the
crossings of the edges whose events begin and end it. Which those are does not change as long as no two crossings change
places, so that d(end) / d(w) = dt / dw of those edges almost everywhere (after M. Carriere et al., Optimizing
persistent homology based functions, ICML 2021). The vertices are there from the first snapshot to the last.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moiety.topology.engine import zigzag
from moiety.topology.filtration import Filtration

__all__ = ["continuous_bars"]

Lifetime = tuple[int, int]  # places of its two ends in the tensor of times
Event = tuple[int, bool, tuple[int, ...]]  # place of its time, whether it inserts, and the simplex
START, END = 0, 1  # of the window, in that tensor


def continuous_bars(weights: Tensor, edges: npt.ArrayLike, num_nodes: int, alpha: float, dimension: int = 1) -> Tensor:
    """Births and deaths (n, 2) in [0, T - 1], differentiable in `weights`; what `moiety.nn.ZigzagImage` takes.

    weights: (T, E) at least 0, of `edges` (E, 2), each once; an edge is there while its interpolated weight is at most
    alpha. dimension: 0 or 1. Bars without length are left out. Raises ValueError for anything else.
    """
    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    if weights.ndim != 2 or weights.shape[0] < 2 or weights.shape[1] != len(pairs) or not weights.is_floating_point():
        raise ValueError(
            f"expected weights (steps >= 2, {len(pairs)} edges) of floating point, got {weights.dtype} "
            f"{tuple(weights.shape)}"
        )
    if dimension not in (0, 1) or not alpha >= 0:
        raise ValueError(f"expected dimension 0 or 1 and alpha >= 0, got {dimension} and {alpha}")
    known = weights.detach().double().numpy()
    bad = np.argwhere(~(np.isfinite(known) & (known >= 0)))
    if bad.size:
        step, edge = bad[0]
        raise ValueError(f"step {step}: expected finite weights >= 0, got {known[step, edge]} for the edge {edge}")
    ordered = np.sort(pairs, 1)
    if len(pairs) and (
        ordered.min() < 0 or ordered.max() >= num_nodes or (ordered[:, 0] == ordered[:, 1]).any()
        or len(np.unique(ordered, axis=0)) < len(pairs)
    ):  # fmt: skip
        raise ValueError(f"expected edges between different nodes below {num_nodes}, each once")
    times, lifetimes = crossings(weights, known <= alpha, alpha)
    at = times.detach().double().numpy()
    events: list[Event] = [(START, True, (v,)) for v in range(num_nodes)]
    events += [(END, False, (v,)) for v in range(num_nodes)]
    for edge, own in lifetimes.items():
        events += both_ends(tuple(ordered[edge].tolist()), own)
    for triangle, own in triangles(ordered, lifetimes, at).items():
        events += both_ends(triangle, own)
    # At one time what enters comes before what leaves, faces before cofaces in and after them out.
    events.sort(key=lambda e: (at[e[0]], not e[1], len(e[2]) if e[1] else -len(e[2]), e[2]))
    barcode = zigzag(Filtration([(inserted, simplex) for _, inserted, simplex in events]), dimension)
    source = np.array([place for place, _, _ in events])
    chosen = barcode.dimension == dimension
    ends = np.stack([source[barcode.first[chosen] - 1], source[barcode.last[chosen]]], 1)
    longer = at[ends[:, 0]] < at[ends[:, 1]]
    return times[torch.from_numpy(ends[longer])]


def crossings(weights: Tensor, there: npt.NDArray[np.bool_], alpha: float) -> tuple[Tensor, dict[int, list[Lifetime]]]:
    """The times at which something happens (0, T - 1, and the crossings), and every edge's lifetimes among them."""
    step, edge = np.nonzero(there[1:] != there[:-1])
    before, after = weights[step, edge], weights[step + 1, edge]
    crossed = torch.from_numpy(step).to(weights.dtype) + (alpha - before) / (after - before)
    times = torch.cat([weights.new_tensor([0.0, len(weights) - 1.0]), crossed])
    ends: defaultdict[int, list[int]] = defaultdict(list)
    for e in np.flatnonzero(there[0]).tolist():
        ends[e].append(START)
    for place, e in enumerate(edge.tolist(), 2):  # by rising step, so that an edge's own come in order
        ends[e].append(place)
    for e in np.flatnonzero(there[-1]).tolist():
        ends[e].append(END)
    return times, {e: list(zip(own[::2], own[1::2], strict=True)) for e, own in ends.items()}


def triangles(
    pairs: npt.NDArray[np.int64], lifetimes: dict[int, list[Lifetime]], at: npt.NDArray[np.float64]
) -> dict[tuple[int, ...], list[Lifetime]]:
    """Lifetimes of the triangles: from the last entrance of their edges to the first exit, each time all are there."""
    place = {tuple(pairs[e].tolist()): e for e in lifetimes}
    neighbours: defaultdict[int, set[int]] = defaultdict(set)
    for u, v in place:
        neighbours[u].add(v)  # the larger ones
    found: dict[tuple[int, ...], list[Lifetime]] = {}
    for u, larger in neighbours.items():
        for v, w in combinations(sorted(larger), 2):
            if (v, w) not in place:
                continue
            own = lifetimes[place[u, v]]
            for other in (lifetimes[place[u, w]], lifetimes[place[v, w]]):
                own = [
                    (max(a, c, key=at.__getitem__), min(b, d, key=at.__getitem__))
                    for a, b in own
                    for c, d in other
                    if max(at[a], at[c]) < min(at[b], at[d])
                ]
            if own:
                found[u, v, w] = own
    return found


def both_ends(simplex: tuple[int, ...], lifetimes: list[Lifetime]) -> list[Event]:
    return [event for enter, leave in lifetimes for event in ((enter, True, simplex), (leave, False, simplex))]
