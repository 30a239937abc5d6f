"""What the models of graphs share: dropout of features that may be sparse, layer sizes, activations."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.models.parts import Activation, make_activation
from moiety.nn.graph import Features

__all__ = ["FeatureDropout", "GraphActivation", "graph_activation", "sizes"]

GraphActivation = Activation  # and "elu", which two parties have no program for


class FeatureDropout(nn.Module):
    """Dropout of features (nodes, features); of sparse ones their entries: what is 0 stays 0 either way."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Features) -> Features:
        if not self.training or not self.p:
            return x
        if isinstance(x, Graph):
            entries = torch.ones(x.num_edges) if x.weight is None else x.weight
            return x.with_weight(F.dropout(entries, self.p))
        return F.dropout(x, self.p)

    def extra_repr(self) -> str:
        return f"{self.p}"


def sizes(in_features: int, hidden: int, layers: int, num_classes: int) -> list[tuple[int, int]]:
    """(in, out) features of every layer."""
    if min(in_features, hidden, layers, num_classes) < 1:
        raise ValueError(
            f"in_features, hidden, layers and num_classes must be positive, got {in_features}, {hidden}, {layers}, "
            f"{num_classes}"
        )
    return list(pairwise([in_features, *[hidden] * (layers - 1), num_classes]))


def graph_activation(activation: GraphActivation | str, channels: int) -> nn.Module:
    """A new module for so many features."""
    return nn.ELU() if activation == "elu" else make_activation(activation, channels)  # type: ignore[arg-type]
