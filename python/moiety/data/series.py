"""What every series on the nodes of a graph looks like: values by step, node and channel, and every step's edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from moiety.topology import Snapshots

__all__ = ["EdgeSeries", "SeriesData", "Weighting", "edge_weights", "undirected"]

Weighting = Literal["distance", "rbf"]


@dataclass(frozen=True)
class EdgeSeries:
    """The weighted, undirected edges of every step: those of step t are `pairs[:, indptr[t] : indptr[t + 1]]`.

    indptr: int64 (T + 1,). pairs: int64 (2, E) of nodes u < v, rising, each once a step. weight: float64 (E,), at least
    0.
    """

    num_nodes: int
    indptr: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        edges = self.pairs.shape[1] if self.pairs.ndim == 2 else -1
        if self.pairs.shape[:1] != (2,) or self.weight.shape != (edges,) or self.indptr[-1] != edges:
            raise ValueError(
                f"expected pairs (2, E), weights (E,) and pointers that end at E, got {self.pairs.shape}, "
                f"{self.weight.shape} and {self.indptr[-1]}"
            )
        if edges and not (self.pairs.min() >= 0 and (self.pairs[0] < self.pairs[1]).all()):
            raise ValueError("expected pairs of nodes u < v, got others: use moiety.data.series.undirected")
        if edges and self.pairs.max() >= self.num_nodes:
            raise ValueError(f"expected nodes below {self.num_nodes}, got {self.pairs.max()}")
        if not (np.isfinite(self.weight).all() and (self.weight >= 0).all()):
            raise ValueError("expected finite weights of at least 0, got others")

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def step(self, t: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The pairs (2, E_t) and weights (E_t,) of one step."""
        own = slice(int(self.indptr[t]), int(self.indptr[t + 1]))
        return self.pairs[:, own], self.weight[own]

    def between(self, start: int, stop: int) -> EdgeSeries:
        """Steps start, ..., stop - 1."""
        low, high = int(self.indptr[start]), int(self.indptr[stop])
        return EdgeSeries(
            self.num_nodes, self.indptr[start : stop + 1] - low, self.pairs[:, low:high], self.weight[low:high]
        )

    def snapshots(self, alpha: float) -> Snapshots:
        """The edges of at most that weight, as `moiety.topology.zigzag_windows` takes them."""
        from moiety.topology import Snapshots

        kept = self.weight <= alpha
        start = np.concatenate([[0], np.cumsum(kept)])[self.indptr]
        tail, head = self.pairs[:, kept].astype(np.int32)
        return Snapshots(self.num_nodes, start, np.ascontiguousarray(tail), np.ascontiguousarray(head))

    @staticmethod
    def fixed(num_nodes: int, pairs: npt.NDArray[np.int64], weight: npt.NDArray[np.float64]) -> EdgeSeries:
        """The same pairs (2, E) at every step, with weights (T, E)."""
        steps, edges = weight.shape
        return EdgeSeries(
            num_nodes, np.arange(steps + 1, dtype=np.int64) * edges, np.tile(pairs, (1, steps)), weight.reshape(-1)
        )


@dataclass(frozen=True)
class SeriesData:
    """A series on the nodes of a graph that changes in time, or whose edges' weights come from the series.

    values: float32 (T, N, C), finite. channels: their names; the first one is forecast. edges: int64 (2, E) of the road
    graph, whose weights at a step follow from the values (`edge_weights`); or networks: the edges of every step as they
    were observed. adjacency: float32 (N, N), nonnegative, for networks that read a fixed graph. test: the last part of
    the steps, which is only tested on.
    """

    name: str
    values: Tensor
    channels: tuple[str, ...]
    unit: str
    minutes: float  # from one step to the next
    adjacency: Tensor
    edges: Tensor | None = None
    networks: EdgeSeries | None = None
    test: float = 0.2
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps, nodes, channels = self.values.shape if self.values.ndim == 3 else (0, 0, 0)
        if not steps or len(self.channels) != channels or self.values.dtype is not torch.float32:
            raise ValueError(
                f"{self.name}: expected float32 values (steps, nodes, {len(self.channels)} channels), got "
                f"{self.values.dtype} {tuple(self.values.shape)}"
            )
        if not bool(torch.isfinite(self.values).all()):
            raise ValueError(f"{self.name}: expected finite values, found others: say how missing ones are written")
        if tuple(self.adjacency.shape) != (nodes, nodes) or bool((self.adjacency < 0).any()):
            raise ValueError(f"{self.name}: expected a nonnegative adjacency ({nodes}, {nodes})")
        if (self.edges is None) == (self.networks is None):
            raise ValueError(f"{self.name}: expected either the edges of a road graph or the networks of every step")
        if self.networks is not None and (len(self.networks), self.networks.num_nodes) != (steps, nodes):
            raise ValueError(
                f"{self.name}: expected networks of {steps} steps and {nodes} nodes, got {len(self.networks)} and "
                f"{self.networks.num_nodes}"
            )
        if not 0 < self.test < 1:
            raise ValueError(f"{self.name}: expected the part tested on in (0, 1), got {self.test}")

    @property
    def num_nodes(self) -> int:
        return self.values.shape[1]

    def weighted_edges(self, weighting: Weighting = "distance", gamma: float = 1.0) -> EdgeSeries:
        """The edges of every step: as observed, or the road graph's with weights from the values (`edge_weights`)."""
        if self.networks is not None:
            return self.networks
        assert self.edges is not None
        pairs = self.edges.numpy()
        return EdgeSeries.fixed(self.num_nodes, pairs, edge_weights(self.values.numpy(), pairs, weighting, gamma))


def edge_weights(
    values: npt.NDArray[np.floating],
    pairs: npt.NDArray[np.int64],
    weighting: Weighting = "distance",
    gamma: float = 1.0,
) -> npt.NDArray[np.float64]:
    """The weights (T, E) of edges `pairs` (2, E) between nodes with values (T, N, C).

    distance: Euclidean, divided by its maximum over the step's edges, as Z-GCNETs' code has it. rbf: exp(-d^2 / gamma),
    the paper's (section 4); similar ends then have a large weight.
    """
    from moiety.topology import feature_distances

    if weighting not in ("distance", "rbf") or not gamma > 0:
        raise ValueError(f"expected weighting 'distance' or 'rbf' and gamma > 0, got {weighting!r} and {gamma}")
    found = np.empty((len(values), pairs.shape[1]))
    for start in range(0, len(values), 1024):  # of a year of steps the differences are gigabytes
        lengths = feature_distances(values[start : start + 1024], pairs.T, normalise=weighting == "distance")
        found[start : start + 1024] = lengths if weighting == "distance" else np.exp(-(lengths**2) / gamma)
    return found


def undirected(
    pairs: npt.NDArray[np.integer], weight: npt.NDArray[np.floating] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Each pair of different nodes once, as u < v, sorted; of several weights of one pair the last one holds."""
    ends = np.sort(np.asarray(pairs, dtype=np.int64), axis=0)
    values = np.ones(ends.shape[1]) if weight is None else np.asarray(weight, dtype=np.float64)
    different = ends[0] != ends[1]
    ends, values = ends[:, different], values[different]
    _, last = np.unique(ends[:, ::-1], axis=1, return_index=True)
    kept = ends.shape[1] - 1 - last
    return ends[:, kept], values[kept]
