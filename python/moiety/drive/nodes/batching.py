"""What the steps of an epoch see: the whole graph, sampled neighbourhoods, or clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from moiety.data.graph_data import GraphData
from moiety.graph import Graph

from .config import BatchConfig

__all__ = ["Batch", "Batches", "make_batches"]


@dataclass(frozen=True)
class Batch:
    """A graph with the features of its nodes, the nodes of it that the loss is on, and their labels."""

    graph: Graph
    x: Tensor | Graph
    nodes: Tensor  # positions
    y: Tensor


class Batches(Protocol):
    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch; they depend on its number and the seed alone."""


class Full:
    """All nodes, one step."""

    def __init__(self, data: GraphData) -> None:
        nodes = data.train.nonzero().flatten()
        self._batch = Batch(data.graph, data.x, nodes, data.y[nodes])

    def epoch(self, number: int) -> Iterator[Batch]:
        yield self._batch


def make_batches(data: GraphData, config: BatchConfig, seed: int) -> Batches:
    """The batches that the configuration asks for."""
    return Full(data)


def rows(x: Tensor | Graph, nodes: Tensor) -> Tensor | Graph:
    """The features of `nodes`, dense or sparse."""
    if isinstance(x, Tensor):
        return x.index_select(0, nodes)
    start, counts = x.indptr[nodes], x.in_degrees()[nodes]
    pointers = torch.zeros(len(nodes) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=pointers[1:])
    where = torch.arange(int(pointers[-1])) + torch.repeat_interleave(start - pointers[:-1], counts)
    weight = None if x.weight is None else x.weight[where]
    return Graph.from_csr(pointers, x.indices[where], weight, num_cols=x.num_cols)
