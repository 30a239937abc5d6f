"""Hypergraph neural networks: Z = A ReLU(A X W_0) W_1 with A = D_v^-1/2 H W D_e^-1 H^T D_v^-1/2 (Y. Feng et al.,
Hypergraph Neural Networks, AAAI 2019, equation 10)."""

from __future__ import annotations

from functools import partial

from moiety.models.graph_parts import sizes
from moiety.models.hypergraph_parts import Convolutions
from moiety.models.parts import Activation
from moiety.models.registry import register_model
from moiety.nn.hypergraph import HGNNConv
from moiety.nn.hypergraph.incidence import Normalization

__all__ = ["hgnn"]


@register_model("hgnn", paper="Y. Feng et al., Hypergraph Neural Networks, AAAI 2019")
def hgnn(
    in_features: int,
    num_classes: int,
    hidden: int = 16,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
    normalization: Normalization = "symmetric",
    self_loops: bool = True,
) -> Convolutions:
    """Convolutions with the normalised clique expansion, applied through the incidence"""
    build = partial(HGNNConv, normalization=normalization, self_loops=self_loops)
    return Convolutions(build, sizes(in_features, hidden, layers, num_classes), dropout, 0.0, activation)
