"""Residual networks.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385): table 1
for ImageNet, section 4.2 for CIFAR. With two changes that have become usual: a bottleneck block has its stride in the
3 x 3 convolution, and shortcuts that change shape are projections throughout.

Parameters have the names that torchvision gives them, so that its published weights load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from moiety.models.parts import Activation, Pool, initialise, is_small, make_activation, make_pool
from moiety.models.registry import register_model

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet8", "resnet18", "resnet20", "resnet34", "resnet50"]

PAPER = "K. He et al., Deep Residual Learning for Image Recognition, CVPR 2016"


def convolution(in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False)


def projection(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    """The shortcut where the shape changes."""
    if in_channels == channels and stride == 1:
        return None
    return nn.Sequential(convolution(in_channels, channels, 1, stride), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside the shortcut (figure 5, left)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = make_activation(activation, channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = projection(in_channels, channels, stride)
        self.act2 = make_activation(activation, channels)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, h, w)
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))  # (N, channels, h / stride, w / stride)
        x = self.bn2(self.conv2(x))
        x = self.act2(x + shortcut)
        return x


class Bottleneck(nn.Module):
    """1 x 1 to fewer channels, 3 x 3, 1 x 1 back to four times as many (figure 5, right)."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        wide = self.expansion * channels
        self.conv1 = convolution(in_channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = make_activation(activation, channels)
        self.conv2 = convolution(channels, channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = make_activation(activation, channels)
        self.conv3 = convolution(channels, wide, 1)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample = projection(in_channels, wide, stride)
        self.act3 = make_activation(activation, wide)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, h, w)
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))  # (N, channels, h, w)
        x = self.act2(self.bn2(self.conv2(x)))  # (N, channels, h / stride, w / stride)
        x = self.bn3(self.conv3(x))  # (N, 4 channels, h / stride, w / stride)
        x = self.act3(x + shortcut)
        return x


class ResNet(nn.Module):
    """A stem; stages `layer1`, `layer2`, ..., each but the first with half the side and twice the channels; the average
    of each channel; a classifier.

    depths: blocks of each stage. width: channels of the first.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        width: int,
        num_classes: int,
        image_size: int,
        activation: Activation,
        pool: Pool,
    ) -> None:
        super().__init__()
        if width < 1 or num_classes < 1:
            raise ValueError(f"width and num_classes must be positive, got {width} and {num_classes}")
        pooled: nn.Module
        if is_small(image_size, least=8):
            self.conv1 = convolution(3, width, 3)
            pooled = nn.Identity()
        else:
            self.conv1 = convolution(3, width, 7, stride=2)
            pooled = make_pool(pool, 3, 2, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = make_activation(activation, width)
        self.pool1 = pooled
        self.stages = tuple(f"layer{i}" for i in range(1, len(depths) + 1))
        channels = width
        for i, (stage, depth) in enumerate(zip(self.stages, depths, strict=True)):
            blocks = nn.Sequential()
            for j in range(depth):
                blocks.append(block(channels, width << i, 2 if i and not j else 1, activation))
                channels = block.expansion * (width << i)
            self.add_module(stage, blocks)
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, side, side)
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.pool1(x)  # (N, width, side, side) of a small image, a quarter of the side of a large one
        for stage in self.stages:
            x = getattr(self, stage)(x)
        x = torch.flatten(self.pool2(x), 1)  # (N, channels)
        x = self.fc(x)  # (N, num_classes)
        return x


@register_model("resnet8", paper=PAPER)
def resnet8(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 16
) -> ResNet:
    """The CIFAR form with one block in each of three stages (n = 1 of section 4.2)."""
    return ResNet(BasicBlock, (1, 1, 1), width, num_classes, image_size, activation, pool)


@register_model("resnet20", paper=PAPER)
def resnet20(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 16
) -> ResNet:
    """The CIFAR form with three blocks in each of three stages (n = 3 of section 4.2)."""
    return ResNet(BasicBlock, (3, 3, 3), width, num_classes, image_size, activation, pool)


@register_model("resnet18", paper=PAPER)
def resnet18(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 64
) -> ResNet:
    """Two basic blocks in each of four stages."""
    return ResNet(BasicBlock, (2, 2, 2, 2), width, num_classes, image_size, activation, pool)


@register_model("resnet34", paper=PAPER)
def resnet34(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 64
) -> ResNet:
    """Basic blocks, 3, 4, 6 and 3 in four stages."""
    return ResNet(BasicBlock, (3, 4, 6, 3), width, num_classes, image_size, activation, pool)


@register_model("resnet50", paper=PAPER)
def resnet50(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 64
) -> ResNet:
    """Bottleneck blocks, 3, 4, 6 and 3 in four stages."""
    return ResNet(Bottleneck, (3, 4, 6, 3), width, num_classes, image_size, activation, pool)
