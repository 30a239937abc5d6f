"""ED-HNN and AllSet: a linear layer, layers of message passing over the star expansion, a classifier (P. Wang et al.,
Equivariant Hypergraph Diffusion Neural Operators, ICLR 2023; E. Chien et al., You are AllSet, ICLR 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from torch import Tensor, nn

from moiety.graph import Hypergraph
from moiety.models.graph_parts import sizes
from moiety.models.hypergraph_parts import HyperDropout
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features
from moiety.nn.graph.parts import SparseLinear
from moiety.nn.hypergraph import AllSetConv, EDHNNConv
from moiety.nn.hypergraph.parts import perceptron

__all__ = ["EDHNN", "StarNetwork", "allset", "edhnn"]


class StarNetwork(nn.Module):
    """x0 = ReLU(W x); every layer with dropout in front and an activation behind; a perceptron to the classes."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        shape: tuple[int, int, int],
        layers: int,
        classifier: tuple[int, int],
        dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        in_features, hidden, num_classes = shape
        sizes(in_features, hidden, layers + 1, num_classes)  # refuses what is not positive
        depth, width = classifier
        self.dropout = HyperDropout(dropout)
        self.lin = SparseLinear(in_features, hidden)
        self.convs = nn.ModuleList(build() for _ in range(layers))
        self.activations = nn.ModuleList(make_activation(activation, hidden) for _ in range(layers + 1))
        self.classifier = perceptron(hidden, width, num_classes, depth, dropout=dropout)

    def forward(self, x: Features, hypergraph: Hypergraph) -> Tensor:  # (nodes, in) -> (nodes, num_classes)
        first, *others = cast(Iterable[nn.Module], self.activations)
        h = x0 = first(self.lin(self.dropout(x)))  # (nodes, hidden)
        for conv, activation in zip(cast(Iterable[nn.Module], self.convs), others, strict=True):
            h = activation(self.passed(conv, self.dropout(h), hypergraph, x0))
        return cast(Tensor, self.classifier(self.dropout(h)))

    def passed(self, conv: nn.Module, h: Tensor, hypergraph: Hypergraph, x0: Tensor) -> Tensor:
        """One layer (nodes, hidden) -> (nodes, hidden)."""
        return cast(Tensor, conv(h, hypergraph))


class EDHNN(StarNetwork):
    """Every layer mixes in what the first linear layer gave."""

    def passed(self, conv: nn.Module, h: Tensor, hypergraph: Hypergraph, x0: Tensor) -> Tensor:
        return cast(Tensor, conv(h, hypergraph, x0))


@register_model("edhnn", paper="P. Wang et al., Equivariant Hypergraph Diffusion Neural Operators, ICLR 2023")
def edhnn(
    in_features: int,
    num_classes: int,
    hidden: int = 256,
    layers: int = 1,
    dropout: float = 0.5,
    activation: Activation = "relu",
    phi: int = 0,
    rho: int = 0,
    psi: int = 1,
    aggr: str = "mean",
    alpha: float = 0.0,
    classifier_layers: int = 1,
    classifier_hidden: int = 256,
    self_loops: bool = True,
) -> EDHNN:
    """Equivariant diffusion; as published for Cora and Citeseer: means of means and one linear layer"""

    def build() -> nn.Module:
        return EDHNNConv(hidden, (phi, rho, psi), aggr, alpha, dropout, self_loops=self_loops)

    shape, classifier = (in_features, hidden, num_classes), (classifier_layers, classifier_hidden)
    return EDHNN(build, shape, layers, classifier, dropout, activation)


@register_model("allset", paper="E. Chien et al., You are AllSet, ICLR 2022")
def allset(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 1,
    dropout: float = 0.5,
    activation: Activation = "relu",
    heads: int = 4,
    perceptron_layers: int = 2,
    aggr: str = "mean",
    self_loops: bool = True,
) -> StarNetwork:
    """Two multiset functions a layer: attention with learned queries, or perceptrons and means with heads=0"""

    def build() -> nn.Module:
        return AllSetConv(hidden, hidden, heads, perceptron_layers, aggr, dropout, self_loops)

    return StarNetwork(build, (in_features, hidden, num_classes), layers, (1, hidden), dropout, activation)
