"""What the models of hypergraphs share: convolutions in turn, and what a training adds to their loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from moiety.graph import Graph, Hypergraph
from moiety.models.graph_parts import FeatureDropout
from moiety.models.parts import Activation, make_activation
from moiety.nn.graph import Features
from moiety.nn.hypergraph.dropout import quick_dropout

__all__ = ["Convolutions", "HyperDropout", "Regularised"]


@runtime_checkable
class Regularised(Protocol):
    """A network whose loss has a part of its own."""

    def penalty(self, logits: Tensor, hypergraph: Hypergraph) -> Tensor:
        """What a training adds to the cross entropy, a number; logits (nodes, classes)."""


class HyperDropout(FeatureDropout):
    """`FeatureDropout` by `quick_dropout`."""

    def forward(self, x: Features) -> Features:
        if not self.training or not self.p:
            return x
        if isinstance(x, Graph):
            entries = torch.ones(x.num_edges) if x.weight is None else x.weight
            return x.with_weight(quick_dropout(entries, self.p))
        return quick_dropout(x, self.p)


class Convolutions(nn.Module):
    """Dropout, convolution, activation; an activation behind the last convolution only with `last_activation`."""

    def __init__(
        self,
        build: Callable[[int, int], nn.Module],
        shapes: Sequence[tuple[int, int]],
        dropout: float,
        input_dropout: float,
        activation: Activation,
        last_activation: bool = False,
    ) -> None:
        super().__init__()
        self.dropouts = nn.ModuleList(HyperDropout(dropout if i else input_dropout) for i in range(len(shapes)))
        self.convs = nn.ModuleList(build(*shape) for shape in shapes)
        self.activations = nn.ModuleList(make_activation(activation, out) for _, out in shapes)
        if not last_activation:
            self.activations[-1] = nn.Identity()

    def forward(self, x: Features, hypergraph: Hypergraph | Graph) -> Tensor:  # x (nodes, in_features)
        layers = zip(
            cast(Iterable[nn.Module], self.dropouts),
            cast(Iterable[nn.Module], self.convs),
            cast(Iterable[nn.Module], self.activations),
            strict=True,
        )
        for dropout, conv, activation in layers:
            x = activation(conv(dropout(x), hypergraph))  # (nodes, hidden), in the end (nodes, num_classes)
        return cast(Tensor, x)
