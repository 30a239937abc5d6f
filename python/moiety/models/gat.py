"""Graph attention networks (P. Velickovic et al., ICLR 2018, section 3.3) and their second version, whose scores can
rank neighbours differently for every node (S. Brody, U. Alon and E. Yahav, ICLR 2022)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from moiety.models.graph_parts import FeatureDropout, GraphActivation, graph_activation, sizes
from moiety.models.registry import register_model
from moiety.nn.graph import Features, GATConv, GATv2Conv, Structure
from moiety.nn.graph.attention import Attention

__all__ = ["GAT", "gat", "gatv2"]


class GAT(nn.Module):
    """Heads side by side in every layer but the last, which averages `out_heads` of them (equations 5 and 6).

    attention_dropout: of the coefficients.
    """

    def __init__(
        self,
        conv: Callable[..., GATConv | GATv2Conv],
        shapes: list[tuple[int, int]],
        heads: int,
        out_heads: int,
        dropout: float,
        attention_dropout: float,
        activation: GraphActivation | str,
    ) -> None:
        super().__init__()
        last = len(shapes) - 1
        self.dropouts = nn.ModuleList(FeatureDropout(dropout) for _ in shapes)
        self.convs = nn.ModuleList(
            conv(
                in_features if i == 0 else in_features * heads,
                out_features,
                heads=out_heads if i == last else heads,
                concat=i != last,
                dropout=attention_dropout,
            )
            for i, (in_features, out_features) in enumerate(shapes)
        )
        self.activations = nn.ModuleList(graph_activation(activation, heads * out) for _, out in shapes[:-1])
        self.activations.append(nn.Identity())

    def forward(self, x: Features, graph: Structure) -> Tensor:  # x (nodes, in_features)
        for dropout, conv, activation in zip(self.dropouts, self.convs, self.activations, strict=True):
            x = activation(conv(dropout(x), graph))  # (nodes, heads * hidden), in the end (nodes, num_classes)
        return x  # type: ignore[return-value]


@register_model("gat", paper="P. Velickovic et al., Graph Attention Networks, ICLR 2018")
def gat(
    in_features: int,
    num_classes: int,
    hidden: int = 8,
    layers: int = 2,
    heads: int = 8,
    out_heads: int = 1,
    dropout: float = 0.6,
    attention_dropout: float = 0.6,
    activation: GraphActivation | str = "elu",
    attention: Attention = "softmax",
) -> GAT:
    """Means weighed by learned attention, eight heads of 8 features"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return GAT(partial(GATConv, attention=attention), shapes, heads, out_heads, dropout, attention_dropout, activation)


@register_model("gatv2", paper="S. Brody, U. Alon and E. Yahav, How Attentive are Graph Attention Networks?, ICLR 2022")
def gatv2(
    in_features: int,
    num_classes: int,
    hidden: int = 8,
    layers: int = 2,
    heads: int = 8,
    out_heads: int = 1,
    dropout: float = 0.6,
    attention_dropout: float = 0.6,
    activation: GraphActivation | str = "elu",
) -> GAT:
    """As `gat`, with the nonlinearity between the two products of a score"""
    shapes = sizes(in_features, hidden, layers, num_classes)
    return GAT(GATv2Conv, shapes, heads, out_heads, dropout, attention_dropout, activation)
