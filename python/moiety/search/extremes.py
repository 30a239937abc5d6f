"""Images at the edge of the input's range, on which quadratic activations must stay in theirs too."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from moiety.data import Split

__all__ = ["extreme_images"]


def extreme_images(images: Tensor, count: int, split: Split, rng: np.random.Generator) -> Tensor | None:
    """Half of `count` are `images` (N, C, H, W) at very high contrast, half are blocks of random pure colours."""
    if count == 0:
        return None
    recipe, (channels, height, width) = split.recipe, images.shape[1:]
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (recipe.mean, recipe.std))
    low, high = -mean / std, (1 - mean) / std  # black and white
    half = min(count // 2, len(images))
    gain = torch.from_numpy(rng.uniform(1.5, 8.0, (half, 1, 1, 1)).astype(np.float32))
    contrast = torch.minimum(torch.maximum(images[:half] * gain, low), high)
    blocks = []
    for _ in range(count - half):
        side = 2 ** int(rng.integers(0, int(np.log2(min(height, width))) + 1))
        bits = rng.integers(0, 2, (-(-height // side), -(-width // side), channels))
        bits = bits.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
        blocks.append(torch.from_numpy(bits.astype(np.float32)).permute(2, 0, 1))
    return torch.cat([contrast, low + (high - low) * torch.stack(blocks)])
