"""A small residual network for 32 x 32 images, the demo model.

After K. He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), basic blocks with projection shortcuts.
Wide and shallow, because a private activation costs more than a private multiplication and every layer costs a round:
one activation behind the stem and two a block, ReLU, the quadratic of PASNet (`moiety.nn.X2Act`) or others.

What it keeps to for private inference: every batch normalisation directly follows a convolution, so that it folds;
both summands of a block that changes the width are batch-normalised, so that no tensor's range grows from stage to
stage; the only pooling is an average.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moiety.models.parts import Activation, is_small, make_activation
from moiety.models.registry import register_model

__all__ = ["Activation", "BasicBlock", "ResNetCifar", "resnet_cifar"]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, the first with stride 2, beside a 1 x 1 convolution: half the side, new width.

    With `stride` 1 the width stays, and beside the convolutions there is the input itself.
    """

    def __init__(self, in_channels: int, channels: int, activation: Activation, stride: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = make_activation(activation, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride > 1:
            self.shortcut_conv = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(channels)
        self.projects = stride > 1
        self.act2 = make_activation(activation, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act1(self.bn1(self.conv1(x)))  # (N, channels, h/stride, w/stride)
        out = self.bn2(self.conv2(out))
        out = out + (self.shortcut_bn(self.shortcut_conv(x)) if self.projects else x)
        out = self.act2(out)
        return out


class ResNetCifar(nn.Module):
    """A stem at full resolution, `BasicBlock`s of each further width, average pooling, a classifier."""

    def __init__(
        self, activation: Activation, widths: tuple[int, ...], num_classes: int, blocks: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        if not widths:
            raise ValueError("widths must name at least the stem's width")
        blocks = blocks or (1,) * (len(widths) - 1)
        if len(blocks) != len(widths) - 1 or min(blocks, default=1) < 1:
            raise ValueError(f"blocks must have one number, at least 1, for each of {len(widths) - 1} widths: {blocks}")
        self.activation: Activation = activation
        self.widths = tuple(widths)
        self.blocks = tuple(blocks)
        self.num_classes = num_classes

        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = make_activation(activation, widths[0])
        self.layers = nn.Sequential()
        for (before, width), count in zip(pairwise(widths), blocks, strict=True):
            self.layers.append(BasicBlock(before, width, activation))
            self.layers.extend(BasicBlock(width, width, activation, stride=1) for _ in range(count - 1))
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 32, 32)
        x = self.act1(self.bn1(self.conv1(x)))  # (N, widths[0], 32, 32)
        x = self.layers(x)  # (N, widths[-1], 4, 4)
        x = F.adaptive_avg_pool2d(x, 1)
        x = torch.flatten(x, 1)  # (N, widths[-1])
        x = self.fc(x)  # (N, num_classes)
        return x


@register_model("resnet_cifar", paper="after K. He et al., Deep Residual Learning for Image Recognition, CVPR 2016")
def resnet_cifar(
    activation: Activation = "relu",
    *,
    widths: Sequence[int] = (32, 64, 128, 128),
    num_classes: int = 10,
    image_size: int = 32,
    blocks: Sequence[int] = (),
) -> ResNetCifar:
    """The demo's network, wide and shallow; `blocks`: how many of each width but the stem's, else one."""
    if not is_small(image_size, least=8):
        raise ValueError(f"resnet_cifar is for images of 8 to 64 pixels a side, got {image_size}: take a resnet18")
    return ResNetCifar(activation, tuple(widths), num_classes, tuple(blocks))
