"""Batches of normalised images for training and for evaluation.

An epoch depends on its number and the seed alone: not on what ran before, so that a continued run sees what an
uninterrupted one would have; and not on how many processes share the work: rank r of w gets the r-th part of every
batch, and the parts together are the batch that a single process gets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moiety.data.splits import Pixels, Split

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "batches", "in_order", "to_tensor"]


@dataclass(frozen=True)
class Augment:
    """How training images are varied.

    shift: pixels, either way, with the border reflected; by default an eighth of the side.
    hole: side of the square that is greyed out (T. DeVries and G. Taylor, cutout, arXiv 1708.04552); 0 for none.
    Mirroring follows the split's recipe.
    """

    shift: int | None = None
    hole: int = 0

    def __post_init__(self) -> None:
        if (self.shift is not None and self.shift < 0) or self.hole < 0:
            raise ValueError(f"expected a shift and a hole of no pixel or more, found {self.shift} and {self.hole}")


def batches(
    split: Split,
    batch: int,
    *,
    epoch: int,
    seed: int,
    augment: bool | Augment = True,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch over `split` in a new order, each image shifted and mirrored.

    batch: images of a global batch, shared evenly among `world` processes; a remainder of the epoch's permutation that
    fills none is left out. An image is mirrored in every other epoch (K. Jordan, arXiv 2404.00498).

    Yields float32 images (batch / world, channels, height, width), channels last in memory, and int64 labels.
    """
    if not 1 <= batch <= len(split):
        raise ValueError(f"expected a batch of 1 to {len(split)} images, as many as the split has, found {batch}")
    if world < 1 or not 0 <= rank < world or batch % world:
        raise ValueError(
            f"expected a rank below the world's size and a batch that it divides, found rank {rank} of {world} and a "
            f"batch of {batch}"
        )
    return _epoch(split, batch, epoch, seed, Augment() if augment is True else augment or None, rank, world)


def _epoch(
    split: Split, batch: int, epoch: int, seed: int, augment: Augment | None, rank: int, world: int
) -> Iterator[tuple[Tensor, Tensor]]:
    import torch

    count, (height, width, _) = len(split), split.shape
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(count)
    if augment is not None:
        margin = min(height, width) // 8 if augment.shift is None else min(augment.shift, height - 1, width - 1)
        offsets = rng.integers(-margin, margin + 1, (count, 2))
        holes = rng.integers(1 - augment.hole, (height, width), (count, 2)) if augment.hole else None
        flips = (np.random.default_rng(seed).integers(0, 2, count) + epoch) % 2 == 1 if split.mirror else None
    for begin in range(rank * (batch // world), count - batch + 1 + rank * (batch // world), batch):
        places = slice(begin, begin + batch // world)
        chosen = order[places]
        pixels = split.images(chosen)
        if augment is not None:
            pixels = moved(pixels, offsets[places], None if flips is None else flips[chosen])
        images = to_tensor(pixels, split)
        if augment is not None and holes is not None:
            for image, (top, left) in zip(images, holes[places], strict=True):
                image[:, max(top, 0) : top + augment.hole, max(left, 0) : left + augment.hole] = 0  # the mean colour
        yield images, torch.from_numpy(split.labels[chosen])


def moved(pixels: Pixels, offsets: npt.NDArray[np.int64], flips: npt.NDArray[np.bool_] | None) -> Pixels:
    """Each image's window displaced by its offset (down, right) over the image reflected at its borders, mirrored where
    `flips` says so."""
    rows = reflected(offsets[:, :1], pixels.shape[1])
    columns = reflected(offsets[:, 1:], pixels.shape[2])
    if flips is not None:
        columns[flips] = columns[flips, ::-1]
    count, height, width, channels = pixels.shape
    first = np.arange(count)[:, None, None] * (height * width)
    taken: Pixels = np.take(
        pixels.reshape(-1, channels), first + rows[:, :, None] * width + columns[:, None, :], axis=0
    )
    return taken


def reflected(offsets: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """(n, 1) offsets below `side` -> (n, side) positions in [0, side), turning back at both ends."""
    last = side - 1
    return np.asarray(last - np.abs(last - np.abs(offsets + np.arange(side))))


def in_order(split: Split, batch: int = 500) -> Iterator[tuple[Tensor, Tensor]]:
    """Every image of `split` once, unvaried and in order, the last batch perhaps smaller: for evaluation."""
    import torch

    if batch < 1:
        raise ValueError(f"expected a batch of at least 1 image, found {batch}")
    for begin in range(0, len(split), batch):
        chosen = np.arange(begin, min(begin + batch, len(split)))
        yield to_tensor(split.images(chosen), split), torch.from_numpy(split.labels[chosen])


def to_tensor(pixels: Pixels, split: Split) -> Tensor:
    """uint8 (n, height, width, channels) -> float32 (n, channels, height, width), channels last in memory."""
    import torch

    return torch.from_numpy(split.normalize(pixels))
