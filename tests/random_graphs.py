"""Random graphs for tests: hypothesis strategies and seeded ones, always with empty rows, duplicates and a hub."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph

__all__ = ["dense", "edge_lists", "random_graph", "scatter"]


@st.composite
def edge_lists(draw: st.DrawFn, most_nodes: int = 12, most_edges: int = 40) -> tuple[int, int, Tensor]:
    """(targets, sources, edge_index), in any order, duplicates welcome."""
    rows, cols = draw(st.integers(1, most_nodes)), draw(st.integers(1, most_nodes))
    edges = draw(st.lists(st.tuples(st.integers(0, cols - 1), st.integers(0, rows - 1)), max_size=most_edges))
    return rows, cols, torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t()


def random_graph(
    rows: int = 37, cols: int = 29, edges: int = 150, hub: int = 90, seed: int = 0, weighted: bool = True
) -> Graph:
    """A bipartite graph whose third row is a hub and whose last rows are empty; float64 weights."""
    rng = np.random.default_rng(seed)
    target = np.concatenate([rng.integers(0, rows - 4, edges), np.full(hub, 2)])
    source = rng.integers(0, cols, edges + hub)
    weight = torch.from_numpy(rng.normal(size=edges + hub)) if weighted else None
    return Graph.from_edge_index(torch.from_numpy(np.stack([source, target])), rows, weight, cols)


def dense(graph: Graph, weight: Tensor | None = None) -> Tensor:
    """The matrix, duplicates added up, float64."""
    weight = graph.weight if weight is None else weight
    values = torch.ones(graph.num_edges, dtype=torch.float64) if weight is None else weight.double()
    source, target = graph.edge_index
    empty = torch.zeros(graph.num_rows, graph.num_cols, dtype=torch.float64)
    return empty.index_put((target, source), values, accumulate=True)


def scatter(graph: Graph, messages: Tensor, reduce: str) -> Tensor:
    """Messages (num_edges, ...) reduced by row with torch's own operators; 0 for an empty row."""
    target = graph.edge_index[1].view(-1, *(1,) * (messages.ndim - 1)).expand_as(messages)
    names = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}
    empty = messages.new_zeros(graph.num_rows, *messages.shape[1:])
    return empty.scatter_reduce(0, target, messages, names[reduce], include_self=False)
