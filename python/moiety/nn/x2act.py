"""The trainable quadratic activation of PASNet.

Source: H. Peng et al., "PASNet: Polynomial Architecture Search Framework for Two-party Computation-based Secure
Neural Network Deployment", DAC 2023 (arXiv 2306.15513), the operator x2act, there with one triple of coefficients a
layer; here also with one a channel. Two parties evaluate a square with one opening and no comparison.

Two initialisations. "stpai" (straight-through polynomial activation initialisation, PASNet) starts near the identity.
"hermite" starts at the least-squares fit of ReLU under a standard normal input, its first three Hermite terms;
`initialise_x2` moves that to the distribution that each channel has (DaPa: H. Peng et al., "AutoReP", ICCV 2023).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from moiety.ops.quadratic import quadratic

__all__ = ["X2Act", "fit_quadratic"]

Init = Literal["hermite", "stpai"]

# Narrower distributions are fitted as if they had this standard deviation: the curvature of the fit is inverse to it,
# and a channel that is silent at initialisation need not stay so.
MIN_STD = 0.25


def fit_quadratic(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(w1, w2, b) that minimise E[(w1 x^2 + w2 x + b - ReLU(x))^2] for x ~ N(mean, std^2), elementwise.

    With u = mean, v = std, a = u / v, and the normal density phi and distribution Phi, the projection on the Hermite
    polynomials of degree <= 2 is w1 = phi(a) / (2 v), w2 = Phi(a) - 2 u w1, b = (u^2 + v^2) w1.
    """
    mean, std = torch.as_tensor(mean), torch.as_tensor(std)
    if not mean.is_floating_point() or mean.shape != std.shape:
        raise ValueError(f"expected floating-point mean and std of one shape, got {mean.shape} and {std.shape}")
    if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std >= 0).all()):
        raise ValueError("expected finite means and standard deviations >= 0")
    std = std.clamp_min(MIN_STD)
    a = mean / std
    w1 = torch.exp(-a * a / 2) / (2 * math.sqrt(2 * math.pi) * std)
    w2 = torch.special.ndtr(a) - 2 * mean * w1
    return w1, w2, (mean * mean + std * std) * w1


class X2Act(nn.Module):
    """``y = scale * w1 * x**2 + w2 * x + b`` with trainable `w1`, `w2`, `b`, broadcast over (N, C, ...).

    channels: one triple a channel; None: one triple for the layer.
    scale: PASNet's c / sqrt(Nx), Nx the elements of the feature map; it shrinks the quadratic term and with it the
    effective learning rate of `w1`. It is a constant of the module, not part of its state.

    It wants a normalised input: put a batch normalisation in front. A quadratic grows without bound, so training has
    to keep its inputs small: see `moiety.nn.RangeWatch`.
    """

    def __init__(self, channels: int | None = None, *, init: Init = "hermite", scale: float = 1.0) -> None:
        super().__init__()
        if channels is not None and channels < 1:
            raise ValueError(f"channels must be positive, got {channels}")
        if init not in ("hermite", "stpai"):
            raise ValueError(f"init must be 'hermite' or 'stpai', got {init!r}")
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be positive, got {scale}")
        self.channels = channels
        self.scale = float(scale)
        size = channels or 1
        if init == "stpai":
            w1, w2, b = torch.full((size,), 0.005), torch.ones(size), torch.zeros(size)
        else:
            first = 1 / (2 * math.sqrt(2 * math.pi))  # what `fit_quadratic` gives for mean 0 and std 1
            w1, w2, b = torch.full((size,), first / self.scale), torch.full((size,), 0.5), torch.full((size,), first)
        self.w1, self.w2, self.b = nn.Parameter(w1), nn.Parameter(w2), nn.Parameter(b)

    def coefficients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of x^2, x and 1, with `scale` folded in, each (channels or 1,)."""
        return (self.w1 if self.scale == 1.0 else self.scale * self.w1), self.w2, self.b

    @torch.no_grad()
    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Sets the coefficients to the fit of ReLU for inputs of these statistics (C,)."""
        if self.channels is None and mean.numel() > 1:  # of the mixture of all channels
            centre = mean.mean().view(1)
            variance = (std * std + mean * mean).mean() - centre * centre
            mean, std = centre, variance.clamp_min(0).sqrt()
        w1, w2, b = fit_quadratic(mean, std)
        self.w1.copy_(w1 / self.scale)
        self.w2.copy_(w2)
        self.b.copy_(b)

    def forward(self, x: Tensor) -> Tensor:
        return quadratic(x, *self.coefficients())

    def extra_repr(self) -> str:
        return ", ".join(
            ([] if self.channels is None else [f"{self.channels}"])
            + ([] if self.scale == 1.0 else [f"scale={self.scale:g}"])
        )
