"""Z-GCNETs: AGCRN's recurrent graph convolution with a branch over the whole window, both multiplied by what a small
convolutional network reads in the window's zigzag persistence image (Y. Chen, I. Segovia-Dominguez and Y. R. Gel, ICML
2021, section 4), in the form in which its authors' code computes it.

A convolution has two halves. The spatial one is node-specific over [input, state] and the supports I, A, A^2, ...; the
temporal one maps the window's inputs by node-specific weights and sums the steps with a learned vector. Each is
multiplied by the image's features. Of a layer's four quantities only the spatial halves read the state: the temporal
halves, the images' features and so the update gate r and half of the candidate are the same at every step. They are
computed once a layer here, where the code computes them at every step (`moiety.models.zgcnet_steps` is that form; the
results are the same).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.models.forecast_parts import (
    Head,
    check_sizes,
    check_window,
    initialise,
    node_weights,
    powers,
    spread,
    to_nodes,
)
from moiety.models.registry import register_model

__all__ = ["ImageFeatures", "ZGCNet", "ZigzagConv", "ZigzagLayer", "zgcnet"]

LEAST_RESOLUTION = 31  # below it nothing is left behind the last pooling


class ImageFeatures(nn.Sequential):
    """Persistence images (B, 1, R, R) -> (B, out): two strided convolutions with pooling, and the maximum over what is
    left (5 x 5 of 100 x 100, as published)."""

    def __init__(self, out_features: int, resolution: int) -> None:
        side = resolution
        for _ in range(4):  # convolution and pooling halve it twice each, all with kernels of 3 and stride 2
            side = (side - 3) // 2 + 1
        super().__init__(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(8, out_features, 3, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.MaxPool2d(side),
            nn.Flatten(),
        )


class ZigzagConv(nn.Module):
    """Weights of one convolution: spatial (d, K, in, out / 2), window (d, inputs, out / 2), steps (T,), bias (d, out),
    and the network that reads the images; d is the embeddings' width, K the number of supports."""

    def __init__(
        self, inputs: int, hidden: int, out_features: int, lag: int, order: int, embedding: int, resolution: int
    ) -> None:
        super().__init__()
        half = out_features // 2
        self.weights = nn.Parameter(torch.empty(embedding, order, inputs + hidden, half))
        self.window = nn.Parameter(torch.empty(embedding, inputs, half))
        self.bias = nn.Parameter(torch.empty(embedding, out_features))
        self.steps = nn.Parameter(torch.empty(lag))
        self.image = ImageFeatures(half, resolution) if resolution else None

    def temporal(self, x: Tensor, embeddings: Tensor) -> Tensor:
        """sum_t steps_t x_t W of the window x (N, T, B, in) -> (N, B, out / 2)."""
        summed = (x * self.steps.view(1, -1, 1, 1)).sum(1)  # the map is linear: the sum over steps comes first
        return torch.bmm(summed, node_weights(embeddings, self.window))

    def features(self, zpi: Tensor | None) -> Tensor | None:
        """Of the images (B, out / 2); None of a network without topology."""
        if self.image is None or zpi is None:
            return None
        found: Tensor = self.image(zpi)
        return found


class ZigzagLayer(nn.Module):
    """A GRU over the window's steps: z, r = s(conv[x, h]), h' = r h + (1 - r) tanh(conv[x, z h])."""

    def __init__(self, inputs: int, hidden: int, lag: int, order: int, embedding: int, resolution: int) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        sizes = (lag, order, embedding, resolution)
        self.gate = ZigzagConv(inputs, hidden, 2 * hidden, *sizes)
        self.update = ZigzagConv(inputs, hidden, hidden, *sizes)

    def forward(self, x: Tensor, supports: list[Tensor], embeddings: Tensor, zpi: Tensor | None) -> Tensor:
        nodes, steps, batch, _ = x.shape  # (N, T, B, in)
        shared = spread(supports, x).flatten(1, 2)  # (N, T B, K in)
        given, recurrent, offsets, constant, topology = [], [], [], [], []
        for conv in (self.gate, self.update):
            weights = node_weights(embeddings, conv.weights)  # (N, K, in + hidden, out / 2)
            of_inputs, of_state = weights[:, :, : self.inputs].flatten(1, 2), weights[:, :, self.inputs :].flatten(1, 2)
            given.append(torch.bmm(shared, of_inputs).view(nodes, steps, batch, -1).unbind(1))
            recurrent.append(of_state)
            features, temporal = conv.features(zpi), conv.temporal(x, embeddings)
            spatial, rest = (embeddings @ conv.bias).unsqueeze(1).chunk(2, -1)  # (N, 1, out / 2) each
            offsets.append(spatial)
            constant.append(rest + (temporal if features is None else temporal * features))
            topology.append(features)
        r, settled = torch.sigmoid(constant[0]), torch.tanh(constant[1])  # (N, B, hidden), (N, B, hidden / 2)

        def spatial_half(which: int, step: int, state: Tensor) -> Tensor:
            product = torch.baddbmm(given[which][step], spread(supports, state), recurrent[which])
            features = topology[which]
            return offsets[which] + (product if features is None else product * features)

        state = x.new_zeros(nodes, batch, self.hidden)
        states = []
        for step in range(steps):
            z = torch.sigmoid(spatial_half(0, step, state))
            candidate = torch.cat([torch.tanh(spatial_half(1, step, z * state)), settled], -1)
            state = candidate + r * (state - candidate)
            states.append(state)
        return torch.stack(states, 1)  # (N, T, B, hidden)


class ZGCNet(nn.Module):
    """Layers over windows (B, lag, N, channels) and images (B, 1, R, R), and a linear map of the last state."""

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
        resolution: int,
    ) -> None:
        super().__init__()
        check_sizes(num_nodes=num_nodes, in_channels=in_channels, out_channels=out_channels, lag=lag, horizon=horizon,
                    hidden=hidden, layers=layers, order=order, embedding=embedding)  # fmt: skip
        if hidden % 2:
            raise ValueError(f"expected an even hidden, half of it spatial and half temporal, got {hidden}")
        if order < 2 or (resolution and resolution < LEAST_RESOLUTION):
            raise ValueError(
                f"expected order >= 2 and a resolution of 0 (no topology) or at least {LEAST_RESOLUTION}, got {order} "
                f"and {resolution}"
            )
        self.lag, self.in_channels, self.order, self.resolution = lag, in_channels, order, resolution
        self.embeddings = nn.Parameter(torch.randn(num_nodes, embedding))
        widths = [in_channels, *[hidden] * (layers - 1)]
        self.layers = nn.ModuleList(ZigzagLayer(width, hidden, lag, order, embedding, resolution) for width in widths)
        self.head = Head(hidden, horizon, out_channels)
        initialise(self)

    def supports(self) -> list[Tensor]:
        """A, A^2, ... of A = softmax(ReLU(E E^T)); the identity is the first support."""
        return powers(F.softmax(F.relu(self.embeddings @ self.embeddings.t()), 1), self.order - 1)

    def check_image(self, zpi: Tensor | None, batch: int) -> None:
        side = self.resolution
        if not side and zpi is not None:
            raise ValueError("this zgcnet was made without topology (resolution=0): expected zpi=None")
        if side and (zpi is None or tuple(zpi.shape) != (batch, 1, side, side)):
            found = None if zpi is None else tuple(zpi.shape)
            raise ValueError(f"expected persistence images ({batch}, 1, {side}, {side}), got {found}")

    def forward(self, x: Tensor, zpi: Tensor | None = None) -> Tensor:
        """x (B, lag, N, in_channels), zpi (B, 1, R, R) -> (B, horizon, N, out_channels)."""
        check_window(x, self.lag, len(self.embeddings), self.in_channels)
        self.check_image(zpi, len(x))
        supports, states = self.supports(), to_nodes(x)
        for layer in self.layers:
            states = layer(states, supports, self.embeddings, zpi)
        forecast: Tensor = self.head(states[:, -1])
        return forecast


@register_model(
    "zgcnet",
    paper="Y. Chen, I. Segovia-Dominguez and Y. R. Gel, Z-GCNETs: Time Zigzags at Graph Convolutional Networks for "
    "Time Series Forecasting, ICML 2021",
)
def zgcnet(
    num_nodes: int,
    in_channels: int = 1,
    out_channels: int = 1,
    lag: int = 12,
    horizon: int = 12,
    hidden: int = 64,
    layers: int = 2,
    order: int = 2,
    embedding: int = 10,
    resolution: int = 100,
) -> ZGCNet:
    """Recurrent graph convolutions times features of the window's zigzag persistence image (resolution 0: without)"""
    return ZGCNet(num_nodes, in_channels, out_channels, lag, horizon, hidden, layers, order, embedding, resolution)
