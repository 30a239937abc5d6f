"""What every graph for node classification looks like: a graph, features, labels, and who is trained and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moiety.graph import Graph

__all__ = ["GraphData", "random_split", "row_normalized"]

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GraphData:
    """One graph whose nodes have features and labels.

    x: (nodes, features), a dense tensor, or a `Graph` that is the sparse matrix of that shape. y: int64 (nodes,), -1
    where a node has no label. train, valid, test: bool (nodes,), apart from each other. notes: what a reader of results
    has to know.
    """

    name: str
    graph: Graph
    x: Tensor | Graph
    y: Tensor
    train: Tensor
    valid: Tensor
    test: Tensor
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nodes = self.graph.num_nodes
        rows = self.x.num_rows if isinstance(self.x, Graph) else self.x.shape[0]
        if rows != nodes or self.y.shape != (nodes,) or self.y.dtype is not torch.int64:
            raise ValueError(
                f"{self.name}: expected features and int64 labels of {nodes} nodes, got {rows} rows and "
                f"{self.y.dtype} {tuple(self.y.shape)}"
            )
        low, high = (int(self.y.min()), int(self.y.max())) if nodes else (0, 0)
        if low < -1 or high >= len(self.classes):
            raise ValueError(f"{self.name}: expected labels in [-1, {len(self.classes)}), found {low} to {high}")
        total = torch.zeros(nodes, dtype=torch.int64)
        for name in ("train", "valid", "test"):
            mask: Tensor = getattr(self, name)
            if mask.shape != (nodes,) or mask.dtype is not torch.bool:
                raise ValueError(f"{self.name}: expected {name} as bool ({nodes},), got {mask.dtype} {mask.shape}")
            if bool((self.y[mask] < 0).any()):
                raise ValueError(f"{self.name}: a node without a label is in {name}: expected labels of all of them")
            total += mask
        if nodes and int(total.max()) > 1:
            raise ValueError(f"{self.name}: a node is in two of train, valid and test: expected them apart")
        if not bool(self.train.any()) or not bool(self.test.any()):
            raise ValueError(f"{self.name}: expected nodes to train on and nodes to test with")

    @property
    def num_nodes(self) -> int:
        return self.graph.num_nodes

    @property
    def num_features(self) -> int:
        return self.x.num_cols if isinstance(self.x, Graph) else self.x.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def dense(self) -> Tensor:
        """The features as a dense float32 tensor (nodes, features)."""
        if isinstance(self.x, Tensor):
            return self.x
        values = torch.ones(self.x.num_edges) if self.x.weight is None else self.x.weight.float()
        columns, rows = self.x.edge_index
        dense = torch.zeros(self.x.num_rows, self.x.num_cols)
        return dense.index_put_((rows, columns), values, accumulate=True)

    @classmethod
    def from_pyg(cls, data: Any, name: str = "data") -> GraphData:
        """From a `torch_geometric.data.Data` with x, y, train_mask, test_mask and perhaps val_mask."""
        for key in ("x", "y", "train_mask", "test_mask"):
            if getattr(data, key, None) is None:
                raise ValueError(f"{name}: expected Data with x, y, train_mask and test_mask, found no {key}")
        valid = getattr(data, "val_mask", None)
        classes = tuple(str(k) for k in range(int(data.y.max()) + 1))
        return cls(
            name,
            Graph.from_pyg(data),
            data.x.float(),
            data.y.long().flatten(),
            data.train_mask,
            torch.zeros_like(data.train_mask) if valid is None else valid,
            data.test_mask,
            classes,
        )


def random_split(y: Tensor, train: int, valid: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of `train` and `valid` nodes of every class, drawn by the seed, and of all others that have a label
    (O. Shchur et al., Pitfalls of Graph Neural Network Evaluation, 2018, section 3)."""
    masks = torch.zeros(3, len(y), dtype=torch.bool)
    rng = np.random.default_rng(seed)
    for label in range(int(y.max()) + 1):
        own = rng.permutation(torch.nonzero(y == label).flatten().numpy())
        if len(own) <= train + valid:
            raise ValueError(
                f"class {label} has {len(own)} nodes: expected more than {train} to train on and {valid} to validate "
                "with: give smaller numbers"
            )
        for mask, nodes in zip(masks, np.split(own, [train, train + valid]), strict=True):
            mask[torch.from_numpy(nodes)] = True
    return masks[0], masks[1], masks[2]


def row_normalized(x: Tensor | Graph) -> Tensor | Graph:
    """Every row divided by its sum of magnitudes; rows of zeros stay."""
    if isinstance(x, Tensor):
        return x / x.abs().sum(1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    values = torch.ones(x.num_edges) if x.weight is None else x.weight.float()
    rows = x.edge_index[1]
    sums = torch.zeros(x.num_rows).index_add(0, rows, values.abs())
    return x.with_weight(values / sums.clamp(min=torch.finfo(torch.float32).tiny)[rows])
