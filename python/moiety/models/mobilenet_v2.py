"""MobileNetV2.

M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018 (arXiv 1801.04381), table 2. For small images the first convolution and the stage of 24 channels keep the
resolution, so that the last map is 4 x 4 of a 32 x 32 image.

Parameters have the names that torchvision gives them, so that its published weights load; those want the paper's ReLU6,
which is the default here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moiety.models.parts import Activation, initialise, is_small, make_activation
from moiety.models.registry import register_model

__all__ = ["InvertedResidual", "MobileNetV2", "mobilenet_v2"]

# Table 2: expansion t, channels c, blocks n, stride s of the first block.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
FIRST, LAST = 32, 1280


def rounded(channels: float) -> int:
    """To a multiple of 8, at least 8, and not more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def layer(
    in_channels: int, channels: int, kernel_size: int, activation: Activation, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation, activation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        make_activation(activation, channels),
    )


class InvertedResidual(nn.Module):
    """1 x 1 to `expand` times as many channels, 3 x 3 within each channel, 1 x 1 to few without an activation; beside
    the shortcut where the shape stays (figure 4)."""

    def __init__(self, in_channels: int, channels: int, stride: int, expand: int, activation: Activation) -> None:
        super().__init__()
        hidden = expand * in_channels
        self.residual = stride == 1 and in_channels == channels
        self.conv = nn.Sequential()
        if expand != 1:
            self.conv.append(layer(in_channels, hidden, 1, activation))
        self.conv.append(layer(hidden, hidden, 3, activation, stride, groups=hidden))
        self.conv.append(nn.Conv2d(hidden, channels, 1, bias=False))
        self.conv.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, h, w) -> (N, channels, h / stride, w / stride)
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """width: the paper's width multiplier."""

    def __init__(self, width: float, num_classes: int, image_size: int, activation: Activation) -> None:
        super().__init__()
        if width <= 0 or num_classes < 1:
            raise ValueError(f"width and num_classes must be positive, got {width} and {num_classes}")
        small = is_small(image_size, least=8)
        channels = rounded(FIRST * width)
        self.features = nn.Sequential(layer(3, channels, 3, activation, stride=1 if small else 2))
        for i, (expand, out, count, stride) in enumerate(STAGES):
            for j in range(count):
                step = stride if j == 0 and not (small and i == 1) else 1
                self.features.append(InvertedResidual(channels, rounded(out * width), step, expand, activation))
                channels = rounded(out * width)
        last = rounded(LAST * max(1.0, width))  # section 3.3: narrower networks keep the last layer's width
        self.features.append(layer(channels, last, 1, activation))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, side, side)
        x = self.features(x)  # (N, 1280, side / 32, side / 32), of a small image side / 8
        x = torch.flatten(self.pool(x), 1)  # (N, 1280)
        x = self.classifier(x)  # (N, num_classes)
        return x


@register_model(
    "mobilenet_v2",
    paper="M. Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
)
def mobilenet_v2(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu6", width: float = 1.0
) -> MobileNetV2:
    """Seventeen inverted residual blocks; depthwise 3 x 3 convolutions between 1 x 1 ones."""
    return MobileNetV2(width, num_classes, image_size, activation)
