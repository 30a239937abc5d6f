"""`hypergraph_energy`: how much a signal differs within hyperedges, the energy of the hypergraph p-Laplacian."""

from __future__ import annotations

import torch
from torch import Tensor

from moiety.graph.hypergraph import Hypergraph

__all__ = ["hypergraph_energy"]


def hypergraph_energy(hypergraph: Hypergraph, x: Tensor, p: float = 2.0) -> Tensor:
    """``sum over hyperedges e of w_e max_{u, v in e} ||x_u - x_v||_2^p``, a scalar.

    For a signal of one column these are the regularisers of Hein et al. (NeurIPS 2013, section 3), total variation at
    p = 1; for more columns that of HyperGCN's MLP + HLR at p = 2. x is (num_nodes, h), float32 or float64, p >= 1. The
    pairs are found exactly; the gradient is the one at these pairs, a subgradient where several pairs are furthest
    apart, and zero where nothing differs.
    """
    if p < 1:
        raise ValueError(f"hypergraph_energy: expected p >= 1, got {p}")
    s, i = hypergraph.pairs(x, "exact")
    distance = torch.linalg.vector_norm(x.index_select(0, s) - x.index_select(0, i), dim=1)
    terms = distance if p == 1 else distance.square() if p == 2 else distance.pow(p)
    weighted: Tensor = terms if hypergraph.weight is None else terms * hypergraph.weight.to(x.dtype)
    return weighted.sum()
