"""GraphSAGE: h_i <- ReLU(W_r h_i + W_l aggregate_j h_j), algorithm 1 of W. Hamilton, R. Ying and J. Leskovec, Inductive
Representation Learning on Large Graphs, NeurIPS 2017. One matrix for [h_i, aggregate] is two for its halves."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from moiety.models.graph_parts import FeatureDropout, sizes
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features, SAGEConv, Structure

__all__ = ["GraphSAGE", "graphsage"]


class GraphSAGE(nn.Module):
    """aggr: "mean", "sum", "max", or "pool", the maximum behind a layer of its own (equation 3)."""

    def __init__(
        self, shapes: list[tuple[int, int]], aggr: str, normalize: bool, dropout: float, activation: Activation
    ) -> None:
        super().__init__()
        self.normalize = normalize
        pool = aggr == "pool"
        self.dropouts = nn.ModuleList(FeatureDropout(dropout) for _ in shapes)
        self.convs = nn.ModuleList(SAGEConv(*shape, aggr="max" if pool else aggr, project=pool) for shape in shapes)
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes[:-1])

    def forward(self, x: Features, graph: Structure) -> Tensor:  # x (nodes, in_features)
        for dropout, conv, activation in zip(self.dropouts, self.convs, self.activations, strict=False):
            h: Tensor = activation(conv(dropout(x), graph))  # (nodes, hidden)
            x = F.normalize(h, dim=-1) if self.normalize else h  # line 7 of the algorithm
        y: Tensor = self.convs[-1](self.dropouts[-1](x), graph)  # (nodes, num_classes)
        return y


@register_model(
    "graphsage",
    paper="W. Hamilton, R. Ying and J. Leskovec, Inductive Representation Learning on Large Graphs, NeurIPS 2017",
)
def graphsage(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 2,
    aggr: str = "mean",
    normalize: bool = False,
    dropout: float = 0.5,
    activation: Activation = "relu",
) -> GraphSAGE:
    """A node's own features and an aggregate of its neighbours', each by a matrix of its own"""
    return GraphSAGE(sizes(in_features, hidden, layers, num_classes), aggr, normalize, dropout, activation)
