"""Graphs with several kinds of edges: R-GCN over numbered relations, and a layer of layers over named ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.nn.graph.convolution import reduce_of
from moiety.nn.graph.parts import glorot, set_bias, zeros
from moiety.nn.graph.structure import Structure, as_graph, edge_values
from moiety.ops import spmm

__all__ = ["HeteroConv", "RGCNConv"]

Inputs = Tensor | None  # features (nodes, in_channels), whole numbers that stand for one-hot features, or all of them
Relation = tuple[str, str, str]  # type of the sources, name, type of the targets


class RGCNConv(nn.Module):
    """x_i' = W_root x_i + sum_r aggregate_{j in N_r(i)} x_j W_r + b (M. Schlichtkrull et al., ESWC 2018, equation 2).

    num_bases: W_r = sum_b a_rb V_b (equation 3); num_blocks: W_r block diagonal (equation 4). aggr is over the edges of
    one relation that enter a node; results of relations are added.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        num_relations: int,
        num_bases: int | None = None,
        num_blocks: int | None = None,
        aggr: str = "mean",
        root_weight: bool = True,
        is_sorted: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        source, target = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        if num_bases is not None and num_blocks is not None:
            raise ValueError("expected num_bases or num_blocks or neither, got both")
        if num_blocks is not None and (source % num_blocks or out_channels % num_blocks):
            raise ValueError(f"num_blocks={num_blocks} must divide {source} and {out_channels} channels")
        reduce_of(aggr)
        self.in_channels, self.out_channels, self.num_relations = in_channels, out_channels, num_relations
        self.num_bases, self.num_blocks, self.aggr = num_bases, num_blocks, aggr
        self.in_channels_l, self.is_sorted = source, is_sorted
        if num_bases is not None:
            shape: tuple[int, ...] = (num_bases, source, out_channels)
        elif num_blocks is not None:
            shape = (num_relations, num_blocks, source // num_blocks, out_channels // num_blocks)
        else:
            shape = (num_relations, source, out_channels)
        self.weight = nn.Parameter(torch.empty(shape))
        self.comp = None if num_bases is None else nn.Parameter(torch.empty(num_relations, num_bases))
        self.root = nn.Parameter(torch.empty(target, out_channels)) if root_weight else None
        set_bias(self, out_channels if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for value in (self.weight, self.comp, self.root):
            glorot(value)
        zeros(self.bias)

    def forward(
        self, x: Inputs | tuple[Inputs, Tensor], edge_index: Structure, edge_type: Tensor | None = None
    ) -> Tensor:
        """x (nodes, in_channels), or whole numbers (nodes,), or None for every node its own feature, or a pair;
        edge_type (E,), the relation of every edge. Returns (targets, out_channels)."""
        source, target = x if isinstance(x, tuple) else (x, x)
        if source is None:
            source = torch.arange(self.in_channels_l)
        if target is None:
            target = source
        if edge_type is None:
            raise ValueError("RGCNConv: expected edge_type (E,), the number of each edge's relation, got None")
        graph = as_graph(edge_index, len(source), len(target))
        types = cast(Tensor, edge_values(edge_index, graph, edge_type))
        reduce = reduce_of(self.aggr)
        y = self.weight.new_zeros(len(target), self.out_channels)
        for relation, part in relations(graph, types, self.num_relations):
            matrix = matrix_of(self, relation)
            if not source.is_floating_point():
                y = y + spmm(part, matrix.index_select(0, source), reduce=reduce)
            elif reduce in ("sum", "mean") and self.out_channels < self.in_channels_l:
                y = y + spmm(part, source @ matrix, reduce=reduce)
            else:
                y = y + spmm(part, source, reduce=reduce) @ matrix
        if self.root is not None:
            y = y + (target @ self.root if target.is_floating_point() else self.root.index_select(0, target))
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, num_relations={self.num_relations}"


def matrix_of(layer: RGCNConv, relation: int) -> Tensor:
    """W_r (in, out)."""
    if layer.comp is not None:
        return torch.einsum("b,bio->io", layer.comp[relation], layer.weight)
    if layer.num_blocks is not None:
        return cast(Tensor, torch.block_diag(*layer.weight[relation]))  # type: ignore[no-untyped-call]
    return layer.weight[relation]


def relations(graph: Graph, types: Tensor, count: int) -> Iterator[tuple[int, Graph]]:
    """The relations that have edges, each with the graph of its edges; remembered with the graph for the same types."""
    if types.shape != (graph.num_edges,) or types.is_floating_point():
        raise ValueError(f"expected edge types ({graph.num_edges},) of whole numbers, got {types.dtype} {types.shape}")
    known = graph.__dict__.get("_relations")
    if known is None or not torch.equal(known[0], types):
        if types.numel() and not 0 <= int(types.min()) <= int(types.max()) < count:
            raise ValueError(f"expected edge types in [0, {count}), got {int(types.min())} to {int(types.max())}")
        order = types.argsort(stable=True)
        edges = graph.edge_index.index_select(1, order)
        parts = torch.split(edges, types.bincount(minlength=count).tolist(), 1)
        graphs = {
            relation: Graph.from_edge_index(part, num_nodes=graph.num_rows, num_sources=graph.num_cols)
            for relation, part in enumerate(parts)
            if part.shape[1]
        }
        known = graph.__dict__["_relations"] = (types.clone(), graphs)
    yield from known[1].items()


class HeteroConv(nn.Module):
    """A layer for every relation (type of sources, name, type of targets); what a type of nodes gets from several
    relations is put together by `aggr`: "sum", "mean", "max", "min", "cat", or None: a stack (nodes, relations, out).

    Parameters have the names of PyTorch Geometric's layer of this name.
    """

    def __init__(
        self,
        convs: Mapping[Relation, nn.Module],
        aggr: Literal["sum", "mean", "max", "min", "cat"] | None = "sum",
    ) -> None:
        super().__init__()
        if aggr not in ("sum", "mean", "max", "min", "cat", None):
            raise ValueError(f"aggr must be 'sum', 'mean', 'max', 'min', 'cat' or None, got {aggr!r}")
        for relation, conv in convs.items():
            if len(relation) != 3:
                raise ValueError(f"expected relations (sources, name, targets), got {relation!r}")
            if relation[0] != relation[2] and getattr(conv, "add_self_loops", False):
                raise ValueError(f"{relation}: nodes of two types have no self-loops: give add_self_loops=False")
        self.relations = tuple(convs)
        self.aggr = aggr
        self.convs = nn.ModuleDict({key_of(relation): conv for relation, conv in convs.items()})

    def reset_parameters(self) -> None:
        for conv in self.convs.values():
            cast(Any, conv).reset_parameters()

    def forward(
        self, x: Mapping[str, Tensor], graphs: Mapping[Relation, Structure], **values: Mapping[Relation, Tensor]
    ) -> dict[str, Tensor]:
        """x: features by type of nodes; graphs: a `HeteroGraph`, or edge_index by relation; further arguments of the
        layers by relation, named as theirs with "_dict" behind (edge_weight_dict={...}). Features by type of nodes.

        Relations without a graph are passed over.
        """
        for name in values:
            if not name.endswith("_dict"):
                raise ValueError(f"expected arguments such as edge_weight_dict, got {name}")
        found: dict[str, list[Tensor]] = {}
        for relation in self.relations:
            if relation not in graphs:
                continue
            source, _, target = relation
            features = x[source] if source == target else (x[source], x[target])
            own = {name.removesuffix("_dict"): given[relation] for name, given in values.items() if relation in given}
            result = self.convs[key_of(relation)](features, graphs[relation], **own)
            found.setdefault(target, []).append(result)
        return {kind: self._joined(results) for kind, results in found.items()}

    def _joined(self, results: list[Tensor]) -> Tensor:
        if self.aggr is None:
            return torch.stack(results, 1)
        if self.aggr == "cat":
            return torch.cat(results, -1)
        if len(results) == 1:
            return results[0]
        stack = torch.stack(results)
        match self.aggr:
            case "sum":
                return stack.sum(0)
            case "mean":
                return stack.mean(0)
            case "max":
                return stack.amax(0)
            case _:
                return stack.amin(0)


def key_of(relation: Relation) -> str:
    """The name of a relation's layer, as PyG writes it: a module's name has no dots."""
    return f"<{'___'.join(relation)}>".replace(".", "#")
