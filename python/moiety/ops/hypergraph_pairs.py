"""`torch.ops.moiety.hypergraph_pairs`: `Hypergraph.pairs` as a registered operator, for compilers and exporters."""

from __future__ import annotations

import torch
from torch import Tensor

from moiety.graph.hypergraph import Hypergraph
from moiety.graph.hypergraph_matrices import Pairs, search_pairs
from moiety.ops import graph_common as common

__all__ = ["traced_pairs"]


def traced_pairs(hypergraph: Hypergraph, values: Tensor, direction: Tensor | None) -> Pairs | None:
    """The operator's result where kernels must not read the tensors' memory, else None."""
    if common.plain(values, direction):
        return None
    s, i = torch.ops.moiety.hypergraph_pairs(values, direction, hypergraph.indptr, hypergraph.indices)
    return s, i


@torch.library.custom_op("moiety::hypergraph_pairs", mutates_args=(), device_types="cpu")
def _pairs(signal: Tensor, direction: Tensor | None, indptr: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Makes the hypergraph anew each time; not differentiable."""
    hypergraph = Hypergraph(indptr, indices, signal.shape[0])
    line = None if direction is None else direction.contiguous()
    return search_pairs(hypergraph.native, hypergraph.num_hyperedges, signal.contiguous(), line)


@_pairs.register_fake
def _(signal: Tensor, direction: Tensor | None, indptr: Tensor, indices: Tensor) -> Pairs:
    ends = [signal.new_empty(indptr.numel() - 1, dtype=torch.int32) for _ in range(2)]
    return ends[0], ends[1]
