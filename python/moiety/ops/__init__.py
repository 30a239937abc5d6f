"""Torch operators over the compiled core."""

from moiety.ops.graph_attention import edge_softmax, gat_aggregate
from moiety.ops.graph_common import CudaModuleMissing
from moiety.ops.graph_gate import gated_sum
from moiety.ops.graph_sddmm import sddmm
from moiety.ops.graph_segment import segment_reduce
from moiety.ops.graph_spmm import spmm
from moiety.ops.hypergraph_energy import hypergraph_energy
from moiety.ops.hypergraph_smooth import hypergraph_smooth
from moiety.ops.memory import free_memory
from moiety.ops.quadratic import quadratic
from moiety.ops.separable_images import separable_images

__all__ = [
    "CudaModuleMissing",
    "edge_softmax",
    "free_memory",
    "gat_aggregate",
    "gated_sum",
    "hypergraph_energy",
    "hypergraph_smooth",
    "quadratic",
    "sddmm",
    "segment_reduce",
    "separable_images",
    "spmm",
]
