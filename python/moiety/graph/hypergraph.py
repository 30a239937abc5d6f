"""`Hypergraph`: hyperedges as sets of nodes, with the matrices, pairs and products that networks on them are made of.

The non-linear Laplacian is that of HyperGCN (Yadati et al., NeurIPS 2019): a signal picks of every hyperedge the two
nodes at which it differs most, and that pair, with the others as mediators, becomes weighted edges
(csrc/hypergraph/hypergraph.hpp states both weightings; csrc/hypergraph/pairs.hpp how pairs are found and ties fall).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor

from moiety._core import hypergraph as _core
from moiety.graph import hypergraph_build as build
from moiety.graph import hypergraph_files as files
from moiety.graph import hypergraph_matrices as matrices
from moiety.graph.graph import Graph
from moiety.graph.hypergraph_matrices import Pairs, Projection, Search, Weighting
from moiety.graph.structure import NARROW, Structure

__all__ = ["Hypergraph", "Pairs", "Projection", "Search", "Weighting"]


class Hypergraph:
    """Hyperedges over nodes 0 .. num_nodes - 1, with or without one weight each; immutable.

    Made by the `from_...` functions. A node may be in no hyperedge. A hyperedge holds at least one node and none twice
    (ValueError otherwise); one of a single node is welcome and adds nothing to a Laplacian. Attributes:

    - ``indptr`` int64 (num_hyperedges + 1,), ``indices`` int32 (num_incidences,): hyperedge e is the nodes
      ``indices[indptr[e]:indptr[e + 1]]``, in the order in which they were given, which decides ties.
    - ``weight``: a tensor (num_hyperedges,), finite and above 0, or None for ones.
    - ``num_nodes``, ``num_hyperedges``, ``num_incidences``.
    """

    def __init__(self, indptr: Tensor, indices: Tensor, num_nodes: int, weight: Tensor | None = None) -> None:
        """Of compressed rows: contiguous int64 and int32 vectors on the CPU."""
        if indices.dtype is not torch.int32:
            raise TypeError(f"hypergraph: expected indices int32, got {indices.dtype}")
        if not 0 <= num_nodes < NARROW:
            raise ValueError(f"hypergraph: expected a number of nodes in [0, 2^31 - 1), got {num_nodes}")
        self.incidence = Graph(Structure(indptr, indices, num_nodes))
        self.indptr, self.indices = indptr, indices
        self.num_nodes, self.num_hyperedges, self.num_incidences = num_nodes, indptr.numel() - 1, indices.numel()
        if weight is not None:
            if weight.shape != (self.num_hyperedges,):
                raise ValueError(
                    f"hypergraph: expected one weight a hyperedge ({self.num_hyperedges},), got {tuple(weight.shape)}"
                )
            weight = weight.detach() if weight.is_floating_point() else weight.to(torch.float32)
        self.weight = weight
        self._double = None if weight is None else weight.to(torch.float64).contiguous()
        holders = self.incidence.structure.transposed[0]
        self._place = holders.transposed[1]
        self.native = _core.Hypergraph(
            num_nodes,
            self.num_hyperedges,
            self.num_incidences,
            indptr.data_ptr(),
            indices.data_ptr(),
            holders.indptr.data_ptr(),
            holders.indices.data_ptr(),
            self._place.data_ptr(),
            0 if self._double is None else self._double.data_ptr(),
        )

    # --- building -----------------------------------------------------------------------------------------------------

    @classmethod
    def from_incidence(cls, matrix: Any, weight: Any = None) -> Hypergraph:
        """From H (num_nodes, num_hyperedges): SciPy sparse, array, or tensor, dense or sparse.

        Node v is in hyperedge e where ``H[v, e]`` is not zero, whatever its value; nodes of a hyperedge ascend.
        """
        return cls(*build.from_incidence(matrix, weight))

    @classmethod
    def from_lists(cls, num_nodes: int, hyperedges: Iterable[Iterable[int]], weight: Any = None) -> Hypergraph:
        """From the nodes of every hyperedge."""
        return cls(*build.from_lists(num_nodes, hyperedges, weight))

    @classmethod
    def from_dict(cls, num_nodes: int, hyperedges: Mapping[Any, Iterable[int]], weight: Any = None) -> Hypergraph:
        """From the nodes of every hyperedge by its name; hyperedges are numbered in the order of the mapping.

        `weight` is a vector in that order or a mapping by the same names.
        """
        return cls(*build.from_dict(num_nodes, hyperedges, weight))

    @classmethod
    def from_dhg(cls, hypergraph: Any) -> Hypergraph:
        """From a ``dhg.Hypergraph``, with its weights."""
        return cls(*build.from_dhg(hypergraph))

    @classmethod
    def from_xgi(cls, hypergraph: Any) -> Hypergraph:
        """From an ``xgi.Hypergraph``; nodes are numbered in the order of its ``nodes``."""
        return cls(*build.from_xgi(hypergraph))

    @classmethod
    def from_toponetx(cls, domain: Any) -> Hypergraph:
        """From the cells of two nodes and more of a TopoNetX domain, nodes numbered in the order of its ``nodes``."""
        return cls(*build.from_toponetx(domain))

    @classmethod
    def from_hypernetx(cls, hypergraph: Any) -> Hypergraph:
        """From a ``hypernetx.Hypergraph``; nodes are numbered in the order of its ``nodes``."""
        return cls(*build.from_hypernetx(hypergraph))

    # --- views --------------------------------------------------------------------------------------------------------

    def sizes(self) -> Tensor:
        """Nodes of every hyperedge (num_hyperedges,), int64."""
        return self.incidence.in_degrees()

    def degrees(self) -> Tensor:
        """Hyperedges of every node (num_nodes,), int64, without weights."""
        return self.incidence.out_degrees()

    def statistics(self) -> dict[str, float]:
        """Counts, sizes and degrees; ``mediator_edges`` is what a Laplacian has before edges that meet are added up."""
        sizes, degrees = self.sizes().double(), self.degrees().double()

        def summary(name: str, values: Tensor) -> dict[str, float]:
            if not values.numel():
                return {}
            found = {"mean": values.mean(), "sd": values.std(unbiased=False), "max": values.max()}
            return {f"{name}_{key}": float(value) for key, value in found.items()}

        several = sizes[sizes > 1]
        return {
            "num_nodes": self.num_nodes,
            "num_hyperedges": self.num_hyperedges,
            "num_incidences": self.num_incidences,
            **summary("size", sizes),
            **summary("degree", degrees),
            "isolated_nodes": int((degrees == 0).sum()),
            "singletons": int((sizes == 1).sum()),
            "mediator_edges": int((2 * several - 3).sum()),
            "clique_pairs": int((several * (several - 1) / 2).sum()),
        }

    # --- the non-linear Laplacian -------------------------------------------------------------------------------------

    def pairs(
        self, signal: Tensor, pairs: Search = "projection", projection: Projection = None
    ) -> tuple[Tensor, Tensor]:
        """The nodes (s, i), int32 (num_hyperedges,) each, at which `signal` (num_nodes, h) differs most in a hyperedge.

        "projection": the largest and the smallest of ``signal @ projection``, where `projection` is (h,), or a seed, or
        drawn anew from [0, 1)^h with torch's generator; of equals the first of the hyperedge counts. "exact": the pair
        at the largest Euclidean distance, s before i, of equals the first. s = i where nothing differs. float32 or
        float64, not differentiated.
        """
        return matrices.find_pairs(self, signal, pairs, projection)

    def laplacian(
        self,
        signal: Tensor,
        mediators: bool = True,
        weighting: Weighting = "paper",
        pairs: Search = "projection",
        projection: Projection = None,
    ) -> Graph:
        """L = D^-1/2 (A + I) D^-1/2 of the pairs of `signal`, with weights of its dtype; ``spmm(L, x)`` applies it."""
        s, i = self.pairs(signal, pairs, projection)
        return matrices.laplacian(self, s, i, mediators, weighting, matrices.signal_dtype(signal), known=True)

    def laplacian_from_pairs(
        self,
        s: Tensor,
        i: Tensor,
        mediators: bool = True,
        weighting: Weighting = "paper",
        dtype: torch.dtype = torch.float32,
    ) -> Graph:
        """L of given pairs, int32 (num_hyperedges,) each, nodes of their hyperedges (ValueError otherwise).

        Every node has its loop, edges that meet are added up; columns of a row come in no particular order.
        """
        return matrices.laplacian(self, s, i, mediators, weighting, dtype)

    def smooth(
        self,
        x: Tensor,
        signal: Tensor | None = None,
        pairs: Search | Pairs | None = None,
        mediators: bool = True,
        weighting: Weighting = "paper",
        projection: Projection = None,
    ) -> Tensor:
        """L x for x (num_nodes, ...) without building L, of the pairs of `signal`, by default x itself.

        `pairs` is a way to find them, by default "projection", or pairs (s, i) that are already there. Differentiable
        in x, the pairs taken as constants. `moiety.ops.hypergraph_smooth` is the operator for given pairs.
        """
        from moiety.ops.hypergraph_smooth import hypergraph_smooth

        if isinstance(pairs, tuple):
            return hypergraph_smooth(self, x, *pairs, mediators, weighting)
        found = self.pairs(x.flatten(1) if signal is None else signal, pairs or "projection", projection)
        return hypergraph_smooth(self, x, *found, mediators, weighting)

    # --- fixed matrices -----------------------------------------------------------------------------------------------

    def expand(self, kind: Literal["clique", "star", "hgnn"], dtype: torch.dtype = torch.float32) -> Graph:
        """A fixed graph in place of the hypergraph, with weights of `dtype`.

        - "clique" (num_nodes, num_nodes): u and v are joined with the weights of the hyperedges that hold both.
        - "star" (num_nodes + num_hyperedges, the same): hyperedge e is node num_nodes + e, joined with its nodes both
          ways with its weight.
        - "hgnn" (num_nodes, num_nodes): D_v^-1/2 H W D_e^-1 H^T D_v^-1/2 (Feng et al., AAAI 2019); `propagate` applies
          it without building it.
        """
        return matrices.expand(self, kind, dtype)

    def propagate(self, x: Tensor) -> Tensor:
        """The HGNN operator applied to x (num_nodes, ...), float32 or float64, as two products with the incidence."""
        from moiety.ops.graph_spmm import spmm

        to_hyperedges, to_nodes = self._hgnn_factors(x.dtype)
        result: Tensor = spmm(to_nodes, spmm(to_hyperedges, x))
        return result

    def _hgnn_factors(self, dtype: torch.dtype) -> tuple[Graph, Graph]:
        if dtype not in self._factors:
            self._factors[dtype] = matrices.hgnn_factors(self, dtype)
        return self._factors[dtype]

    @cached_property
    def _factors(self) -> dict[torch.dtype, tuple[Graph, Graph]]:
        return {}

    # --- files --------------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write one safetensors file, which `load` maps into memory."""
        files.save(path, self.indptr, self.indices, self.num_nodes, self.weight)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Hypergraph:
        """Read what `save` wrote. ValueError for any other file."""
        return cls(*files.load(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return Hypergraph, (self.indptr, self.indices, self.num_nodes, self.weight)

    def __repr__(self) -> str:
        weighted = "" if self.weight is None else ", weighted"
        return (
            f"Hypergraph(nodes={self.num_nodes}, hyperedges={self.num_hyperedges}, "
            f"incidences={self.num_incidences}{weighted})"
        )
