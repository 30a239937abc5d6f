"""What a run of node classification is asked to do, as frozen dataclasses from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["BatchConfig", "GraphConfig", "NodeFitConfig", "NodeModelConfig", "NodesConfig"]


@dataclass(frozen=True)
class GraphConfig:
    """The graph, with features, labels and split."""

    name: str = "karate"  # of moiety.data.load_graph
    options: dict[str, Any] = field(default_factory=dict)  # its further arguments


@dataclass(frozen=True)
class NodeModelConfig:
    """The network."""

    name: str = "gcn"  # of moiety.models.create_model, one for graphs
    options: dict[str, Any] = field(
        default_factory=dict
    )  # its arguments; in_features and num_classes come from the data


@dataclass(frozen=True)
class BatchConfig:
    """What a step of training sees: the whole graph, sampled neighbourhoods, clusters, or a part of it a process.

    full: all nodes, one step an epoch. neighbors: `size` nodes to train on and of their neighbours `fanouts[k]` at hop
    k + 1 (W. Hamilton et al., 2017). clusters: `size` of `parts` parts and the edges among them (W.-L. Chiang et al.,
    Cluster-GCN, 2019). partitions: the whole graph in parts, under torchrun one a process, without it `parts` of them;
    `staleness` are the bounds L_phi, L_local, L_remote, T_phi, T_local, T_remote of what parts read
    (docs/graph_training.md). Under torchrun the processes share the nodes of neighbors and the parts of clusters.
    """

    kind: Literal["full", "neighbors", "clusters", "partitions"] = "full"
    size: int = 128
    fanouts: tuple[int, ...] = (10, 10)
    parts: int = 32
    staleness: tuple[int, int, int, int, int, int] = (1, 1, 1, 0, 0, 0)

    def __post_init__(self) -> None:
        if self.size < 1 or self.parts < 1 or not self.fanouts:
            raise ValueError(
                f"expected size and parts of at least 1 and a fan-out a layer, found {self.size}, {self.parts}, "
                f"{list(self.fanouts)}"
            )
        if self.kind == "clusters" and self.size > self.parts:
            raise ValueError(f"expected at most as many clusters a batch as parts, found {self.size} of {self.parts}")


@dataclass(frozen=True)
class NodeFitConfig:
    """Training with Adam."""

    epochs: int = 200
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    decay: Literal["all", "first"] = "all"  # of all parameters, or of the first layer's alone
    patience: int = 0  # epochs without a better validation after which training ends; 0: it goes on to the last
    keep: Literal["best", "last"] = "best"  # the epoch whose weights are kept: of the best validation, or the last
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.weight_decay < 0 or self.patience < 0:
            raise ValueError(
                f"expected epochs >= 1, learning_rate > 0, weight_decay >= 0, patience >= 0, found {self.epochs}, "
                f"{self.learning_rate}, {self.weight_decay}, {self.patience}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"expected label_smoothing in [0, 1), found {self.label_smoothing}")


@dataclass(frozen=True)
class NodesConfig:
    """One run: the model trained with every seed."""

    task: Literal["nodes"] = "nodes"
    name: str = "karate"
    seeds: tuple[int, ...] = (0,)
    threads: int = 1
    data: GraphConfig = field(default_factory=GraphConfig)
    model: NodeModelConfig = field(default_factory=NodeModelConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    fit: NodeFitConfig = field(default_factory=NodeFitConfig)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"expected different seeds, at least one, found {list(self.seeds)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"expected a name that a folder can have, found {self.name!r}")
        if self.threads < 1:
            raise ValueError(f"expected at least one thread, found {self.threads}")
