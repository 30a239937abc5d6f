"""Graphs with nodes and edges of several types: one bipartite `Graph` for every relation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from moiety.graph.graph import Graph, Order

__all__ = ["HeteroGraph", "Relation"]

Relation = tuple[str, str, str]  # type of the sources, name, type of the targets


class HeteroGraph(Mapping[Relation, Graph]):
    """A mapping from relations to graphs, whose rows are the nodes of the target type and columns those of the source.

    ``num_nodes``: how many nodes there are of every type. `moiety.nn.HeteroConv` takes it in place of PyG's
    edge_index_dict.
    """

    def __init__(self, graphs: Mapping[Relation, Graph], num_nodes: Mapping[str, int] | None = None) -> None:
        """Raises ValueError where two relations, or `num_nodes`, do not agree on how many nodes there are of a type."""
        self._graphs = dict(graphs)
        self.num_nodes: dict[str, int] = dict(num_nodes or {})
        self._sampling: dict[Relation, Tensor] = {}
        self._numbers: dict[str, Tensor] = {}
        for relation, graph in self._graphs.items():
            if len(relation) != 3:
                raise ValueError(f"hetero: expected relations (sources, name, targets), got {relation!r}")
            for kind, count in ((relation[0], graph.num_cols), (relation[2], graph.num_rows)):
                if self.num_nodes.setdefault(kind, count) != count:
                    raise ValueError(
                        f"hetero: expected {self.num_nodes[kind]} nodes of type {kind!r} in {relation}, got {count}"
                    )

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Mapping[Relation, Tensor],
        num_nodes: Mapping[str, int],
        weight: Mapping[Relation, Tensor] | None = None,
        order: Order | None = None,
    ) -> HeteroGraph:
        """From PyG's edge_index_dict and the number of nodes of every type."""
        graphs = {}
        for relation, edges in edge_index.items():
            missing = [kind for kind in (relation[0], relation[-1]) if kind not in num_nodes]
            if missing:
                raise ValueError(f"hetero: expected num_nodes of {', '.join(num_nodes)} and {missing[0]!r}")
            sources, targets = num_nodes[relation[0]], num_nodes[relation[-1]]
            values = None if weight is None else weight.get(relation)
            graphs[relation] = Graph.from_edge_index(edges, targets, values, sources, order)
        return cls(graphs, num_nodes)

    @classmethod
    def from_pyg(cls, data: Any, order: Order | None = None) -> HeteroGraph:
        """From a torch_geometric `HeteroData`: edge_index and, where there is one, edge_weight of every edge type."""
        if not hasattr(data, "edge_types") or not hasattr(data, "node_types"):
            raise TypeError(f"hetero: expected a torch_geometric HeteroData, got {type(data).__name__}")
        nodes = {kind: data[kind].num_nodes for kind in data.node_types}
        edges = {relation: data[relation].edge_index for relation in data.edge_types}
        weights = {r: w for r in data.edge_types if (w := getattr(data[r], "edge_weight", None)) is not None}
        return cls.from_edge_index(edges, nodes, weights, order)

    def sampling_indptr(self, relation: Relation) -> Tensor:
        """Pointers of a relation's rows behind those of its sources, which are empty: one square matrix; made once."""
        if relation not in self._sampling:
            graph = self[relation]
            self._sampling[relation] = torch.cat([torch.zeros(graph.num_cols, dtype=torch.int64), graph.indptr])
        return self._sampling[relation]

    def take_numbers(self, kind: str) -> Tensor:
        """A table of -1 a node of a type, of the caller's alone until it is given back in the same state."""
        table = self._numbers.pop(kind, None)
        return torch.full((self.num_nodes[kind],), -1, dtype=torch.int64) if table is None else table

    def give_numbers(self, kind: str, table: Tensor) -> None:
        self._numbers[kind] = table

    def __getitem__(self, relation: Relation) -> Graph:
        return self._graphs[relation]

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._graphs)

    def __len__(self) -> int:
        return len(self._graphs)

    def __repr__(self) -> str:
        parts = ", ".join(f"{'-'.join(relation)}: {graph.num_edges}" for relation, graph in self._graphs.items())
        return f"HeteroGraph({parts})"
