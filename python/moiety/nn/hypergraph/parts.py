"""What the hypergraph layers share: perceptrons of a given depth."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from moiety.nn.graph.parts import SparseLinear

__all__ = ["perceptron"]


def perceptron(
    in_features: int, hidden: int, out_features: int, layers: int, *, dropout: float = 0.0, norm: bool = False
) -> nn.Sequential:
    """`layers` linear layers with ReLU and dropout between them, and with `norm` layer normalisation in front of each.

    The first takes sparse features as well, unless they are normalised. No layers: the identity, which keeps the width.
    """
    if layers < 0 or min(in_features, hidden, out_features) < 1:
        raise ValueError(
            f"expected layers >= 0 and sizes of at least 1, got {layers} layers, {in_features}, {hidden}, "
            f"{out_features}"
        )
    if not layers and in_features != out_features:
        raise ValueError(f"a perceptron of no layers keeps the width: got {in_features} and {out_features}")
    shapes = list(pairwise([in_features, *[hidden] * (layers - 1), out_features])) if layers else []
    modules: list[nn.Module] = []
    for i, (inside, outside) in enumerate(shapes):
        if i:
            modules.append(nn.ReLU())
            if dropout:
                modules.append(nn.Dropout(dropout))
        if norm:
            modules.append(nn.LayerNorm(inside))
        modules.append(SparseLinear(inside, outside))
    return nn.Sequential(*modules)
