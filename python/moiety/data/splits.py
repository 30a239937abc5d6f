"""What every data set looks like: two splits of byte images with labels, and how to normalise them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.data.images import normalize

__all__ = ["Dataset", "Indices", "Labels", "Pixels", "Recipe", "Split"]

Pixels = npt.NDArray[np.uint8]  # (n, height, width, channels)
Labels = npt.NDArray[np.int64]  # (n,)
Indices = npt.NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Recipe:
    """From bytes to a network's input, and what may be done to an image that keeps its class."""

    mean: tuple[float, ...]  # a channel, of pixels scaled to [0, 1]
    std: tuple[float, ...]
    mirror: bool = False  # a mirrored digit is no digit

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError(
                f"expected a mean and a positive standard deviation for each channel, found {self.mean} and {self.std}"
            )


class Split:
    """Images that are read on demand, their labels, and how to normalise them.

    read: positions (n,) -> uint8 (n, height, width, channels). An in-memory split indexes an array; an image folder
    decodes files. shape: of one image, (height, width, channels).
    """

    def __init__(
        self,
        labels: npt.ArrayLike,
        read: Callable[[Indices], Pixels],
        shape: tuple[int, int, int],
        recipe: Recipe,
    ) -> None:
        found = np.asarray(labels)
        if found.ndim != 1 or (found.size and not np.issubdtype(found.dtype, np.integer)):
            raise ValueError(f"expected labels (n,) of integers, found {found.dtype} {found.shape}")
        if shape[-1] != len(recipe.mean):
            raise ValueError(f"expected a mean and std for each of {shape[-1]} channels, found {len(recipe.mean)}")
        self.labels: Labels = found.astype(np.int64)
        self.labels.setflags(write=False)
        self.shape = shape
        self.recipe = recipe
        self._read = read

    @classmethod
    def of(cls, images: Pixels, labels: npt.ArrayLike, recipe: Recipe) -> Split:
        """A split in memory (or mapped from a file)."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(f"expected uint8 images (n, height, width, 1 or 3), found {images.dtype} {images.shape}")
        if len(images) != len(np.asarray(labels)):
            raise ValueError(f"expected as many labels as images, found {len(np.asarray(labels))} and {len(images)}")
        return cls(labels, lambda index: images[index], images.shape[1:], recipe)

    @property
    def mean(self) -> tuple[float, ...]:
        return self.recipe.mean

    @property
    def std(self) -> tuple[float, ...]:
        return self.recipe.std

    @property
    def mirror(self) -> bool:
        return self.recipe.mirror

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, index: npt.ArrayLike) -> Pixels:
        """The images at the positions `index` (n,): uint8 (n, height, width, channels)."""
        return self._read(self._positions(index))

    def subset(self, index: npt.ArrayLike) -> Split:
        """The split of the images at the positions `index`, in that order; nothing is copied."""
        chosen = self._positions(index)
        return Split(self.labels[chosen], lambda inner: self._read(chosen[inner]), self.shape, self.recipe)

    def normalize(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """uint8 (n, height, width, channels) -> float32 (n, channels, height, width), channels last in memory."""
        return normalize(pixels, self.recipe.mean, self.recipe.std)

    def _positions(self, index: npt.ArrayLike) -> Indices:
        positions = np.asarray(index)
        if positions.size == 0:
            positions = positions.astype(np.int64)
        if positions.ndim != 1 or not np.issubdtype(positions.dtype, np.integer):
            raise ValueError(f"expected positions (n,) of integers, found {positions.dtype} {positions.shape}")
        if positions.size and not 0 <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"expected positions in [0, {len(self)}), found {positions.min()} to {positions.max()}")
        return positions.astype(np.int64)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split with the same classes, image shape and normalisation."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, split in (("train", self.train), ("test", self.test)):
            if len(split) == 0:
                raise ValueError(f"{self.name}: the {name} split is empty: expected at least one image")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.classes):
                raise ValueError(
                    f"{self.name}: expected {name} labels in [0, {len(self.classes)}), found {low} to {high}"
                )
        if self.train.shape != self.test.shape or self.train.recipe != self.test.recipe:
            raise ValueError(
                f"{self.name}: expected images of one shape and normalisation, found {self.train.shape} "
                f"{self.train.recipe} to train and {self.test.shape} {self.test.recipe} to test with"
            )

    @property
    def mean(self) -> tuple[float, ...]:
        return self.train.recipe.mean

    @property
    def std(self) -> tuple[float, ...]:
        return self.train.recipe.std

    @property
    def mirror(self) -> bool:
        return self.train.recipe.mirror

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of one sample at the network: (channels, height, width)."""
        height, width, channels = self.train.shape
        return channels, height, width

    def metadata(self) -> dict[str, Any]:
        """What a compiled program carries to its client, to read images (`moiety.private.images`) and name classes."""
        return {"preprocessing": {"mean": list(self.mean), "std": list(self.std)}, "classes": list(self.classes)}
