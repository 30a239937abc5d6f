"""ResNet-18 as torchvision writes it, with random weights, for measurements: no accuracy is meant.

He et al., Deep Residual Learning for Image Recognition (2016). `stem` is "cifar" (3x3, no pooling), "imagenet" (7x7
with stride 2 and max pooling 3x3) or "average" (the same with average pooling 2x2). Batch norms get the statistics of
random batches, so that activations keep the range that a trained network would have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Quadratic", "ResNet", "resnet18"]

BATCHES = 3
Activation = Callable[[int], nn.Module]


class Quadratic(nn.Module):
    """c2 * x^2 + c1 * x + c0 with coefficients of each channel; small ones, so that depth does not square the range."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("c2", 0.05), ("c1", 0.5), ("c0", 0.01)):
            setattr(
                self, name, nn.Parameter(torch.full((channels, 1, 1), value) * (0.9 + 0.2 * torch.rand(channels, 1, 1)))
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.c2 * x * x + self.c1 * x + self.c0


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a strided 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = activation(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = activation(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:  # (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)
        y = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """ResNet-18 whose first stage has `width` channels and whose stages have `depth` blocks."""

    def __init__(self, stem: str, activation: Activation, classes: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        small = stem == "cifar"
        self.conv1 = nn.Conv2d(3, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act = activation(width)
        pool = {"cifar": nn.Identity(), "imagenet": nn.MaxPool2d(3, 2, 1), "average": nn.AvgPool2d(2)}
        self.pool = pool[stem]
        blocks: list[nn.Module] = []
        inputs = width
        for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
            blocks.append(Block(inputs, outputs, stride, activation))
            blocks += [Block(outputs, outputs, 1, activation) for _ in range(depth - 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, classes)
        x = self.pool(self.act(self.bn1(self.conv1(x))))
        return self.fc(self.average(self.blocks(x)).flatten(1))


def resnet18(
    stem: str, activation: str, size: int, classes: int, width: int = 64, depth: int = 2
) -> tuple[ResNet, Tensor]:
    """The network in evaluation mode (`activation`: "relu" or "x2"), and a random batch of images to calibrate with."""
    torch.manual_seed(0)
    model = ResNet(stem, Quadratic if activation == "x2" else lambda _: nn.ReLU(), classes, width, depth)
    images = torch.randn(4, 3, size, size)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over the batches
    model.train()
    with torch.no_grad():
        for _ in range(BATCHES):
            model(torch.randn_like(images))
    return model.eval(), images
