"""A graph that changes, step by step: which edges are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moiety._core import topology as _topology
from moiety.topology.filtration import Filtration

__all__ = ["Mode", "Snapshots", "feature_distances", "snapshots_filtration"]

Mode = Literal["paper", "code"]
Reals = NDArray[np.float64]


def mode_number(mode: str) -> int:
    """How the core numbers modes."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode: expected 'paper' or 'code', got {mode!r}")
    return get_args(Mode).index(mode)


class Snapshots:
    """T graphs on the same N nodes, as lists of edges; immutable.

    ``start`` int64 (T + 1,): the edges of step t are ``tail, head`` (int32) at start[t]:start[t + 1], tail < head,
    rising. Made by `from_weights`, `from_dense` and `from_edges`.
    """

    def __init__(
        self, num_nodes: int, start: NDArray[np.int64], tail: NDArray[np.int32], head: NDArray[np.int32]
    ) -> None:
        self.num_nodes, self.start, self.tail, self.head = num_nodes, start, tail, head

    def __len__(self) -> int:
        return self.start.size - 1

    def __repr__(self) -> str:
        return f"Snapshots({len(self)} steps, {self.num_nodes} nodes, {self.tail.size} edges in all)"

    def steps(self, first: int, last: int) -> Snapshots:
        """Steps first, ..., last - 1."""
        if not 0 <= first < last <= len(self):
            raise ValueError(f"steps: expected 0 <= first < last <= {len(self)}, got {first} and {last}")
        begin, end = self.start[first], self.start[last]
        return Snapshots(
            self.num_nodes, self.start[first : last + 1] - begin, self.tail[begin:end], self.head[begin:end]
        )

    @classmethod
    def from_weights(cls, num_nodes: int, edges: ArrayLike, weights: ArrayLike, alpha: float) -> Snapshots:
        """Of one set of edges (E, 2) whose weights (T, E) change: an edge is there while its weight is at most alpha.

        Raises ValueError, with the step and edge, for weights that are NaN or negative, edges outside the nodes, loops,
        edges listed twice, and without any step or node. An infinite weight is an absent edge.
        """
        pairs, values = _edges(edges, num_nodes), np.asarray(weights)
        if values.ndim != 2 or values.shape[1] != len(pairs) or values.dtype.kind not in "fiu":
            raise ValueError(f"weights: expected (steps, {len(pairs)}) numbers, got {values.dtype} of {values.shape}")
        if len(values) == 0:
            raise ValueError("snapshots: expected at least one step, got none")
        _check_alpha(alpha)
        bad = np.argwhere(~(values >= 0))
        if bad.size:
            t, e = bad[0]
            raise ValueError(
                f"step {t}: expected weights >= 0, got {values[t, e]} for the edge {tuple(pairs[e].tolist())}"
            )
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        step, column = np.nonzero(values[:, order] <= alpha)
        kept = pairs[order][column].astype(np.int32)
        return cls._of_sorted(num_nodes, len(values), step, kept)

    @classmethod
    def from_dense(cls, weights: ArrayLike, alpha: float) -> Snapshots:
        """Of symmetric matrices (T, N, N): an edge is there while its weight is at most alpha; 0 and inf are no edge.

        Raises ValueError, with the step and entry, for matrices that are not symmetric and weights that are NaN or
        negative, and without any step or node.
        """
        values = np.asarray(weights)
        if values.ndim != 3 or values.shape[1] != values.shape[2] or values.dtype.kind not in "fiu":
            raise ValueError(f"snapshots: expected weights (steps, nodes, nodes), got {values.dtype} of {values.shape}")
        if len(values) == 0 or values.shape[1] == 0:
            raise ValueError(f"snapshots: expected at least one step and one node, got shape {values.shape}")
        _check_alpha(alpha)
        for what, wrong in (
            ("weights >= 0", ~(values >= 0)),
            ("symmetric weights", values != values.transpose(0, 2, 1)),
        ):
            bad = np.argwhere(wrong)
            if bad.size:
                t, i, j = bad[0]
                got = f"{values[t, i, j]} at ({i}, {j}) and {values[t, j, i]} at ({j}, {i})"
                raise ValueError(f"step {t}: expected {what}, got {got}")
        step, tail, head = np.nonzero(np.triu((values > 0) & (values <= alpha), 1))
        kept = np.stack([tail, head], 1).astype(np.int32)
        return cls._of_sorted(values.shape[1], len(values), step, kept)

    @classmethod
    def from_edges(cls, num_nodes: int, steps: Iterable[ArrayLike]) -> Snapshots:
        """Of one list of edges (E_t, 2) a step; an edge may be given in both directions."""
        lists = []
        for t, edges in enumerate(steps):
            try:
                pairs = _edges(edges, num_nodes, repeated=True)
            except (TypeError, ValueError) as error:
                raise type(error)(f"step {t}: {error}") from error
            lists.append(np.unique(pairs, axis=0))
        if not lists or num_nodes < 1:
            raise ValueError(f"snapshots: expected at least one step and one node, got {len(lists)} and {num_nodes}")
        step = np.repeat(np.arange(len(lists)), [len(a) for a in lists])
        return cls._of_sorted(num_nodes, len(lists), step, np.concatenate(lists).astype(np.int32))

    @classmethod
    def _of_sorted(cls, num_nodes: int, steps: int, step: NDArray[Any], edges: NDArray[np.int32]) -> Snapshots:
        if num_nodes < 1:
            raise ValueError(f"snapshots: expected at least one node, got {num_nodes}")
        start = np.zeros(steps + 1, np.int64)
        np.cumsum(np.bincount(step, minlength=steps), out=start[1:])
        return cls(num_nodes, start, np.ascontiguousarray(edges[:, 0]), np.ascontiguousarray(edges[:, 1]))


def _check_alpha(alpha: float) -> None:
    if not alpha >= 0:
        raise ValueError(f"alpha: expected a number >= 0, got {alpha}")


def _edges(edges: ArrayLike, num_nodes: int, repeated: bool = False) -> NDArray[np.int64]:
    """Edges with the smaller end first."""
    pairs = np.asarray(edges)
    if pairs.size == 0:
        return np.zeros((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(f"edges: expected integers (edges, 2), got {pairs.dtype} of shape {pairs.shape}")
    ordered = np.sort(pairs.astype(np.int64), 1)
    bad = np.flatnonzero((ordered[:, 0] < 0) | (ordered[:, 1] >= num_nodes) | (ordered[:, 0] == ordered[:, 1]))
    if bad.size:
        raise ValueError(
            f"edges: expected two different nodes in [0, {num_nodes}), got {tuple(pairs[bad[0]].tolist())} "
            f"at index {bad[0]}"
        )
    if not repeated and len(np.unique(ordered, axis=0)) != len(ordered):
        raise ValueError("edges: expected every edge once, in one direction; got one twice")
    return ordered


def feature_distances(features: ArrayLike, edges: ArrayLike, *, normalise: bool = True) -> Reals:
    """Euclidean distances (T, E) of the features (T, N, C) of edges' ends, as Z-GCNETs' authors' programme has them.

    A distance of 0 becomes 1e-5, and with `normalise` a step's distances are divided by the largest of that step.
    """
    values = np.asarray(features, np.float64)
    if values.ndim != 3 or not np.all(np.isfinite(values)):
        raise ValueError(f"features: expected finite numbers (steps, nodes, features), got shape {values.shape}")
    pairs = _edges(edges, values.shape[1])
    distance: Reals = np.sqrt(np.square(values[:, pairs[:, 0]] - values[:, pairs[:, 1]]).sum(-1))
    distance[distance == 0] = 1e-5
    if normalise and distance.size:
        distance /= distance.max(1, keepdims=True)
    return distance


def as_snapshots(snapshots: Snapshots | ArrayLike | Sequence[ArrayLike], alpha: float | None) -> Snapshots:
    """Snapshots as they are, or of matrices (T, N, N) and a threshold."""
    if isinstance(snapshots, Snapshots):
        if alpha is not None:
            raise ValueError("alpha: expected none with Snapshots, whose edges are known; it goes with weights")
        return snapshots
    if alpha is None:
        raise ValueError("alpha: expected the largest weight of an edge that is there, got none")
    return Snapshots.from_dense(np.asarray(snapshots), alpha)


def window_instants(steps: int) -> Reals:
    """Of the arrows among 2 `steps` - 1 complexes, in steps: into a union its own, out of it again the same.

    The end of the last snapshot is its own time.
    """
    positions = np.arange(2 * steps)
    instants: Reals = (positions - (positions % 2 == 0)) / 2
    instants[0], instants[-1] = 0.0, steps - 1.0
    return instants


def snapshots_filtration(
    snapshots: Snapshots | ArrayLike, alpha: float | None = None, mode: Mode = "paper", max_dimension: int = 1
) -> Filtration:
    """The zigzag G_0 -> G_0 u G_1 <- G_1 -> ... of the graphs' flag complexes, of 2 T - 1 complexes.

    paper: vertices are shared, and the union is that of the graphs (Definition 3.1 of Y. Chen, I. Segovia-Dominguez
    and Y. R. Gel, ICML 2021). code: every graph has vertices of its own, joined as the authors' programme joins them
    (csrc/topology/flag.hpp). Simplices of dimension up to `max_dimension` + 1. Every cell is written out: for long
    sequences `snapshots_barcode` and `zigzag_windows` are the way.
    """
    graphs = as_snapshots(snapshots, alpha)
    cells = _topology.cells_of_snapshots(
        graphs.num_nodes, graphs.start, graphs.tail, graphs.head, mode_number(mode), max_dimension
    )
    return Filtration.of_cells(cells, window_instants(len(graphs)))
