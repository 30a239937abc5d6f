"""A block that is nonlinear by multiplication alone."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Hadamard"]


class Hadamard(nn.Module):
    """``bn_a(conv_a(x)) * bn_b(conv_b(x))``: (N, C, H, W) to (N, out_channels, H', W').

    The building block of activation-free networks (J. Wang et al., "PolyNeXt", arXiv 2605.20839). Two parties open the
    input once for both branches and multiply their outputs in one more round; nothing is compared.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        out_channels = in_channels if out_channels is None else out_channels
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")

        def convolution() -> nn.Conv2d:
            return nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False
            )

        self.conv_a, self.bn_a = convolution(), nn.BatchNorm2d(out_channels)
        self.conv_b, self.bn_b = convolution(), nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn_a(self.conv_a(x)) * self.bn_b(self.conv_b(x))
        return y
