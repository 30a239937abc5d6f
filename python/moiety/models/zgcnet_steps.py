"""The recurrence of Z-GCNETs as its authors' code orders it: every convolution of every step computes its supports'
products with the identity among them, each node's weights, the window's branch and the image's features anew.

It is what `ZGCNet.forward` is tested against and measured against, on the same parameters; nothing else uses it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moiety.models.zgcnet import ZGCNet, ZigzagConv, ZigzagLayer

__all__ = ["step_by_step"]


def step_by_step(model: ZGCNet, x: Tensor, zpi: Tensor | None, *, hoist: bool = False) -> Tensor:
    """The forecast (B, horizon, N, out_channels) of windows x (B, lag, N, in_channels).

    hoist: what is the same at every step once a layer; the operations are the published ones.
    """
    model.check_image(zpi, len(x))
    inputs = x  # (B, T, N, in)
    for layer in model.layers:
        assert isinstance(layer, ZigzagLayer)
        state = x.new_zeros(len(x), x.shape[2], layer.hidden)
        gate, update = (Conv(model, conv, inputs, zpi, hoist) for conv in (layer.gate, layer.update))
        states = []
        for step in range(x.shape[1]):
            now = inputs[:, step]
            z, r = torch.sigmoid(gate(torch.cat([now, state], -1))).tensor_split(2, -1)
            candidate = torch.tanh(update(torch.cat([now, z * state], -1)))
            state = r * state + (1 - r) * candidate
            states.append(state)
        inputs = torch.stack(states, 1)
    forecast: Tensor = model.head(inputs[:, -1].transpose(0, 1))
    return forecast


@dataclass(frozen=True)
class Unchanging:
    """What a convolution computes without its state."""

    supports: Tensor  # (K, N, N)
    weights: Tensor  # (N, K, in + hidden, out / 2)
    bias: Tensor  # (N, out)
    temporal: Tensor  # (B, N, out / 2)
    features: Tensor | None  # (B, out / 2)


class Conv:
    """One convolution over one window."""

    def __init__(self, model: ZGCNet, conv: ZigzagConv, window: Tensor, zpi: Tensor | None, hoist: bool) -> None:
        self.model, self.conv, self.window, self.zpi = model, conv, window, zpi
        self.kept = self.unchanging() if hoist else None

    def unchanging(self) -> Unchanging:
        embeddings, conv = self.model.embeddings, self.conv
        supports = torch.stack([torch.eye(len(embeddings), dtype=embeddings.dtype), *self.model.supports()])
        of_window = torch.einsum("nd,dio->nio", embeddings, conv.window)
        mapped = torch.einsum("btni,nio->btno", self.window, of_window).permute(0, 2, 3, 1)  # (B, N, out / 2, T)
        return Unchanging(
            supports,
            torch.einsum("nd,dkio->nkio", embeddings, conv.weights),
            embeddings @ conv.bias,
            torch.matmul(mapped, conv.steps),
            conv.features(self.zpi),
        )

    def __call__(self, x: Tensor) -> Tensor:  # (B, N, in + hidden) -> (B, N, out)
        known = self.kept or self.unchanging()
        carried = torch.einsum("knm,bmc->bknc", known.supports, x).permute(0, 2, 1, 3)  # (B, N, K, in + hidden)
        spatial, temporal = torch.einsum("bnki,nkio->bno", carried, known.weights), known.temporal
        if known.features is not None:
            spatial, temporal = (torch.einsum("bno,bo->bno", half, known.features) for half in (spatial, temporal))
        return torch.cat([spatial, temporal], -1) + known.bias
