"""The trainable quadratic activation of PASNet.

Source: H. Peng et al., "PASNet: Polynomial Architecture Search Framework for Two-party Computation-based Secure
Neural Network Deployment", DAC 2023 (arXiv 2306.15513), the operator x2act. There the coefficients are one triple a
layer; here they are one triple a channel. Two parties evaluate a square with one opening and no comparison.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["X2Act"]


class X2Act(nn.Module):
    """``y = w1 * x**2 + w2 * x + b`` with trainable `w1`, `w2`, `b` of shape (channels,), broadcast over (N, C, ...).

    The default coefficients are the least-squares fit of ReLU by a quadratic under a standard normal input (its first
    three Hermite terms), up to the constant, which batch normalisation and the following layers absorb: ReLU(x) ~
    0.1995 x^2 + 0.5 x + 0.1995. It therefore wants a normalised input: put a batch normalisation in front. A quadratic
    grows without bound, so training has to keep its inputs small (a penalty beyond some bound, clipped gradients).
    """

    def __init__(self, channels: int, w1: float = 0.1995, w2: float = 0.5, b: float = 0.0) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be positive, got {channels}")
        self.channels = channels
        self.w1 = nn.Parameter(torch.full((channels,), w1))
        self.w2 = nn.Parameter(torch.full((channels,), w2))
        self.b = nn.Parameter(torch.full((channels,), b))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1,) + (1,) * (x.ndim - 2)  # (C, 1, ..., 1) against (N, C, ...)
        w1, w2, b = self.w1.view(shape), self.w2.view(shape), self.b.view(shape)
        return w1 * (x * x) + w2 * x + b

    def extra_repr(self) -> str:
        return f"{self.channels}"
