"""Filtrations of distances and weighted graphs; as zigzags they only ever grow."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moiety._core import topology as _topology
from moiety.topology.filtration import Filtration

__all__ = ["power", "rips", "weight_rank"]

Reals = NDArray[np.float64]


def rips(distances: ArrayLike, longest: float = math.inf, max_dimension: int = 1) -> Filtration:
    """The Vietoris-Rips filtration of a matrix of distances (N, N): a simplex enters with its longest edge.

    Edges longer than `longest`, and infinite ones, never enter; vertices enter at 0. Simplices up to dimension
    `max_dimension` + 1, for bars up to `max_dimension`. Raises ValueError for a matrix that is not symmetric, with its
    first such entry, and for distances that are NaN or negative.
    """
    return _clique_filtration(_symmetric(distances, "distances"), longest, max_dimension)


def power(adjacency: ArrayLike, longest: float = math.inf, max_dimension: int = 1) -> Filtration:
    """The power filtration of a graph (N, N): the Rips filtration of its shortest paths.

    An entry > 0 is the length of an edge, 0 and inf are none. Level k of a graph of ones is the graph whose edges are
    the paths of at most k edges.
    """
    lengths = _symmetric(adjacency, "adjacency")
    distance = np.where(lengths > 0, lengths, math.inf)
    np.fill_diagonal(distance, 0.0)
    for via in range(len(distance)):  # Floyd and Warshall
        np.minimum(distance, distance[:, via, None] + distance[None, via], out=distance)
    return _clique_filtration(distance, longest, max_dimension)


def weight_rank(weights: ArrayLike, max_dimension: int = 1) -> Filtration:
    """The weight-rank clique filtration of a graph (N, N), strongest edges first.

    G. Petri, M. Scolamiero, I. Donato and F. Vaccarino, Topological strata of weighted complex networks (2013): edges
    of the k-th largest weight enter at k = 1, 2, ..., and the vertices at 0. An entry of 0 is no edge.
    """
    strengths = _symmetric(weights, "weights")
    if np.isinf(strengths).any():
        raise ValueError("weights: expected finite numbers, got an infinite one")
    levels = np.unique(strengths[strengths > 0])[::-1]
    rank = np.full(strengths.shape, math.inf)
    there = strengths > 0
    rank[there] = 1 + np.searchsorted(-levels, -strengths[there])
    return _clique_filtration(rank, math.inf, max_dimension)


def _symmetric(matrix: ArrayLike, what: str) -> Reals:
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"{what}: expected a square matrix, got shape {values.shape}")
    for wanted, wrong in (("numbers >= 0", ~(values >= 0)), ("a symmetric matrix", values != values.T)):
        bad = np.argwhere(wrong)
        if bad.size:
            i, j = bad[0]
            got = f"{values[i, j]} at ({i}, {j}) and {values[j, i]} at ({j}, {i})"
            raise ValueError(f"{what}: expected {wanted}, got {got}")
    return values


def _clique_filtration(distance: Reals, longest: float, max_dimension: int) -> Filtration:
    nodes = len(distance)
    tail, head = np.triu_indices(nodes, 1)
    length = distance[tail, head]
    kept = np.isfinite(length) & (length <= longest)
    tail, head, length = tail[kept], head[kept], length[kept]
    if nodes == 0:
        return Filtration()
    levels, position = np.unique(np.concatenate([[0.0], length]), return_inverse=True)
    last = levels.size - 1
    cells = _topology.cells_of_timed_graph(
        levels.size,
        np.zeros(nodes, np.int32),
        np.full(nodes, last, np.int32),
        tail.astype(np.int32),
        head.astype(np.int32),
        position[1:].astype(np.int32),
        np.full(tail.size, last, np.int32),
        max_dimension,
    )
    return Filtration.of_cells(cells, [*levels, math.inf])
