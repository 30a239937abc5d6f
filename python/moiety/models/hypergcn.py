"""HyperGCN: Z = L_1 ReLU(L_0 X W_0) W_1, every L the Laplacian that the layer's own features choose (N. Yadati et al.,
HyperGCN: A New Method of Training Graph Convolutional Networks on Hypergraphs, NeurIPS 2019).

The published program has a ReLU behind the last layer too, in front of the softmax. A class whose logit is negative at
every labelled node then has a gradient of zero and is never predicted again, which is what makes its errors so large
and so different from run to run; the paper's text has no such ReLU. `last_relu` puts it back; it is off.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.utils.weak import WeakIdRef

from moiety.graph import Graph, Hypergraph
from moiety.graph.hypergraph import Search, Weighting
from moiety.models.graph_parts import sizes
from moiety.models.hypergraph_parts import Convolutions
from moiety.models.parts import Activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features
from moiety.nn.graph.parts import linear
from moiety.nn.hypergraph import HyperGCNConv
from moiety.nn.hypergraph.laplacian import Initial
from moiety.nn.hypergraph.structure import check_nodes, remembered

__all__ = ["FastHyperGCN", "HyperGCN", "fast_hypergcn", "hypergcn", "one_hypergcn"]

PAPER = "N. Yadati et al., HyperGCN: A New Method of Training GCNs on Hypergraphs, NeurIPS 2019"


class HyperGCN(Convolutions):
    """Laplacians made anew in every layer and step."""

    def __init__(
        self,
        shapes: list[tuple[int, int]],
        mediators: bool,
        weighting: Weighting,
        pairs: Search,
        dropout: float,
        activation: Activation,
        last_relu: bool,
        initial: Initial,
    ) -> None:
        build = partial(HyperGCNConv, mediators=mediators, weighting=weighting, pairs=pairs, initial=initial)
        super().__init__(build, shapes, dropout, 0.0, activation, last_relu)


class FastHyperGCN(HyperGCN):
    """One Laplacian of the features themselves, made once for each hypergraph and features and kept with the
    hypergraph.

    The line of pairs="projection" is the buffer `projection` (in_features,), drawn with the parameters.
    """

    projection: Tensor

    def __init__(
        self,
        shapes: list[tuple[int, int]],
        mediators: bool,
        weighting: Weighting,
        pairs: Search,
        dropout: float,
        activation: Activation,
        last_relu: bool,
        initial: Initial,
    ) -> None:
        super().__init__(shapes, mediators, weighting, pairs, dropout, activation, last_relu, initial)
        self.mediators, self.weighting, self.pairs = mediators, weighting, pairs
        self.register_buffer("projection", torch.rand(shapes[0][0]))

    def forward(self, x: Features, hypergraph: Hypergraph | Graph) -> Tensor:  # (nodes, in) -> (nodes, num_classes)
        if isinstance(hypergraph, Hypergraph):
            hypergraph = self.laplacian(x, hypergraph)
        return super().forward(x, hypergraph)

    def laplacian(self, x: Features, hypergraph: Hypergraph) -> Graph:
        """The Laplacian of all layers, of features (nodes, in_features)."""
        check_nodes("FastHyperGCN", x, hypergraph)
        version = 0 if isinstance(x, Graph) or x.is_inference() else x._version
        key = ("fast", WeakIdRef(x), version, self.mediators, self.weighting, self.pairs, *self._line())
        return remembered(hypergraph, key, lambda: self._made(x, hypergraph))

    def _line(self) -> tuple[float, ...]:
        return tuple(self.projection.tolist()) if self.pairs == "projection" else ()

    @torch.no_grad()
    def _made(self, x: Features, hypergraph: Hypergraph) -> Graph:
        if self.pairs == "exact":
            signal = linear(x, torch.eye(len(self.projection)))  # dense
            return hypergraph.laplacian(signal, mediators=self.mediators, weighting=self.weighting, pairs="exact")
        places = linear(x, self.projection.view(1, -1))  # (nodes, 1): of sparse features no dense copy is made
        return hypergraph.laplacian(
            places, mediators=self.mediators, weighting=self.weighting, pairs="projection", projection=torch.ones(1)
        )


@register_model("hypergcn", paper=PAPER)
def hypergcn(
    in_features: int,
    num_classes: int,
    hidden: int = 32,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
    mediators: bool = True,
    weighting: Weighting = "paper",
    pairs: Search = "projection",
    last_relu: bool = False,
    initial: Initial = "glorot",
) -> HyperGCN:
    """Convolutions with the hypergraph Laplacian with mediators, of every layer's own features"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return HyperGCN(shapes, mediators, weighting, pairs, dropout, activation, last_relu, initial)


@register_model("one_hypergcn", paper=PAPER)
def one_hypergcn(
    in_features: int,
    num_classes: int,
    hidden: int = 32,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
    weighting: Weighting = "paper",
    pairs: Search = "projection",
    last_relu: bool = False,
    initial: Initial = "glorot",
) -> HyperGCN:
    """1-HyperGCN: as `hypergcn` without mediators, one edge a hyperedge"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return HyperGCN(shapes, False, weighting, pairs, dropout, activation, last_relu, initial)


@register_model("fast_hypergcn", paper=PAPER)
def fast_hypergcn(
    in_features: int,
    num_classes: int,
    hidden: int = 32,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
    mediators: bool = True,
    weighting: Weighting = "paper",
    pairs: Search = "projection",
    last_relu: bool = False,
    initial: Initial = "glorot",
) -> FastHyperGCN:
    """As `hypergcn` with one Laplacian, of the features that come in"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return FastHyperGCN(shapes, mediators, weighting, pairs, dropout, activation, last_relu, initial)
