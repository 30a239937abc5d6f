"""Graph convolutional networks: Z = A^ ReLU(A^ X W_0) W_1 with A^ = D^-1/2 (A + I) D^-1/2, equation 9 of T. Kipf and
M. Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017."""

from __future__ import annotations

from torch import Tensor, nn

from moiety.models.graph_parts import FeatureDropout, sizes
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features, GCNConv, Structure

__all__ = ["GCN", "gcn"]


class GCN(nn.Module):
    """Dropout, convolution, activation; no activation behind the last convolution."""

    def __init__(self, shapes: list[tuple[int, int]], dropout: float, activation: Activation) -> None:
        super().__init__()
        self.dropouts = nn.ModuleList(FeatureDropout(dropout) for _ in shapes)
        self.convs = nn.ModuleList(GCNConv(*shape) for shape in shapes)
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes[:-1])
        self.activations.append(nn.Identity())

    def forward(self, x: Features, graph: Structure) -> Tensor:  # x (nodes, in_features)
        for dropout, conv, activation in zip(self.dropouts, self.convs, self.activations, strict=True):
            x = activation(conv(dropout(x), graph))  # (nodes, hidden), in the end (nodes, num_classes)
        return x  # type: ignore[return-value]


@register_model(
    "gcn",
    paper="T. Kipf and M. Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017",
)
def gcn(
    in_features: int,
    num_classes: int,
    hidden: int = 16,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
) -> GCN:
    """Convolutions with the symmetrically normalised adjacency, two of them with 16 features between"""
    return GCN(sizes(in_features, hidden, layers, num_classes), dropout, activation)
