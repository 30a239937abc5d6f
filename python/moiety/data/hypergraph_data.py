"""What every hypergraph for node classification looks like: structure, features, labels, and splits of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moiety.graph import Graph, Hypergraph

__all__ = ["HypergraphData"]


@dataclass(frozen=True)
class HypergraphData:
    """One hypergraph whose nodes have features and labels, and several splits to train and test on.

    x: (nodes, features), a dense tensor, or a `Graph` that is the sparse matrix of that shape. y: int64 (nodes,).
    train: bool (splits, nodes), a row the nodes that a split trains on; it is tested on all others. notes: what a
    reader of results has to know.
    """

    name: str
    hypergraph: Hypergraph
    x: Tensor | Graph
    y: Tensor
    train: Tensor
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nodes = self.hypergraph.num_nodes
        rows = self.x.num_rows if isinstance(self.x, Graph) else self.x.shape[0]
        if rows != nodes or self.y.shape != (nodes,) or self.y.dtype is not torch.int64:
            raise ValueError(
                f"{self.name}: expected features and int64 labels of {nodes} nodes, got {rows} rows and "
                f"{self.y.dtype} {tuple(self.y.shape)}"
            )
        if not nodes or int(self.y.min()) < 0 or int(self.y.max()) >= len(self.classes):
            raise ValueError(f"{self.name}: expected labels in [0, {len(self.classes)}) of at least one node")
        if self.train.ndim != 2 or self.train.shape[1] != nodes or self.train.dtype is not torch.bool:
            raise ValueError(
                f"{self.name}: expected train as bool (splits, {nodes}), got {self.train.dtype} "
                f"{tuple(self.train.shape)}"
            )
        counts = self.train.sum(1)
        if not len(counts) or int(counts.min()) == 0 or int(counts.max()) == nodes:
            raise ValueError(f"{self.name}: expected nodes to train on and nodes to test with in every split")

    @property
    def num_nodes(self) -> int:
        return self.hypergraph.num_nodes

    @property
    def num_features(self) -> int:
        return self.x.num_cols if isinstance(self.x, Graph) else self.x.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def num_splits(self) -> int:
        return len(self.train)

    def split(self, number: int) -> tuple[Tensor, Tensor]:
        """Positions of the nodes to train on and of those to test with; splits count from 1, as the published do."""
        if not 1 <= number <= self.num_splits:
            raise ValueError(f"{self.name}: there is no split {number}: expected 1 to {self.num_splits}")
        mask = self.train[number - 1]
        return mask.nonzero().flatten(), (~mask).nonzero().flatten()
