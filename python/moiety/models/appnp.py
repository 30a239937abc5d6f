"""Predict, then propagate: Z = APPNP(MLP(X)), equation 5 of J. Gasteiger, A. Bojchevski and S. Guennemann, Predict then
Propagate: Graph Neural Networks meet Personalized PageRank, ICLR 2019."""

from __future__ import annotations

from torch import Tensor, nn

from moiety.models.graph_parts import FeatureDropout, sizes
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import APPNP, Features, SparseLinear, Structure

__all__ = ["PredictPropagate", "appnp"]


class PredictPropagate(nn.Module):
    """A perceptron on every node by itself, then K steps of personalised PageRank on its results."""

    def __init__(
        self,
        shapes: list[tuple[int, int]],
        steps: int,
        alpha: float,
        dropout: float,
        edge_dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.dropouts = nn.ModuleList(FeatureDropout(dropout) for _ in shapes)
        self.lins = nn.ModuleList(SparseLinear(*shape) for shape in shapes)
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes[:-1])
        self.activations.append(nn.Identity())
        self.propagate = APPNP(steps, alpha, edge_dropout)

    def forward(self, x: Features, graph: Structure) -> Tensor:  # x (nodes, in_features)
        for dropout, lin, activation in zip(self.dropouts, self.lins, self.activations, strict=True):
            x = activation(lin(dropout(x)))  # (nodes, hidden), in the end (nodes, num_classes)
        y: Tensor = self.propagate(x, graph)
        return y


@register_model(
    "appnp",
    paper="J. Gasteiger, A. Bojchevski and S. Guennemann, Predict then Propagate: Graph Neural Networks meet "
    "Personalized PageRank, ICLR 2019",
)
def appnp(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 2,
    steps: int = 10,
    alpha: float = 0.1,
    dropout: float = 0.5,
    edge_dropout: float = 0.5,
    activation: Activation = "relu",
) -> PredictPropagate:
    """A perceptron of each node's features, then ten steps of personalised PageRank"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return PredictPropagate(shapes, steps, alpha, dropout, edge_dropout, activation)
