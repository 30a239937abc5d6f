"""`torch.ops.moiety.hypergraph_pairs`: `Hypergraph.pairs` as a registered operator, for compilers and exporters."""

from __future__ import annotations

import torch
from torch import Tensor

from moiety._core import hypergraph as _core
from moiety.graph.hypergraph import Hypergraph
from moiety.graph.hypergraph_matrices import Pairs, search_pairs
from moiety.ops import graph_common as common

__all__ = ["traced_pairs"]


def traced_pairs(hypergraph: Hypergraph, values: Tensor, direction: Tensor | None) -> Pairs | None:
    """The operator's result where kernels must not read the tensors' memory, else None."""
    if common.plain(values, direction):
        return None
    other = hypergraph.incidence.structure.transposed[0]
    sides = hypergraph.indptr, hypergraph.indices, other.indptr, other.indices
    s, i = torch.ops.moiety.hypergraph_pairs(values, direction, *sides)
    return s, i


@torch.library.custom_op("moiety::hypergraph_pairs", mutates_args=(), device_types="cpu")
def _pairs(
    signal: Tensor,
    direction: Tensor | None,
    indptr: Tensor,
    indices: Tensor,
    node_indptr: Tensor,
    node_indices: Tensor,
) -> tuple[Tensor, Tensor]:
    """Looks both sides of the incidence through each time; not differentiable."""
    native = _core.Hypergraph(
        signal.shape[0],
        indptr.numel() - 1,
        indices.numel(),
        indptr.data_ptr(),
        indices.data_ptr(),
        node_indptr.data_ptr(),
        node_indices.data_ptr(),
        0,
    )
    line = None if direction is None else direction.contiguous()
    return search_pairs(native, indptr.numel() - 1, signal.contiguous(), line)


@_pairs.register_fake
def _(signal: Tensor, direction: Tensor | None, indptr: Tensor, *rest: Tensor) -> Pairs:
    ends = [signal.new_empty(indptr.numel() - 1, dtype=torch.int32) for _ in range(2)]
    return ends[0], ends[1]
