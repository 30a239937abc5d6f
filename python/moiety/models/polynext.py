"""PolyNeXt with convolutions only, in its fully polynomial form: additions and multiplications, nothing to compare.

J. Wang, J. Gregory, G. Chrysos, "Activation-Free Backbones for Image Recognition: Polynomial Alternatives within
MetaFormer-Style Vision Models", ICML 2026 (arXiv 2605.20839). The text was not at hand; block structure, widths,
depths, expansions, dilations and initial residual scales are those of the authors' released code
(github.com/jjwang8/PolyNeXt: CPolyNeXt-T, CPolyNeXt-S and CPolyNeXt-LR with `--norm bn`):

    PolyConv   x + sigmoid(t) norm(P2 D3(D1(P1 x) * pi D2(P1 x)))     P 1 x 1, D depthwise, pi a numbering of channels
    PolyMLP    x + sigmoid(t) P2 norm(u * v),   (u, v) = P1 x
    cell       norm of the scaled outputs of the two cells before it, then pairs of PolyConv and PolyMLP
    head       average over positions of l + l * r,   (l, r) = P norm(x)

Ours are: batch normalisation in its usual form, one mean and variance a channel, so that it folds into a convolution
(the authors keep one for each position, hence their weights do not load); one scale in front of a cell instead of two,
of which the normalisation behind leaves only the quotient; pi exchanges the halves instead of reversing the order, the
same up to the numbering of channels; a t for every block; no stochastic depth. A trained sigmoid(t) is a constant of
the compiled program.

What leaves the range that normalisation expects is squared by every block behind: such a network wants small residual
scales, range control in training (`moiety.nn.RangeWatch`) and a look at its certificate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moiety.models.parts import is_small
from moiety.models.registry import register_model

__all__ = ["PolyConv", "PolyMLP", "PolyNeXt", "polynext_lr", "polynext_s", "polynext_t"]

PAPER = "J. Wang et al., Activation-Free Backbones for Image Recognition (PolyNeXt), ICML 2026"


@dataclass(frozen=True)
class Stage:
    """Cells at one resolution."""

    cells: int
    pairs: int  # PolyConv and PolyMLP in each cell; S has fewer in its first stage
    width: int  # channels as a multiple of the network's width
    conv: float  # the blocks' inner channels as multiples of the stage's
    mlp: float


TINY = (Stage(2, 3, 1, 1, 2), Stage(2, 3, 2, 1, 2), Stage(6, 3, 4, 0.75, 1.75), Stage(2, 3, 6, 0.75, 1.75))
SMALL = (Stage(3, 3, 1, 1, 2), Stage(3, 4, 2, 1, 2), Stage(8, 4, 4, 0.75, 1.75), Stage(3, 4, 6, 0.75, 1.75))
LOW_RESOLUTION = (Stage(2, 3, 1, 1, 2), Stage(3, 3, 2, 1, 2), Stage(3, 3, 4, 1, 2))


def pointwise(in_channels: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, 1, bias=False)


def depthwise(channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(channels, channels, kernel_size, stride, padding, dilation, groups=channels, bias=False)


class PolyConv(nn.Module):
    """Two receptive fields multiplied: (N, C, h, w) to the same."""

    def __init__(self, channels: int, inner: int, first: bool) -> None:
        super().__init__()
        self.expand = pointwise(channels, inner)
        self.far = depthwise(inner, 3 if first else 5, dilation=2)
        self.near = depthwise(inner, 3)
        self.blend = depthwise(inner, 3)
        self.project = pointwise(inner, channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.expand(x)  # (N, inner, h, w)
        low, high = self.near(x).chunk(2, dim=1)
        x = self.far(x) * torch.cat([high, low], dim=1)
        x = self.norm(self.project(self.blend(x)))
        return x


class PolyMLP(nn.Module):
    """Two linear maps of a position multiplied: (N, C, h, w) to the same."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.expand = pointwise(channels, inner)
        self.norm = nn.BatchNorm2d(inner // 2)
        self.project = pointwise(inner // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.expand(x).chunk(2, dim=1)  # (N, inner / 2, h, w) each
        x = self.project(self.norm(u * v))
        return x


class Cell(nn.Module):
    """A chain of residual blocks on a mixture of two earlier outputs.

    logits: of the residual scales, one for each block.
    """

    def __init__(self, channels: int, stage: Stage, first: bool, logits: Sequence[float]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList()
        for _ in range(stage.pairs):
            self.blocks.append(PolyConv(channels, round(channels * stage.conv), first))
            self.blocks.append(PolyMLP(channels, round(channels * stage.mlp)))
        self.logits = nn.Parameter(torch.tensor(logits[: 2 * stage.pairs]))

    def forward(self, before: Tensor, last: Tensor) -> Tensor:  # (N, C, h, w) each
        x: Tensor = self.norm(self.scale * before + last)
        for block, scale in zip(self.blocks, torch.sigmoid(self.logits).unbind(), strict=True):
            x = x + scale * block(x)
        return x


class PolyNeXt(nn.Module):
    """A stem, stages of `Cell`s with half the side each, a multiplicative head.

    logits: of the residual scales within every cell. dense: the later of the two cells' outputs that enter a new stage
    is reduced by a full convolution instead of a depthwise one and a 1 x 1.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        width: int,
        num_classes: int,
        image_size: int,
        logits: Sequence[float],
        dense: bool,
    ) -> None:
        super().__init__()
        if width < 8 or width % 8 or num_classes < 1:
            raise ValueError(
                f"width must be a positive multiple of 8 and num_classes positive, got {width} and {num_classes}"
            )
        small = is_small(image_size, least=2 ** (len(stages) - 1))
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        if not small:
            self.stem = nn.Conv2d(3, width, 7, stride=4, padding=3, bias=False)
        self.reductions = nn.ModuleList()
        self.stages = nn.ModuleList()
        channels = width
        for i, stage in enumerate(stages):
            out = stage.width * width
            if i:
                self.reductions.append(self.reduction(channels, out, dense=False))
                self.reductions.append(self.reduction(channels, out, dense=dense))
            channels = out
            self.stages.append(nn.ModuleList(Cell(channels, stage, not i, logits) for _ in range(stage.cells)))
        self.norm = nn.BatchNorm2d(channels)
        self.proj = pointwise(channels, 4 * channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in (self.stem, self.proj):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    @staticmethod
    def reduction(channels: int, out: int, dense: bool) -> nn.Module:
        if dense:
            return nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(depthwise(channels, 3, stride=2), pointwise(channels, out))

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, side, side)
        before = last = self.stem(x)  # (N, width, side, side), of a large image side / 4
        for i, cells in enumerate(self.stages):
            if i:
                before, last = self.reductions[2 * i - 2](before), self.reductions[2 * i - 1](last)
            assert isinstance(cells, nn.ModuleList)
            for cell in cells:
                before, last = last, cell(before, last)
        left, right = self.proj(self.norm(last)).chunk(2, dim=1)  # (N, 2 channels, h, w) each
        x = torch.flatten(self.pool(left + left * right), 1)  # (N, 2 channels)
        x = self.head(x)  # (N, num_classes)
        return x


@register_model("polynext_t", paper=PAPER)
def polynext_t(num_classes: int = 10, image_size: int = 32, width: int = 48) -> PolyNeXt:
    """CPolyNeXt-T: twelve cells of six blocks in four stages."""
    # sigmoid(t) is 1/2, 1/2, 1/4, 1/8 at first; the blocks of pair i start with the i-th and the one behind it.
    scales = (1 / 2, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 8)
    logits = [math.log(scale / (1 - scale)) for scale in scales]
    return PolyNeXt(TINY, width, num_classes, image_size, logits, dense=False)


@register_model("polynext_s", paper=PAPER)
def polynext_s(num_classes: int = 10, image_size: int = 32, width: int = 72) -> PolyNeXt:
    """CPolyNeXt-S: seventeen cells of six or eight blocks in four stages."""
    return PolyNeXt(SMALL, width, num_classes, image_size, [-i / 2 for i in range(8)], dense=True)


@register_model("polynext_lr", paper=PAPER)
def polynext_lr(num_classes: int = 10, image_size: int = 32, width: int = 72) -> PolyNeXt:
    """CPolyNeXt-LR for small images: eight cells of six blocks in three stages."""
    logits = [0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125]
    return PolyNeXt(LOW_RESOLUTION, width, num_classes, image_size, logits, dense=False)
