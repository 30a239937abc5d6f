"""VGG-16 with batch normalisation.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015 (arXiv
1409.1556), table 1, column D; with a batch normalisation behind every convolution, as has become usual (S. Ioffe and
C. Szegedy, 2015). For small images the three fully connected layers, made for a map of 7 x 7, are one.

Parameters have the names that torchvision gives those of its vgg16_bn, so that its published weights load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moiety.models.parts import Activation, Pool, initialise, is_small, make_activation, make_pool
from moiety.models.registry import register_model

__all__ = ["VGG", "vgg16"]

# Convolutions before each pooling, and their channels as multiples of the first's.
STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


class VGG(nn.Module):
    """width: channels of the first stage; the hidden layers of a large image's classifier are 64 times as wide."""

    def __init__(self, width: int, num_classes: int, image_size: int, activation: Activation, pool: Pool) -> None:
        super().__init__()
        if width < 1 or num_classes < 1:
            raise ValueError(f"width and num_classes must be positive, got {width} and {num_classes}")
        small = is_small(image_size, least=32)
        self.features = nn.Sequential()
        channels = 3
        for count, factor in STAGES:
            for _ in range(count):
                out = factor * width
                self.features.append(nn.Conv2d(channels, out, 3, padding=1))
                self.features.append(nn.BatchNorm2d(out))
                self.features.append(make_activation(activation, out))
                channels = out
            self.features.append(make_pool(pool, 2, 2))
        if small:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Sequential(nn.Linear(channels, num_classes))
        else:
            hidden = 64 * width
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                nn.Linear(channels * 49, hidden),
                make_activation(activation, hidden),
                nn.Dropout(0.5),
                nn.Linear(hidden, hidden),
                make_activation(activation, hidden),
                nn.Dropout(0.5),
                nn.Linear(hidden, num_classes),
            )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, side, side)
        x = self.features(x)  # (N, 8 width, side / 32, side / 32)
        x = torch.flatten(self.avgpool(x), 1)  # (N, 8 width) of a small image, (N, 49 * 8 width) of a large one
        x = self.classifier(x)  # (N, num_classes)
        return x


@register_model(
    "vgg16",
    paper="K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015",
)
def vgg16(
    num_classes: int = 10, image_size: int = 32, activation: Activation = "relu", pool: Pool = "max", width: int = 64
) -> VGG:
    """Thirteen 3 x 3 convolutions with batch normalisation, five poolings."""
    return VGG(width, num_classes, image_size, activation, pool)
