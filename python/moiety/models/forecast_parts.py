"""What the networks that forecast series on the nodes of a graph share.

Inside them a tensor is *node-major*, (N, ..., features): the product with an adjacency over all samples and features is
then one matrix product, the product with weights of each node one batched product, and nothing is permuted between.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Head", "check_sizes", "check_window", "initialise", "node_weights", "powers", "spread", "to_nodes"]


def check_sizes(**sizes: int) -> None:
    """Every size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"expected {name} of at least 1, got {size}")


def check_window(x: Tensor, lag: int, nodes: int, channels: int) -> None:
    """Refuse what is no batch of windows."""
    if x.ndim != 4 or tuple(x.shape[1:]) != (lag, nodes, channels):
        raise ValueError(
            f"expected windows (batch, {lag} steps, {nodes} nodes, {channels} channels), got {tuple(x.shape)}"
        )


def to_nodes(x: Tensor) -> Tensor:
    """(B, T, N, C) -> (N, T, B, C), contiguous."""
    return x.permute(2, 1, 0, 3).contiguous()


def powers(adjacency: Tensor, count: int) -> list[Tensor]:
    """A, A^2, ..., `count` of them (N, N)."""
    found = [adjacency]
    while len(found) < count:
        found.append(adjacency @ found[-1])
    return found[:count]


def spread(supports: Sequence[Tensor], x: Tensor) -> Tensor:
    """[x, S_1 x, S_2 x, ...] side by side: x (N, ..., C) -> (N, ..., (1 + len(supports)) C)."""
    flat = x.reshape(len(x), -1)
    return torch.cat([x, *((support @ flat).view(x.shape) for support in supports)], -1)


def node_weights(embeddings: Tensor, pool: Tensor) -> Tensor:
    """Every node's own weights, a mixture of d shared ones by its embedding: (N, d) x (d, ...) -> (N, ...)."""
    return (embeddings @ pool.flatten(1)).view(len(embeddings), *pool.shape[1:])


class Head(nn.Linear):
    """All steps of the forecast from the last state at once: (N, B, hidden) -> (B, horizon, N, channels)."""

    def __init__(self, hidden: int, horizon: int, channels: int) -> None:
        super().__init__(hidden, horizon * channels)
        self.horizon, self.channels = horizon, channels

    def forward(self, state: Tensor) -> Tensor:
        nodes, batch = state.shape[:2]
        y = super().forward(state)  # (N, B, horizon * channels)
        return y.view(nodes, batch, self.horizon, self.channels).permute(1, 2, 0, 3)


def initialise(model: nn.Module) -> None:
    """As AGCRN and Z-GCNETs are initialised: Glorot's uniform for matrices and pools, uniform in [0, 1) for vectors."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.uniform_(parameter)
