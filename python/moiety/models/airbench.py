"""A small convolutional network that learns CIFAR-10 in few epochs.

K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (arXiv 2404.00498): a whitening convolution, three
blocks of two convolutions with a pooling behind the first, a scaled classifier; section 3.2 and the code of its appendix.

With three changes for private inference: activations and poolings by name (the paper has GELU and max pooling), the last
pooling an average over what is left, and affine batch normalisations, which fold into the convolutions as well. A
private network pays for the elements of its activations, and here each of them comes behind a pooling.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from moiety.models.parts import Activation, Pool, is_small, make_activation, make_pool
from moiety.models.registry import register_model

__all__ = ["Airbench", "airbench"]

WHITEN = 2  # side of the whitening convolution's kernel
EPSILON = 5e-4  # added to the eigenvalues


class Block(nn.Module):
    """3 x 3 convolution to the new width, pooling, a second convolution."""

    def __init__(self, in_channels: int, channels: int, activation: Activation, pool: Pool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.pool = make_pool(pool, 2, 2)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = make_activation(activation, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = make_activation(activation, channels)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, h, h)
        x = self.act1(self.bn1(self.pool(self.conv1(x))))  # (N, channels, h // 2, h // 2)
        x = self.act2(self.bn2(self.conv2(x)))
        return x


class Airbench(nn.Module):
    """The whitening convolution, a `Block` for each width, the average of each channel, a classifier."""

    def __init__(self, widths: Sequence[int], num_classes: int, activation: Activation, pool: Pool) -> None:
        super().__init__()
        patch = 3 * WHITEN**2
        self.whiten = nn.Conv2d(3, 2 * patch, WHITEN, bias=False)
        self.blocks = nn.Sequential(
            *(Block(a, b, activation, pool) for a, b in itertools.pairwise((2 * patch, *widths)))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], num_classes)
        for block in self.blocks:
            for conv in (block.conv1, block.conv2):
                nn.init.dirac_(conv.weight[: conv.in_channels])  # the first channels begin as copies of the inputs

    @torch.no_grad()
    def initialise_by(self, images: Tensor) -> None:
        """Sets the first layer, which is not trained, to the eigenvectors of the patches of `images` (N, 3, h, w), each
        over the root of its eigenvalue, and to their negatives."""
        patches = images.unfold(2, WHITEN, 1).unfold(3, WHITEN, 1).movedim(1, 3).reshape(-1, 3 * WHITEN**2)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + EPSILON).sqrt()).T.reshape(-1, 3, WHITEN, WHITEN)
        self.whiten.weight.copy_(torch.cat([filters, -filters]))
        self.whiten.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, side, side)
        x = self.whiten(x)  # (N, 24, side - 1, side - 1)
        x = self.blocks(x)
        x = torch.flatten(self.pool(x), 1)  # (N, widths[-1])
        x = self.fc(x)  # (N, num_classes)
        return x


@register_model("airbench", paper="K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498")
def airbench(
    num_classes: int = 10,
    image_size: int = 32,
    activation: Activation = "relu",
    pool: Pool = "avg",
    widths: Sequence[int] = (64, 256, 256),
) -> Airbench:
    """A whitening convolution and three blocks; `Airbench.initialise_by` before the training."""
    if not is_small(image_size, least=16):
        raise ValueError(f"airbench is for images of 16 to 64 pixels a side, got {image_size}: take a resnet18")
    return Airbench(widths, num_classes, activation, pool)
