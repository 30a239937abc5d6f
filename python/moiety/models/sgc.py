"""Simplified graph convolution: Y = softmax(A^^K X W), equation 8 of F. Wu et al., Simplifying Graph Convolutional
Networks, ICML 2019. Logistic regression on features averaged K times."""

from __future__ import annotations

from torch import Tensor, nn

from moiety.models.graph_parts import FeatureDropout
from moiety.models.registry import register_model
from moiety.nn.graph import Features, SGConv, Structure

__all__ = ["SGC", "sgc"]


class SGC(nn.Module):
    def __init__(self, in_features: int, num_classes: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.dropout = FeatureDropout(dropout)
        self.conv = SGConv(in_features, num_classes, K=steps)

    def forward(self, x: Features, graph: Structure) -> Tensor:  # (nodes, in_features) -> (nodes, num_classes)
        y: Tensor = self.conv(self.dropout(x), graph)
        return y


@register_model("sgc", paper="F. Wu et al., Simplifying Graph Convolutional Networks, ICML 2019")
def sgc(in_features: int, num_classes: int, steps: int = 2, dropout: float = 0.0) -> SGC:
    """One linear layer behind a power of the normalised adjacency; nothing nonlinear"""
    return SGC(in_features, num_classes, steps, dropout)
