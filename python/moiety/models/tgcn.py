"""T-GCN: a GRU whose products are graph convolutions with the road graph's normalised adjacency (L. Zhao et al., T-GCN:
A Temporal Graph Convolutional Network for Traffic Prediction, IEEE T-ITS 2020, equations 2 to 7), with one convolution
over [input, state] for a gate as in its authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moiety.models.forecast_parts import Head, check_sizes, check_window, to_nodes
from moiety.models.registry import register_model

__all__ = ["TGCN", "normalised", "tgcn"]


def normalised(weights: Tensor) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 of weights (N, N), nonnegative (equation 2)."""
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or bool((weights < 0).any()):
        raise ValueError(f"expected nonnegative weights (nodes, nodes), got {tuple(weights.shape)}")
    looped = weights + torch.eye(len(weights), dtype=weights.dtype)
    scale = looped.sum(1).rsqrt()
    return scale[:, None] * looped * scale


class TGCN(nn.Module):
    """u, r = s(A [x, h] W + b), c = tanh(A [x, r h] W' + b'), h' = u h + (1 - u) c, and a linear map of the last state.

    The adjacency is part of the weights' file, as `use_graph` left it; at first no node has neighbours.
    """

    adjacency: Tensor

    def __init__(
        self, num_nodes: int, in_channels: int, out_channels: int, lag: int, horizon: int, hidden: int
    ) -> None:
        super().__init__()
        check_sizes(num_nodes=num_nodes, in_channels=in_channels, out_channels=out_channels, lag=lag, horizon=horizon,
                    hidden=hidden)  # fmt: skip
        self.lag, self.in_channels, self.hidden = lag, in_channels, hidden
        self.register_buffer("adjacency", torch.eye(num_nodes))
        self.gate = nn.Linear(in_channels + hidden, 2 * hidden)
        self.update = nn.Linear(in_channels + hidden, hidden)
        self.head = Head(hidden, horizon, out_channels)
        for linear, bias in ((self.gate, 1.0), (self.update, 0.0)):  # gates begin half open, as in the authors' code
            nn.init.xavier_uniform_(linear.weight)
            nn.init.constant_(linear.bias, bias)

    def use_graph(self, weights: Tensor) -> None:
        """The road graph: nonnegative weights (N, N), row i of the neighbours that i reads."""
        if tuple(weights.shape) != tuple(self.adjacency.shape):
            raise ValueError(f"expected weights {tuple(self.adjacency.shape)}, got {tuple(weights.shape)}")
        self.adjacency = normalised(weights.float())

    def forward(self, x: Tensor, zpi: Tensor | None = None) -> Tensor:
        """x (B, lag, N, in_channels) -> (B, horizon, N, out_channels). This network reads no persistence images."""
        if zpi is not None:
            raise ValueError("tgcn reads no persistence images: expected zpi=None, or the model zgcnet")
        check_window(x, self.lag, len(self.adjacency), self.in_channels)
        inputs = to_nodes(x)  # (N, T, B, in)
        state = inputs.new_zeros(len(inputs), len(x), self.hidden)
        for step in range(self.lag):
            now = inputs[:, step]
            u, r = torch.sigmoid(self.gate(self.carry(now, state))).chunk(2, -1)
            candidate = torch.tanh(self.update(self.carry(now, r * state)))
            state = candidate + u * (state - candidate)
        forecast: Tensor = self.head(state)
        return forecast

    def carry(self, x: Tensor, state: Tensor) -> Tensor:
        """A [x, h] (N, B, in + hidden)."""
        both = torch.cat([x, state], -1)
        return (self.adjacency @ both.flatten(1)).view(both.shape)


@register_model(
    "tgcn",
    paper="L. Zhao et al., T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction, IEEE Transactions on "
    "Intelligent Transportation Systems 2020",
)
def tgcn(
    num_nodes: int, in_channels: int = 1, out_channels: int = 1, lag: int = 12, horizon: int = 12, hidden: int = 64
) -> TGCN:
    """A GRU of graph convolutions on the given road graph"""
    return TGCN(num_nodes, in_channels, out_channels, lag, horizon, hidden)
