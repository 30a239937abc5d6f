"""The baselines of HyperGCN's table: a perceptron of each node's features, and the same with the hypergraph in its loss
alone (N. Yadati et al., HyperGCN, NeurIPS 2019: MLP and MLP + HLR)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import Tensor, nn

from moiety.graph import Hypergraph
from moiety.models.graph_parts import sizes
from moiety.models.hypergraph_parts import HyperDropout
from moiety.models.parts import Activation, make_activation
from moiety.models.registry import register_model
from moiety.nn.graph import Features
from moiety.nn.graph.parts import SparseLinear

__all__ = ["HyperMLP", "hyper_mlp"]


class HyperMLP(nn.Module):
    """Linear layers with activation and dropout between them; nodes do not see each other.

    hlr: lambda of the explicit regulariser lambda tr(Z^T (I - L(Z)) Z), Z the classes' probabilities and L(Z)
    HyperGCN's Laplacian with mediators, which pulls together the two nodes of every hyperedge that are furthest apart,
    and the others to both. Of logits, which have no bound, the same sum would outweigh the labels.
    """

    def __init__(self, shapes: list[tuple[int, int]], dropout: float, activation: Activation, hlr: float) -> None:
        super().__init__()
        if hlr < 0:
            raise ValueError(f"hlr must not be negative, got {hlr}")
        self.hlr = hlr
        self.dropouts = nn.ModuleList(HyperDropout(dropout if i else 0.0) for i in range(len(shapes)))
        self.lins = nn.ModuleList(SparseLinear(*shape) for shape in shapes)
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes[:-1])
        self.activations.append(nn.Identity())

    def forward(self, x: Features, hypergraph: Hypergraph | None = None) -> Tensor:  # x (nodes, in_features)
        layers = zip(
            cast(Iterable[nn.Module], self.dropouts),
            cast(Iterable[nn.Module], self.lins),
            cast(Iterable[nn.Module], self.activations),
            strict=True,
        )
        for dropout, lin, activation in layers:
            x = activation(lin(dropout(x)))  # (nodes, hidden), in the end (nodes, num_classes)
        return cast(Tensor, x)

    def penalty(self, logits: Tensor, hypergraph: Hypergraph) -> Tensor:
        """The regulariser of logits (nodes, classes), a number; its pairs are exact and count as constants."""
        if not self.hlr:
            return logits.new_zeros(())
        z = logits.softmax(1)
        smoothed = hypergraph.smooth(z, signal=z.detach(), mediators=True, pairs="exact")
        return self.hlr * (z * (z - smoothed)).sum()


@register_model("hyper_mlp", paper="N. Yadati et al., HyperGCN, NeurIPS 2019 (the baselines MLP and MLP + HLR)")
def hyper_mlp(
    in_features: int,
    num_classes: int,
    hidden: int = 32,
    layers: int = 2,
    dropout: float = 0.5,
    activation: Activation = "relu",
    hlr: float = 0.0,
) -> HyperMLP:
    """A perceptron of each node's features; with hlr the hypergraph is in the loss"""
    return HyperMLP(sizes(in_features, hidden, layers, num_classes), dropout, activation, hlr)
