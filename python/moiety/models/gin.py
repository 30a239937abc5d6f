"""Graph isomorphism networks: h_i <- MLP((1 + eps) h_i + sum_j h_j), equation 4.1 of K. Xu, W. Hu, J. Leskovec and
S. Jegelka, How Powerful are Graph Neural Networks?, ICLR 2019; for nodes, so without the paper's readout of graphs."""

from __future__ import annotations

from torch import Tensor, nn

from moiety.models.graph_parts import FeatureDropout, sizes
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features, GINConv, Structure

__all__ = ["GIN", "gin"]


def mlp(in_features: int, hidden: int, out_features: int, norm: bool, activation: Activation) -> nn.Sequential:
    """Two linear layers, batch normalisation and an activation between them."""
    layers: list[nn.Module] = [nn.Linear(in_features, hidden)]
    if norm:
        layers.append(nn.BatchNorm1d(hidden))
    return nn.Sequential(*layers, make_activation(activation, hidden), nn.Linear(hidden, out_features))


class GIN(nn.Module):
    """Dropout, convolution, activation; no activation behind the last convolution."""

    def __init__(
        self,
        shapes: list[tuple[int, int]],
        hidden: int,
        train_eps: bool,
        norm: bool,
        dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.dropouts = nn.ModuleList(FeatureDropout(dropout) for _ in shapes)
        self.convs = nn.ModuleList(
            GINConv(mlp(in_features, hidden, out, norm, activation), train_eps=train_eps) for in_features, out in shapes
        )
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes[:-1])
        self.activations.append(nn.Identity())

    def forward(self, x: Features, graph: Structure) -> Tensor:  # x (nodes, in_features)
        for dropout, conv, activation in zip(self.dropouts, self.convs, self.activations, strict=True):
            x = activation(conv(dropout(x), graph))  # (nodes, hidden), in the end (nodes, num_classes)
        return x  # type: ignore[return-value]


@register_model("gin", paper="K. Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019")
def gin(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 2,
    train_eps: bool = True,
    norm: bool = True,
    dropout: float = 0.5,
    activation: Activation = "relu",
) -> GIN:
    """A perceptron of a hidden layer on the sum over a node and its neighbours"""
    return GIN(sizes(in_features, hidden, layers, num_classes), hidden, train_eps, norm, dropout, activation)
