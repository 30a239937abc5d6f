"""A layer from zigzag barcodes to persistence images whose bandwidth and weight of bars are learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from moiety.topology.image import Variant, image_of_bars, image_of_histograms

__all__ = ["ZigzagImage"]


class ZigzagImage(nn.Module):
    """Barcodes of windows of `window` steps -> images (B, 1, resolution, resolution) (`moiety.topology.image`).

    bandwidth and the weight g(p) = p^power exp(w(p)) are parameters, w linear between the half steps of persistence;
    they begin as `bandwidth` and w = 0, the published image. learnable=False keeps them there. g(0) = 0, so that the
    paper's image is stable at every value of the parameters.
    """

    def __init__(
        self,
        window: int,
        resolution: int = 100,
        bandwidth: float = 1.0,
        power: float = 1.0,
        variant: Variant = "code",
        learnable: bool = True,
    ) -> None:
        super().__init__()
        if window < 2:
            raise ValueError(f"expected a window of at least 2 steps, got {window}")
        if resolution < 1 or not bandwidth > 0 or not power > 0:
            raise ValueError(
                f"expected resolution >= 1, bandwidth > 0 and power > 0, got {resolution}, {bandwidth}, {power}"
            )
        if variant not in ("code", "paper"):
            raise ValueError(f"expected the variant 'code' or 'paper', got {variant!r}")
        self.window, self.resolution, self.power, self.variant = window, resolution, power, variant
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth)), requires_grad=learnable)
        self.log_weight = nn.Parameter(torch.zeros(2 * window), requires_grad=learnable)

    @property
    def bandwidth(self) -> Tensor:
        return self.log_bandwidth.exp()

    def weight(self, persistence: Tensor) -> Tensor:
        """g of persistences in [0, window), any shape."""
        position = (2 * persistence).clamp(0, 2 * self.window - 1)
        low = position.detach().floor().clamp(max=2 * self.window - 2)
        rest = position - low
        index = low.long()
        table = self.log_weight.to(persistence.dtype)
        learned = torch.lerp(table[index], table[index + 1], rest)
        positive = persistence.clamp(min=torch.finfo(persistence.dtype).tiny)  # of 0 a power has no derivative
        return torch.where(persistence > 0, positive**self.power * learned.exp(), torch.zeros_like(persistence))

    def forward(self, bars: Tensor, span: Tensor | None = None) -> Tensor:
        """bars: histograms (B, 2 window, 2 window) of integers, as `moiety.topology.histograms` makes them, or bars
        (B, n, 2) of floating point with any ends, padded with death = birth, to which gradients flow.

        span: the code's axes (B, 4) by `moiety.topology.spans`; by default those of the bars given.
        """
        dtype = self.log_weight.dtype
        if bars.is_floating_point():
            found = image_of_bars(
                bars, self.resolution, self.bandwidth.to(bars.dtype), self.weight, self.variant, self.window, span
            )
            return found.to(dtype).unsqueeze(1)
        side = 2 * self.window
        if bars.ndim != 3 or tuple(bars.shape[1:]) != (side, side):
            raise ValueError(
                f"expected integer histograms (B, {side}, {side}) or bars (B, n, 2) of floating point, got "
                f"{bars.dtype} {tuple(bars.shape)}"
            )
        return image_of_histograms(
            bars, self.resolution, self.bandwidth, self.weight, self.variant, span, dtype=dtype
        ).unsqueeze(1)

    def extra_repr(self) -> str:
        return f"{self.window}, {self.resolution}, variant={self.variant!r}"
