"""Adaptive graph convolutional recurrent network: a GRU whose products are graph convolutions with an adjacency and
node-specific weights that are both learned from node embeddings (L. Bai, L. Yao, C. Li, X. Wang and C. Wang, NeurIPS
2020, equations 4 to 6).

What depends on the inputs alone is computed for all steps at once, before the recurrence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.models.forecast_parts import Head, check_sizes, check_window, initialise, node_weights, spread, to_nodes
from moiety.models.registry import register_model

__all__ = ["AGCRN", "agcrn"]


class NodeConv(nn.Module):
    """sum_k T_k(A) X W_k + b with W_k and b of every node's own (equation 5); T_k are Chebyshev polynomials."""

    def __init__(self, in_features: int, out_features: int, order: int, embedding: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.empty(embedding, order, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(embedding, out_features))

    def split(self, embeddings: Tensor, inputs: int) -> tuple[Tensor, Tensor, Tensor]:
        """Each node's weights of the `inputs` first features (N, order * inputs, out), of the others, and its bias."""
        weights = node_weights(embeddings, self.weights)  # (N, order, in, out)
        of_inputs, of_state = weights[:, :, :inputs].flatten(1, 2), weights[:, :, inputs:].flatten(1, 2)
        return of_inputs, of_state, (embeddings @ self.bias).unsqueeze(1)


class Layer(nn.Module):
    """A GRU over the steps (equation 6): z, r = s(conv[x, h]), h' = r h + (1 - r) tanh(conv[x, z h])."""

    def __init__(self, in_features: int, hidden: int, order: int, embedding: int) -> None:
        super().__init__()
        self.in_features, self.hidden = in_features, hidden
        self.gate = NodeConv(in_features + hidden, 2 * hidden, order, embedding)
        self.update = NodeConv(in_features + hidden, hidden, order, embedding)

    def forward(self, x: Tensor, supports: list[Tensor], embeddings: Tensor) -> Tensor:
        nodes, steps, batch, _ = x.shape  # (N, T, B, in)
        shared = spread(supports, x).flatten(1, 2)  # (N, T B, order in)
        given, recurrent = [], []
        for conv in (self.gate, self.update):
            of_inputs, of_state, bias = conv.split(embeddings, self.in_features)
            given.append(torch.baddbmm(bias, shared, of_inputs).view(nodes, steps, batch, -1).unbind(1))
            recurrent.append(of_state)
        state = x.new_zeros(nodes, batch, self.hidden)
        states = []
        for step in range(steps):
            gates = torch.sigmoid(torch.baddbmm(given[0][step], spread(supports, state), recurrent[0]))
            z, r = gates.chunk(2, -1)
            candidate = torch.tanh(torch.baddbmm(given[1][step], spread(supports, z * state), recurrent[1]))
            state = candidate + r * (state - candidate)
            states.append(state)
        return torch.stack(states, 1)  # (N, T, B, hidden)


class AGCRN(nn.Module):
    """Layers of recurrent convolutions over (B, lag, N, channels), and a linear map of the last state to all steps."""

    def __init__(
        self,
        num_nodes: int,
        in_channels: int,
        out_channels: int,
        lag: int,
        horizon: int,
        hidden: int,
        layers: int,
        order: int,
        embedding: int,
    ) -> None:
        super().__init__()
        check_sizes(num_nodes=num_nodes, in_channels=in_channels, out_channels=out_channels, lag=lag, horizon=horizon,
                    hidden=hidden, layers=layers, order=order, embedding=embedding)  # fmt: skip
        self.lag, self.in_channels, self.order = lag, in_channels, order
        self.embeddings = nn.Parameter(torch.randn(num_nodes, embedding))
        widths = [in_channels, *[hidden] * (layers - 1)]
        self.layers = nn.ModuleList(Layer(width, hidden, order, embedding) for width in widths)
        self.head = Head(hidden, horizon, out_channels)
        initialise(self)

    def supports(self) -> list[Tensor]:
        """T_1(A), T_2(A), ... of A = softmax(ReLU(E E^T)) (equation 4); T_0 is the identity."""
        adjacency = F.softmax(F.relu(self.embeddings @ self.embeddings.t()), 1)
        found = [torch.eye(len(adjacency), dtype=adjacency.dtype, device=adjacency.device), adjacency]
        while len(found) < self.order:
            found.append(2 * adjacency @ found[-1] - found[-2])
        return found[1 : self.order]

    def forward(self, x: Tensor, zpi: Tensor | None = None) -> Tensor:
        """x (B, lag, N, in_channels) -> (B, horizon, N, out_channels). This network reads no persistence images."""
        if zpi is not None:
            raise ValueError("agcrn reads no persistence images: expected zpi=None, or the model zgcnet")
        check_window(x, self.lag, len(self.embeddings), self.in_channels)
        supports, states = self.supports(), to_nodes(x)
        for layer in self.layers:
            states = layer(states, supports, self.embeddings)
        forecast: Tensor = self.head(states[:, -1])
        return forecast


@register_model(
    "agcrn",
    paper="L. Bai, L. Yao, C. Li, X. Wang and C. Wang, Adaptive Graph Convolutional Recurrent Network for Traffic "
    "Forecasting, NeurIPS 2020",
)
def agcrn(
    num_nodes: int,
    in_channels: int = 1,
    out_channels: int = 1,
    lag: int = 12,
    horizon: int = 12,
    hidden: int = 64,
    layers: int = 2,
    order: int = 2,
    embedding: int = 10,
) -> AGCRN:
    """A GRU of graph convolutions whose adjacency and node-specific weights are learned from node embeddings"""
    return AGCRN(num_nodes, in_channels, out_channels, lag, horizon, hidden, layers, order, embedding)
